"""Single canaries, and the newest of a check, with everything that is on record of them. Moments are Unix time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from agent.ledger import records, servers
from agent.ledger.schema import blind, bounces, canaries, evidence, failed, folders, sightings, specs
from checks.core.model import Attempt, Check, Transcript
from checks.core.servers import ServerTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRecord:
    """One canary. `seq` orders canaries by their start; one of a made-up past is `simulated`.

    `concluded` and `recovered` are None until it was. Durations are seconds, and None where they are not known.
    `attempt` has no dialogue: that is evidence. `token` is what its message is known by, empty where that is not on
    record; `deadline` is when it is lost unless it was seen.
    """

    seq: int
    canary: str
    check: Check
    started: float
    concluded: float | None
    recovered: float | None
    outcome: str | None
    verdict: str | None
    reasons: Sequence[str]
    attempt: Attempt | None
    submission: float | None
    delivery: float | None
    end_to_end: float | None
    observation_gap: float | None
    simulated: bool
    offset: float
    token: str
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Where it was seen: between `after` (None if nobody had looked) and `seen`. `deleted` is when we cleaned it up."""

    mailbox: str
    folder: str
    junk: bool
    seen: float
    after: float | None
    stored: float | None
    deleted: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounced:
    """A notification about it."""

    mailbox: str
    folder: str
    seen: float
    final: bool
    action: str
    status: str | None
    diagnostic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """When the newest complete look into a folder began that would have shown the canary."""

    mailbox: str
    folder: str
    began: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwatched:
    """A time in which nobody looked into a folder."""

    mailbox: str
    folder: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """Everything about one canary. `transcript` and `headers` are None where there were none, or they were pruned.

    `servers` is what the servers' clocks say of its way; None if it was not seen, or its headers were not read.
    `looked` and `unwatched` tell of the folders of its mailbox, where it was not seen.
    """

    record: CanaryRecord
    transcript: Transcript | None
    headers: bytes | None
    seen: Sequence[Seen]
    bounced: Sequence[Bounced]
    servers: ServerTimes | None = None
    looked: Sequence[Looked] = ()
    unwatched: Sequence[Unwatched] = ()


_MOST_UNWATCHED = 50
_SLOTS, _EACH, _FAILURES = 100, 3, 1000
_ROW: Select[Any] = select(canaries, specs.c.check).join(specs, specs.c.id == canaries.c.spec)


def newest(connection: Connection, check: str | None, before: int | None, limit: int) -> Sequence[CanaryRecord]:
    """Read the newest canaries of *check* (of all, if None) that were started before the one numbered *before*."""
    query = _ROW.order_by(canaries.c.seq.desc()).limit(limit)
    if check is not None:
        query = query.where(canaries.c.name == check)
    if before is not None:
        query = query.where(canaries.c.seq < before)
    return [_record(row) for row in connection.execute(query)]


