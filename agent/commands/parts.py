"""What the commands make of the settings beside paths and mailbox readers."""

from __future__ import annotations

from agent.config.settings import Settings
from agent.probe import SigningKey


def signing_keys(settings: Settings) -> list[SigningKey]:
    """Read the keys that canaries are signed with; the first one signs.

    Raises:
        checks.errors.LocalFault: one cannot be read.
    """
    return [SigningKey(name, source().encode()) for name, source in settings.signing_keys.items()]


def addresses(settings: Settings) -> dict[str, list[str]]:
    """List, for each mailbox, the addresses that canaries reach it by: its own, and what checks send to it."""
    found: dict[str, set[str]] = {
        name: {address} if (address := mailbox.text("address")) else set()
        for name, mailbox in settings.mailboxes.items()
    }
    for check in settings.checks.values():
        found[check.mailbox].add(check.recipient)
    return {name: sorted(known) for name, known in found.items()}
