"""What goes wrong on our own side.

What the other side says is a value (`checks.core.model.Refused`), never one of these.
"""

from __future__ import annotations


class CheckError(Exception):
    """Base of all errors that a path, a reader or the registry raises on purpose."""


class LocalFault(CheckError):
    """We could not do our part; it says nothing about the tenant, so the verdict is `unknown`.

    A path raises it only before anything was handed over. The message is one sentence for the operator: which
    file, host or key; what was found; what to do.
    """


class MailboxUnreadable(CheckError):
    """A mailbox could not be looked into.

    `reason` is a short fixed word for metrics (connect, tls, login, folder, throttled, closed, protocol,
    timeout),
    `retry_after` the server's own wish in seconds, where it states one.
    """

    def __init__(self, reason: str, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after
