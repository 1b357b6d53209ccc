"""What the servers' clocks say of one canary, put together from its row, its attempt and its first sighting."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, select

from agent.ledger import records
from agent.ledger.schema import canaries, sightings
from checks.core.model import Accepted, Refused
from checks.core.servers import Known, ServerTimes, server_times

_FIRST_SIGHTING = (
    select(
        canaries.c.started_at,
        canaries.c.started_wall,
        canaries.c.attempt_kind,
        canaries.c.attempt,
        sightings.c.seen_at,
        sightings.c.after_at,
        sightings.c.stored_wall,
        sightings.c.findings,
    )
    .join(sightings, sightings.c.canary == canaries.c.id)
    .where(canaries.c.id == bindparam("canary"))
    .order_by(sightings.c.seen_at)
    .limit(1)
)


def read(connection: Connection, canary: str) -> tuple[ServerTimes, int | None] | None:
    """Read the series of a canary, and the spam confidence level; None if it was not seen, or its headers not read."""
    row = connection.execute(_FIRST_SIGHTING, {"canary": canary}).one_or_none()
    findings = None if row is None else records.load_findings(row.findings)
    if row is None or findings is None:
        return None
    wall = row.started_wall - row.started_at
    attempt = records.load_attempt(row.attempt_kind, row.attempt)
    handed_over = attempt.transcript if isinstance(attempt, Accepted | Refused) else None
    known = Known(
        began_at=wall + (handed_over.began_at if handed_over else row.started_at),
        accepted_at=wall + attempt.transcript.ended_at if isinstance(attempt, Accepted) else None,
        after_at=None if row.after_at is None else wall + row.after_at,
        seen_at=wall + row.seen_at,
    )
    stored = None if row.stored_wall is None else datetime.fromtimestamp(row.stored_wall, UTC)
    times = server_times(
        findings.hops,
        end_to_end=findings.end_to_end_latency,
        arrived=findings.arrived,
        stored=stored,
        known=known,
    )
    return times, findings.scl
