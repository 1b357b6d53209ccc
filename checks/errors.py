"""What goes wrong on our own side, and what keeps us from getting as far as the other side.

What the other side of a mail path says is a value (`checks.core.model.Refused`), never one of these.
"""

from __future__ import annotations

from checks.core.model import Cause, Reply


class CheckError(Exception):
    """Base of all errors that a path, a reader or the registry raises on purpose."""


class LocalFault(CheckError):
    """We could not do our part; it says nothing about the tenant, so the verdict is `unknown`.

    A path raises it only before anything was handed over. The message is one sentence for the operator: which
    file, host or key; what was found; what to do.
    """


class TokenRefused(CheckError):
    """The identity provider gave no token: it said no, or it did not answer.

    It has the parts of a `checks.core.model.Refused`, which a path makes of it; a reader makes a `MailboxUnreadable`
    of it. `endpoint` is "host:port"; `connected` tells whether there was a TCP connection for it just now;
    `retry_after` is the provider's own wish in seconds, where it states one.
    """

    def __init__(
        self,
        cause: Cause,
        endpoint: str,
        *,
        reply: Reply | None = None,
        detail: str = "",
        connected: bool = False,
        retry_after: float | None = None,
    ) -> None:
        why = "; ".join(str(part) for part in (reply, detail) if part)
        super().__init__(f"no token from {endpoint}: {why}")
        self.cause = cause
        self.endpoint = endpoint
        self.reply = reply
        self.detail = detail
        self.connected = connected
        self.retry_after = retry_after


class MailboxUnreadable(CheckError):
    """A mailbox could not be looked into.

    `reason` is a short fixed word for metrics (connect, tls, token, login, folder, throttled, closed, protocol,
    timeout),
    `retry_after` the server's own wish in seconds, where it states one.
    """

    def __init__(self, reason: str, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after
