"""What there is in a mailbox apart from messages: what readers tell who looks around."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """A folder as the server tells it. `attributes` are without backslash, in lower case ("junk", "noselect")."""

    name: str
    attributes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Quota:
    """How full the mailbox is, in bytes."""

    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class ServerTime:
    """What the server says the time is (RFC 9110 6.6.1, whole seconds), and our wall clock when it said so."""

    theirs: datetime
    ours: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What the server tells after the login; None and empty for what it does not tell.

    `unopened` has, by name, what the server said to each watched folder that cannot be opened; `chain` the server's
    certificates in DER, leaf first.
    """

    folders: Sequence[FolderEntry]
    unopened: Mapping[str, str]
    quota: Quota | None = None
    chain: Sequence[bytes] = ()
    time: ServerTime | None = None
