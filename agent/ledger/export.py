"""Canaries as they are on record, for other tools to read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from agent.ledger import records
from agent.ledger.schema import canaries, runs, specs

_AT_ONCE = 1000


def rows(connection: Connection) -> Iterator[Mapping[str, Any]]:
    """Yield every canary, oldest first, as plain values: moments in ISO 8601 (UTC), durations in seconds."""
    query = (
        select(canaries, specs.c.check.label("spec_text"), runs.c.site, runs.c.simulated)
        .join(specs, specs.c.id == canaries.c.spec)
        .join(runs, runs.c.id == canaries.c.run)
        .order_by(canaries.c.seq)
        .execution_options(yield_per=_AT_ONCE)
    )
    for row in connection.execute(query):
        yield _plain(row)


def _plain(row: Row[Any]) -> Mapping[str, Any]:
    check = records.load_check(row.spec_text)
    return {
        "canary": row.id,
        "check": row.name,
        "path": check.path,
        "method": check.method,
        "mailbox": row.mailbox,
        "site": row.site,
        "simulated": row.simulated,
        "started_at": datetime.fromtimestamp(row.started_wall, UTC).isoformat(timespec="milliseconds"),
        "state": row.state,
        "verdict": row.verdict,
        "outcome": row.outcome,
        "reasons": [] if row.reasons is None else json.loads(row.reasons),
        "submission_seconds": row.submission,
        "delivery_seconds": row.delivery,
        "end_to_end_seconds": row.end_to_end,
        "observation_gap_seconds": row.observation_gap,
        "sightings": row.sightings,
        "recovered": row.recovered_at is not None,
        "attempt": None if row.attempt is None else {"kind": row.attempt_kind, **json.loads(row.attempt)},
    }
