"""Read everything that a verdict depends on, for the canaries that are due."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from agent.ledger import records
from agent.ledger.schema import blind, bounces, canaries, folders, sightings, specs, totals
from checks.core.lifecycle import State
from checks.core.model import BlindSpan, Bounce, Canary, Facts, MessageRef, Sighting, Watching

ATTRIBUTED = "canaries_attributed"
"""Running total of a check: sightings that carried the header of the tenant's connector."""


@dataclass(frozen=True, slots=True)
class Due:
    """The facts of one canary, and how many had come in when they were read."""

    facts: Facts
    version: int


def due(connection: Connection, now: float, limit: int) -> list[Due]:
    """Read the canaries in flight that are due for judging, oldest first."""
    rows = connection.execute(
        select(canaries, specs.c.check)
        .join(specs, specs.c.id == canaries.c.spec)
        .where(canaries.c.outcome.is_(None), canaries.c.due_at <= now)
        .order_by(canaries.c.due_at)
        .limit(limit)
    ).all()
    if not rows:
        return []
    ids = [row.id for row in rows]
    seen = _sightings(connection, ids)
    bounced = _bounces(connection, ids)
    oldest: dict[str, float] = {}
    for row in rows:
        oldest[row.mailbox] = min(row.started_at, oldest.get(row.mailbox, row.started_at))
    watching = {mailbox: _watching(connection, mailbox, since) for mailbox, since in oldest.items()}
    attributed = _attributed(connection, {row.name for row in rows})
    return [
        _due(row, seen.get(row.id, ()), bounced.get(row.id, ()), watching[row.mailbox], row.name in attributed)
        for row in rows
    ]


def next_due(connection: Connection) -> float | None:
    """Tell when the next canary in flight is due; None if none is."""
    found = connection.execute(select(func.min(canaries.c.due_at)).where(canaries.c.outcome.is_(None))).scalar()
    return None if found is None else float(found)


def oldest_in_flight(connection: Connection) -> float | None:
    """Tell when the oldest of the canaries in flight was started; None if none is."""
    found = connection.execute(select(func.min(canaries.c.started_at)).where(canaries.c.outcome.is_(None))).scalar()
    return None if found is None else float(found)


def _attributed(connection: Connection, names: Collection[str]) -> set[str]:
    """Name the checks on which the connector's header has been seen."""
    seen = select(totals.c.owner).where(totals.c.metric == ATTRIBUTED, totals.c.owner.in_(names), totals.c.value > 0)
    return set(connection.execute(seen).scalars())


def _due(
    row: Row[Any], seen: Sequence[Sighting], bounced: Sequence[Bounce], watching: Watching, attributed: bool
) -> Due:
    facts = Facts(
        canary=Canary(
            id=row.id,
            check=records.load_check(row.check),
            slot=row.slot,
            started_at=row.started_at,
            started=datetime.fromtimestamp(row.started_wall, UTC),
            key=row.key or "",
            signature=row.signature or "",
        ),
        attempt=records.load_attempt(row.attempt_kind, row.attempt),
        abandoned=row.state == State.IN_DOUBT and row.attempt_kind is None,
        online=row.online,
        sightings=seen,
        bounces=bounced,
        watching=watching,
        attribution_known=attributed,
    )
    return Due(facts, row.facts)


def _sightings(connection: Connection, ids: Sequence[str]) -> dict[str, list[Sighting]]:
    found: dict[str, list[Sighting]] = {}
    for row in connection.execute(select(sightings).where(sightings.c.canary.in_(ids))):
        sighting = Sighting(
            canary=row.canary,
            ref=MessageRef(folder=row.folder, validity=row.validity, uid=row.uid),
            seen_at=row.seen_at,
            after_at=row.after_at,
            junk=row.junk,
            stored=None if row.stored_wall is None else datetime.fromtimestamp(row.stored_wall, UTC),
            findings=records.load_findings(row.findings),
        )
        found.setdefault(row.canary, []).append(sighting)
    return found


def _bounces(connection: Connection, ids: Sequence[str]) -> dict[str, list[Bounce]]:
    found: dict[str, list[Bounce]] = {}
    for row in connection.execute(select(bounces).where(bounces.c.canary.in_(ids))):
        bounce = Bounce(
            canary=row.canary,
            seen_at=row.seen_at,
            final=row.final,
            action=row.action,
            status=row.status,
            diagnostic=row.diagnostic,
        )
        found.setdefault(row.canary, []).append(bounce)
    return found


def _watching(connection: Connection, mailbox: str, since: float) -> Watching:
    looked = connection.execute(
        select(folders.c.folder, folders.c.looked_at, folders.c.since_at).where(folders.c.mailbox == mailbox)
    ).all()
    spans = connection.execute(
        select(blind.c.began_at, blind.c.ended_at).where(blind.c.mailbox == mailbox, blind.c.ended_at >= since)
    ).all()
    return Watching(
        looked_at={row.folder: row.looked_at for row in looked},
        blind=[BlindSpan(began_at=row.began_at, ended_at=row.ended_at) for row in spans],
        since_at=max((row.since_at for row in looked), default=0.0),
    )
