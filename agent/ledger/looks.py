"""What was found in a mailbox: sightings, bounces and the cursor, written in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from agent.ledger import canaries as facts
from agent.ledger import records
from agent.ledger.facts import ATTRIBUTED
from agent.ledger.schema import blind, bounces, canaries, copies, evidence, folders, sightings, specs
from agent.ledger.totals import Changes
from agent.ledger.writer import Transaction
from checks.core.lifecycle import State
from checks.core.model import Bounce, Findings, MessageRef, Sighting

# What every sighting needs is built once: building a statement takes several times as long as SQLite takes to run it.
_OF_CANARY = canaries.c.id == bindparam("canary")
_FOUND = (
    select(canaries.c.name, canaries.c.sightings, canaries.c.outcome, specs.c.check)
    .join(specs, specs.c.id == canaries.c.spec)
    .where(_OF_CANARY)
)
_SIGHT = insert(sightings)
_SIGHTED = update(canaries).where(_OF_CANARY)
_SIGHTED_IN_FLIGHT = _SIGHTED.values(facts=canaries.c.facts + 1)
_HERE = (sightings.c.mailbox == bindparam("mailbox")) & (sightings.c.folder == bindparam("folder"))
_SAME = select(sightings.c.seq, sightings.c.canary).where(
    _HERE, sightings.c.validity == bindparam("validity"), sightings.c.uid == bindparam("uid")
)
_RENUMBERED = (
    select(sightings.c.seq)
    .where(_HERE, sightings.c.canary == bindparam("canary"), sightings.c.validity != bindparam("validity"))
    .limit(1)
)
_LOOKED_AT = select(folders.c.looked_at).where(
    folders.c.mailbox == bindparam("mailbox"), folders.c.folder == bindparam("folder")
)
_STILL_WATCHED = (
    select(func.count())
    .select_from(sightings)
    .join(folders, (folders.c.mailbox == sightings.c.mailbox) & (folders.c.folder == sightings.c.folder))
    .where(sightings.c.canary == bindparam("canary"), sightings.c.seen_at >= folders.c.watched_at)
)
_HAS_HEADERS = (
    select(evidence.c.canary).where(evidence.c.canary == canaries.c.id, evidence.c.kind == "headers").exists()
)
_WITHOUT_HEADERS = select(canaries.c.id).where(_OF_CANARY, ~_HAS_HEADERS)
_KEEP = insert(evidence)

USUAL_GAP = 125.0
"""Seconds between two complete looks while all is well, at most: they come every minute, and one may fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBounce:
    """A bounce, and where it lies."""

    bounce: Bounce
    ref: MessageRef


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCopy:
    """A copy of a canary in the mailbox that sent it, and where it lies."""

    canary: str
    ref: MessageRef


@dataclass(frozen=True, slots=True, kw_only=True)
class LookRecord:
    """One page of one look, interpreted. `blind_after` is how far two complete looks may lie apart, in seconds.

    `account` says whose mailbox was looked into.
    """

    mailbox: str
    folder: str
    account: str = ""
    began_at: float
    answered_at: float
    cursor: str
    complete: bool
    blind_after: float
    sightings: Sequence[Sighting] = ()
    bounces: Sequence[FoundBounce] = ()
    copies: Sequence[FoundCopy] = ()
    headers: Mapping[str, bytes] = field(default_factory=dict)
    ignored: Mapping[str, int] = field(default_factory=dict)


def record(transaction: Transaction, look: LookRecord) -> bool:
    """Write down what one page of a look showed; tell whether that made any canary due for judging."""
    for found in look.sightings:
        _sight(transaction, look, found)
    for found_bounce in look.bounces:
        _bounce(transaction.connection, look.mailbox, found_bounce)
    for copy in look.copies:
        _copy(transaction.connection, look, copy)
    for canary, headers in look.headers.items():
        _keep(transaction.connection, canary, headers, look.answered_at)
    for reason, count in look.ignored.items():
        transaction.changes.count(look.mailbox, "messages_ignored", {"reason": reason}, count)
    waiting = _advance(transaction.connection, look)
    return bool(waiting or look.sightings or look.bounces)


