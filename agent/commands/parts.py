"""What the commands make of the settings beside paths and mailbox readers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from agent.config.model import PasswordCredential
from agent.config.pieces import ledger_file
from agent.config.secrets import SecretSource
from agent.config.settings import Settings
from agent.probe import SigningKey
from agent.report.archive import Archive


def signing_keys(settings: Settings) -> list[SigningKey]:
    """Read the keys that canaries are signed with; the first one signs.

    Raises:
        checks.errors.LocalFault: one cannot be read.
    """
    return [SigningKey(name, source().encode()) for name, source in settings.signing_keys.items()]


def users(settings: Settings) -> dict[str, Callable[[], str]]:
    """Tell, for each user who may read over HTTP, how the hash of the password is read."""
    return {
        name: partial(str, hashed) if isinstance(hashed, str) else SecretSource(hashed)
        for name, hashed in settings.web.users.items()
    }


def archive_of(settings: Settings) -> Archive:
    """Return where the issues of the report are kept: beside the ledger."""
    return Archive(ledger_file(settings.agent.ledger).parent / "reports")


def addresses(settings: Settings) -> dict[str, list[str]]:
    """List, for each mailbox, the addresses that canaries reach it by: its own, and what checks send to it."""
    found: dict[str, set[str]] = {
        name: {address} if (address := mailbox.text("address")) else set()
        for name, mailbox in settings.mailboxes.items()
    }
    for check in settings.checks.values():
        found[check.mailbox].add(check.recipient)
    return {name: sorted(known) for name, known in found.items()}


def sent_items(settings: Settings) -> frozenset[str]:
    """Name the mailboxes in which copies of what was sent are to be cleaned up."""
    return frozenset(name for path in settings.paths.values() if (name := path.text("sent_items")) is not None)


def accounts(settings: Settings) -> dict[str, str]:
    """Tell, for each mailbox, which one it is: its server, its address, and the user whose password opens it.

    A bearer token does not say which mailbox is meant; the address does.
    """
    found = {}
    for name, mailbox in settings.mailboxes.items():
        credential = settings.sections.credentials.get(mailbox.text("credential") or "")
        user = credential.username if isinstance(credential, PasswordCredential) else ""
        port = getattr(mailbox.settings, "port", "")
        server = f"{mailbox.kind} {(mailbox.text('host') or '').lower()} {port}"
        found[name] = f"{server} {mailbox.text('address') or ''} {user}"
    return found