def sampled(connection: Connection, check: str, since: float) -> Sequence[CanaryRecord]:
    """Read canaries of *check* from *since* (Unix time) on, spread evenly and newest first, and failures among them.

    At most `_SLOTS` times `_EACH` are read and the failures among the newest `_FAILURES` of all checks, however many
    there are: the cost does not grow with the time that is looked at.
    """
    start = select(canaries.c.seq).where(canaries.c.started_wall >= since).order_by(canaries.c.started_wall).limit(1)
    last = select(canaries.c.seq).where(canaries.c.name == check).order_by(canaries.c.seq.desc()).limit(1)
    low, high = connection.execute(start).scalar(), connection.execute(last).scalar()
    if low is None or high is None or high < low:
        return []
    width = max(1, -(-(high + 1 - low) // _SLOTS))
    found: dict[int, CanaryRecord] = {}
    for begin in range(low, high + 1, width):
        slot = _ROW.where(canaries.c.name == check, canaries.c.seq >= begin, canaries.c.seq < begin + width)
        for row in connection.execute(slot.order_by(canaries.c.seq).limit(_EACH)):
            found[row.seq] = _record(row)
    newest_failed = (
        select(canaries.c.seq, canaries.c.name)
        .where(failed, canaries.c.started_wall >= since)
        .order_by(canaries.c.started_wall.desc())
        .limit(_FAILURES)
        .subquery()
    )
    of_check = select(newest_failed.c.seq).where(newest_failed.c.name == check).limit(_SLOTS)
    for row in connection.execute(_ROW.where(canaries.c.seq.in_(of_check))):
        found[row.seq] = _record(row)
    return [found[seq] for seq in sorted(found, reverse=True)]


def one(connection: Connection, canary: str) -> CaseFile | None:
    """Read everything about one canary; None if there is none of that id."""
    row = connection.execute(_ROW.where(canaries.c.id == canary)).one_or_none()
    if row is None:
        return None
    record = _record(row)
    about = select(evidence.c.kind, evidence.c.content).where(evidence.c.canary == canary)
    kept = {row.kind: row.content for row in connection.execute(about)}
    offset = record.offset
    told = servers.read(connection, canary)
    unseen = not row.sightings
    return CaseFile(
        looked=_looked(connection, row) if unseen else (),
        unwatched=_unwatched(connection, row) if unseen else (),
        servers=told[0] if told else None,
        record=record,
        transcript=records.load_transcript(kept["transcript"]) if "transcript" in kept else None,
        headers=records.unpack(kept["headers"]) if "headers" in kept else None,
        seen=[
            Seen(
                mailbox=row.mailbox,
                folder=row.folder,
                junk=row.junk,
                seen=row.seen_at + offset,
                after=None if row.after_at is None else row.after_at + offset,
                stored=row.stored_wall,
                deleted=None if row.deleted_at is None else row.deleted_at + offset,
            )
            for row in connection.execute(
                select(sightings).where(sightings.c.canary == canary).order_by(sightings.c.seen_at)
            )
        ],
        bounced=[
            Bounced(
                mailbox=row.mailbox,
                folder=row.folder,
                seen=row.seen_at + offset,
                final=row.final,
                action=row.action,
                status=row.status,
                diagnostic=row.diagnostic,
            )
            for row in connection.execute(select(bounces).where(bounces.c.canary == canary).order_by(bounces.c.seen_at))
        ],
    )


def _looked(connection: Connection, row: Row[Any]) -> Sequence[Looked]:
    offset = row.started_wall - row.started_at
    of_it = (folders.c.mailbox == row.mailbox) & (folders.c.looked_at >= row.started_at)
    known = connection.execute(select(folders).where(of_it, folders.c.since_at <= row.started_at))
    return [Looked(mailbox=one.mailbox, folder=one.folder, began=one.looked_at + offset) for one in known]


def _unwatched(connection: Connection, row: Row[Any]) -> Sequence[Unwatched]:
    offset = row.started_wall - row.started_at
    spans = select(blind).where(
        blind.c.mailbox == row.mailbox, blind.c.ended_at > row.started_at, blind.c.began_at < row.deadline_at
    )
    return [
        Unwatched(mailbox=one.mailbox, folder=one.folder, began=one.began_at + offset, ended=one.ended_at + offset)
        for one in connection.execute(spans.order_by(blind.c.ended_at).limit(_MOST_UNWATCHED))
    ]


def _record(row: Row[Any]) -> CanaryRecord:
    offset = row.started_wall - row.started_at
    return CanaryRecord(
        seq=row.seq,
        canary=row.id,
        check=records.load_check(row.check),
        started=row.started_wall,
        concluded=None if row.concluded_at is None else row.concluded_at + offset,
        recovered=None if row.recovered_at is None else row.recovered_at + offset,
        outcome=row.outcome,
        verdict=row.verdict,
        reasons=json.loads(row.reasons) if row.reasons else (),
        attempt=records.load_attempt(row.attempt_kind, row.attempt),
        submission=row.submission,
        delivery=row.delivery,
        end_to_end=row.end_to_end,
        observation_gap=row.observation_gap,
        simulated=row.seq < 0,
        offset=offset,
        token=records.token_of(row),
        deadline=row.deadline_at + offset,
    )