def watch_only(
    connection: Connection, watched: Mapping[str, Sequence[str]], accounts: Mapping[str, str], *, at: float
) -> None:
    """Forget the folders that are no longer watched, so that nothing waits for a look that never comes.

    A mailbox that is another account than before begins anew: a cursor of the old one would pass over mail.
    """
    since: dict[str, float] = {}
    kept: set[tuple[str, str]] = set()
    for row in connection.execute(select(folders)).all():
        this = (folders.c.mailbox == row.mailbox) & (folders.c.folder == row.folder)
        account = accounts.get(row.mailbox, "")
        if row.folder not in watched.get(row.mailbox, ()) or row.account not in {None, account}:
            connection.execute(delete(folders).where(this))
            continue
        connection.execute(update(folders).where(this).values(account=account))
        since[row.mailbox] = row.since_at
        kept.add((row.mailbox, row.folder))
    for mailbox, names in watched.items():
        for name in names:
            if (mailbox, name) not in kept:
                values = {"account": accounts.get(mailbox, ""), "since_at": since.get(mailbox, at), "watched_at": at}
                connection.execute(insert(folders).values(mailbox=mailbox, folder=name, **values))


def _sight(transaction: Transaction, look: LookRecord, found: Sighting) -> None:
    connection = transaction.connection
    row = connection.execute(_FOUND, {"canary": found.canary}).one_or_none()
    if row is None or _known(connection, look, found):
        return
    anew = row.sightings > 0 and _found_anew(connection, look, found.canary, row.sightings)
    sighting = {
        "canary": found.canary,
        "mailbox": look.mailbox,
        "seen_at": found.seen_at,
        "after_at": found.after_at,
        "junk": found.junk,
        "stored_wall": None if found.stored is None else found.stored.timestamp(),
        "findings": records.dump_findings(found.findings),
        **_place(found.ref),
    }
    connection.execute(_SIGHT, sighting)
    change = {"canary": found.canary, "sightings": row.sightings + (not anew)}
    if row.outcome is None:
        connection.execute(_SIGHTED_IN_FLIGHT, {**change, "due_at": found.seen_at})
    else:
        connection.execute(_SIGHTED, change)
        facts.recover(transaction, [found.canary], at=found.seen_at)
    if not anew:
        method = records.load_check(row.check).method
        if row.sightings:
            transaction.changes.count(row.name, "canaries_duplicates", {"method": method})
        if found.findings is not None:
            _count(transaction.changes, row.name, method, found.findings)


def _count(changes: Changes, check: str, method: str, findings: Findings) -> None:
    if findings.attributed:
        changes.count(check, ATTRIBUTED, {"method": method})
    for mechanism, result in findings.results.items():
        changes.count(check, "authentication", {"method": method, "mechanism": mechanism, "result": result})


def _found_anew(connection: Connection, look: LookRecord, canary: str, messages: int) -> bool:
    """Tell whether a sighting is one of the *messages* that were counted, in a place that the settings renamed since.

    A mailbox by another name, or read in another way, is looked through from its beginning: what was seen in places
    that are no longer watched, or were not for a while, is found there one for one. What turns up after that is new.
    """
    here = {"mailbox": look.mailbox, "folder": look.folder}
    if connection.execute(_LOOKED_AT, here).scalar() is not None:
        return False
    watched: int = connection.execute(_STILL_WATCHED, {"canary": canary}).scalar_one()
    return watched < messages


def _known(connection: Connection, look: LookRecord, found: Sighting) -> bool:
    """Tell whether this very message was written down before, and keep track of it where it was renumbered.

    A place that another canary had is another mailbox's: of the account that had this name before, or of a server
    that was set back.
    """
    place = {"mailbox": look.mailbox, **_place(found.ref)}
    same = connection.execute(_SAME, place).first()
    if same is not None and same.canary == found.canary:
        return True
    if same is not None:
        gone = {"validity": f"{found.ref.validity[:40]} {same.seq}", "deleted_at": found.seen_at}
        connection.execute(update(sightings).where(sightings.c.seq == same.seq).values(**gone))
    renumbered = connection.execute(_RENUMBERED, {**place, "canary": found.canary}).scalar()
    if renumbered is None:
        return False
    connection.execute(
        update(sightings)
        .where(sightings.c.seq == renumbered)
        .values(validity=found.ref.validity, uid=found.ref.uid, deleted_at=None)
    )
    return True


