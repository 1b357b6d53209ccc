"""Which messages in the mailboxes are ours, and which of those may go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, select, update

from agent.ledger import records
from agent.ledger.schema import bounces, canaries, copies, folders, sightings, specs
from agent.ledger.writer import Transaction
from checks.core.model import MessageRef


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCanary:
    """What the ledger says of a canary that somebody claims to have seen.

    `watched` tells whether its mailbox is; `signature` is that of its token, empty where it is not on record.
    """

    id: str
    check: str
    mailbox: str
    watched: bool
    signature: str
    sender: str
    recipient: str
    started_at: float
    concluded: bool
    authserv_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One message of our own in a mailbox: a canary, a copy of one among what was sent, or a bounce of one."""

    kind: str
    seq: int
    canary: str
    ref: MessageRef


_TABLES: Mapping[str, Table] = {"sighting": sightings, "copy": copies, "bounce": bounces}


def known(connection: Connection, ids: Sequence[str]) -> dict[str, KnownCanary]:
    """Read the canaries with these ids."""
    watched = select(folders.c.folder).where(folders.c.mailbox == canaries.c.mailbox).exists()
    rows = connection.execute(
        select(canaries, specs.c.check, watched.label("watched"))
        .join(specs, specs.c.id == canaries.c.spec)
        .where(canaries.c.id.in_(ids))
    )
    found = {}
    for row in rows:
        check = records.load_check(row.check)
        found[row.id] = KnownCanary(
            id=row.id,
            check=row.name,
            mailbox=row.mailbox,
            watched=row.watched,
            signature=row.signature or "",
            sender=check.sender,
            recipient=check.recipient,
            started_at=row.started_at,
            concluded=row.outcome is not None,
            authserv_ids=check.expect.authserv_ids,
        )
    return found


def deletable(connection: Connection, mailbox: str, before: float, limit: int) -> list[Stored]:
    """List what was recognised in *mailbox* before a moment and has not been deleted, oldest first.

    Of each folder and kind it is *limit* at most, so that what cannot be deleted in one folder fills no other's place.
    """
    found: list[Stored] = []
    for kind, table in _TABLES.items():
        old = (table.c.mailbox == mailbox) & table.c.deleted_at.is_(None) & (table.c.seen_at < before)
        for folder in connection.scalars(select(table.c.folder).where(old).distinct()).all():
            oldest = select(table).where(old, table.c.folder == folder).order_by(table.c.seen_at).limit(limit)
            found.extend(_stored(kind, row) for row in connection.execute(oldest))
    return found


def _stored(kind: str, row: Row[Any]) -> Stored:
    ref = MessageRef(folder=row.folder, validity=row.validity, uid=row.uid)
    return Stored(kind=kind, seq=row.seq, canary=row.canary, ref=ref)


def deleted(transaction: Transaction, stored: Sequence[Stored], *, at: float) -> None:
    """Note that messages are gone from their mailbox."""
    for one in stored:
        table = _TABLES[one.kind]
        transaction.connection.execute(update(table).where(table.c.seq == one.seq).values(deleted_at=at))
