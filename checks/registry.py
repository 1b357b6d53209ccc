"""Find sending paths and mailbox readers by the kind that the settings name."""

from __future__ import annotations

import difflib
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from checks.errors import CheckError

PATHS = "relaycanary.paths"
MAILBOXES = "relaycanary.mailboxes"


class UnknownPlugin(CheckError):
    """The settings name a kind that nothing registers, or that two distributions register."""


def kinds(group: str) -> list[str]:
    """List the kinds registered under *group*, without importing them."""
    return sorted({point.name for point in entry_points(group=group)})


def load(group: str, kind: str) -> type[Any]:
    """Import and return the class registered as *kind*.

    Raises:
        UnknownPlugin: nothing, or more than one distribution, registers the kind.
    """
    found: tuple[EntryPoint, ...] = tuple(entry_points(group=group, name=kind))
    if not found:
        close = difflib.get_close_matches(kind, kinds(group), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UnknownPlugin(f"{kind!r} is not one of {', '.join(kinds(group))}{hint}")
    if len({point.value for point in found}) > 1:
        raise UnknownPlugin(f"{kind!r} is registered twice, by {' and by '.join(p.value for p in found)}")
    loaded: type[Any] = found[0].load()
    return loaded
