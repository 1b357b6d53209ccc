"""Since when the histograms count: they begin anew with other buckets, while every other total goes on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, func, insert, select

from agent.ledger.schema import canaries, histograms, meta, totals
from checks.core import verdict

_NAME = "histograms_since"


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """The moment from which on every canary that is seen is in the histograms.

    `bounds` are their buckets since then. `seen` tells, by check, how many canaries had been seen without being in
    them, and `concluded_at` when the newest canary had been concluded: what is newer was concluded since.
    """

    bounds: Sequence[float]
    seen: Mapping[str, int]
    concluded_at: float


def since(connection: Connection) -> Since | None:
    """Tell since when the histograms count; None if no agent has written it down."""
    found = connection.execute(select(meta.c.value).where(meta.c.name == _NAME)).scalar()
    return None if found is None else Since(**json.loads(found))


def mark(connection: Connection, bounds: Sequence[float]) -> None:
    """Write down that from now on every canary that is seen comes into the histograms, with these *bounds*.

    What they hold already is taken for right.
    """
    before = seen(connection)
    before.subtract(held(connection, "end_to_end"))
    newest = connection.execute(select(func.max(canaries.c.concluded_at))).scalar()
    now = Since(
        bounds=list(bounds),
        seen={name: number for name, number in before.items() if number > 0},
        concluded_at=0.0 if newest is None else newest,
    )
    connection.execute(delete(meta).where(meta.c.name == _NAME))
    connection.execute(insert(meta).values(name=_NAME, value=json.dumps(asdict(now))))


def seen(connection: Connection) -> Counter[str]:
    """Count the canaries of each check that were seen, by the counters: rows may have been pruned."""
    found: Counter[str] = Counter()
    for row in connection.execute(select(totals).where(totals.c.metric == "canaries")):
        if json.loads(row.labels)["outcome"] in verdict.SEEN:
            found[row.owner] += int(row.value)
    return found


def held(connection: Connection, family: str) -> Counter[str]:
    """Count what the histograms of each check hold."""
    found: Counter[str] = Counter()
    for row in connection.execute(select(histograms).where(histograms.c.family == family)):
        found[row.owner] += sum(json.loads(row.counts))
    return found