def _bounce(connection: Connection, mailbox: str, found: FoundBounce) -> None:
    place = _place(found.ref)
    same = [bounces.c[name] == value for name, value in place.items()]
    about = bounces.c.canary == found.bounce.canary
    if connection.execute(select(bounces.c.seq).where(bounces.c.mailbox == mailbox, about, *same)).first():
        return
    if not connection.execute(select(canaries.c.id).where(canaries.c.id == found.bounce.canary)).first():
        return
    bounce = found.bounce
    connection.execute(
        insert(bounces).values(
            canary=bounce.canary,
            mailbox=mailbox,
            seen_at=bounce.seen_at,
            final=bounce.final,
            action=bounce.action,
            status=bounce.status,
            diagnostic=bounce.diagnostic,
            **place,
        )
    )
    connection.execute(
        update(canaries)
        .where(canaries.c.id == bounce.canary, canaries.c.outcome.is_(None))
        .values(due_at=bounce.seen_at, facts=canaries.c.facts + 1)
    )


def _copy(connection: Connection, look: LookRecord, found: FoundCopy) -> None:
    place = _place(found.ref)
    same = [copies.c[name] == value for name, value in place.items()]
    if connection.execute(select(copies.c.seq).where(copies.c.mailbox == look.mailbox, *same)).first():
        return
    if connection.execute(select(canaries.c.id).where(canaries.c.id == found.canary)).first():
        connection.execute(
            insert(copies).values(canary=found.canary, mailbox=look.mailbox, seen_at=look.answered_at, **place)
        )


def _keep(connection: Connection, canary: str, headers: bytes, at: float) -> None:
    if connection.execute(_WITHOUT_HEADERS, {"canary": canary}).first() is not None:
        connection.execute(_KEEP, {"canary": canary, "kind": "headers", "at": at, "content": records.pack(headers)})


def _advance(connection: Connection, look: LookRecord) -> int:
    """Move the cursor; a complete look also moves `looked_at`, notes blindness, and wakes canaries past their deadline.

    Return how many canaries it woke.
    """
    here = (folders.c.mailbox == look.mailbox) & (folders.c.folder == look.folder)
    row = connection.execute(
        select(folders.c.looked_at, folders.c.watched_at, folders.c.account).where(here)
    ).one_or_none()
    values: dict[str, Any] = {"cursor": look.cursor}
    if look.complete:
        values["looked_at"] = look.began_at
    if row is None or row.account not in {None, look.account}:
        return 0  # a reload took the folder away, or gave its name to another account, while the look was under way
    connection.execute(update(folders).where(here).values(**values))
    if not look.complete:
        return 0
    before = row.watched_at if row.looked_at is None else row.looked_at
    if look.began_at - before > look.blind_after:
        connection.execute(
            insert(blind).values(mailbox=look.mailbox, folder=look.folder, began_at=before, ended_at=look.began_at)
        )
    oldest, since_at, folders_, looked_into = connection.execute(
        select(
            func.min(folders.c.looked_at),
            func.max(folders.c.since_at),
            func.count(),
            func.count(folders.c.looked_at),
        ).where(folders.c.mailbox == look.mailbox)
    ).one()
    if looked_into < folders_:
        return 0
    return connection.execute(
        update(canaries)
        .where(
            canaries.c.mailbox == look.mailbox,
            canaries.c.outcome.is_(None),
            canaries.c.state != State.STARTED,  # no look decides about what is still being sent
            canaries.c.deadline_at <= oldest,
            canaries.c.started_at >= since_at,
        )
        .values(due_at=look.began_at, facts=canaries.c.facts + 1)
    ).rowcount


def _place(ref: MessageRef) -> dict[str, str]:
    return {"folder": ref.folder, "validity": ref.validity, "uid": ref.uid}
