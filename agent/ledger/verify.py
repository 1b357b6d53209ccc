"""Hold the books against the rows: nothing may be lost, and nothing counted twice."""

from __future__ import annotations

import json
from collections import Counter

from sqlalchemy import Connection, func, select, true

from agent.ledger.beginning import began_anew
from agent.ledger.schema import canaries, histograms, meta, runs, totals
from checks.core import verdict

_REAL = select(runs.c.id).where(~runs.c.simulated)  # a made-up past is on record, but never counted


def problems(connection: Connection) -> list[str]:
    """List what does not add up, in words; empty if the books are right."""
    return [*_conservation(connection), *_rows_against_totals(connection), *_histograms(connection)]


def _conservation(connection: Connection) -> list[str]:
    """Started = concluded + in flight, for every check."""
    by_metric: dict[str, Counter[str]] = {"canaries_started": Counter(), "canaries": Counter()}
    for row in connection.execute(select(totals).where(totals.c.metric.in_(by_metric))):
        by_metric[row.metric][row.owner] += int(row.value)
    in_flight = Counter(
        {
            row.name: row.number
            for row in connection.execute(
                select(canaries.c.name, func.count().label("number"))
                .where(canaries.c.outcome.is_(None))
                .group_by(canaries.c.name)
            )
        }
    )
    started, concluded = by_metric["canaries_started"], by_metric["canaries"]
    return [
        f"check {name}: {started[name]} started, but {concluded[name]} concluded and {in_flight[name]} in flight"
        for name in sorted({*started, *concluded, *in_flight})
        if started[name] != concluded[name] + in_flight[name]
    ]


def _rows_against_totals(connection: Connection) -> list[str]:
    """Concluded rows by outcome are at most what was counted (older ones may have been pruned)."""
    pruned = connection.execute(select(meta.c.value).where(meta.c.name == "pruned_at")).scalar() is not None
    anew = began_anew(connection)  # what was concluded before is on record, but counted no more
    counts = canaries.c.concluded_at > anew.at if anew else true()
    counted: Counter[tuple[str, str]] = Counter()
    for row in connection.execute(select(totals).where(totals.c.metric == "canaries")):
        counted[row.owner, json.loads(row.labels)["outcome"]] += int(row.value)
    rows = Counter(
        {
            (row.name, row.outcome): row.number
            for row in connection.execute(
                select(canaries.c.name, canaries.c.outcome, func.count().label("number"))
                .where(canaries.c.outcome.is_not(None), canaries.c.run.in_(_REAL), counts)
                .group_by(canaries.c.name, canaries.c.outcome)
            )
        }
    )
    return [
        f"check {name}: {rows[name, outcome]} canaries {outcome} on record, but {counted[name, outcome]} counted"
        for name, outcome in sorted({*counted, *rows})
        if rows[name, outcome] > counted[name, outcome] or (not pruned and rows[name, outcome] < counted[name, outcome])
    ]


def _histograms(connection: Connection) -> list[str]:
    """A histogram never holds more deliveries than canaries were seen."""
    seen: Counter[str] = Counter()
    for row in connection.execute(select(totals).where(totals.c.metric == "canaries")):
        if json.loads(row.labels)["outcome"] in verdict.SEEN:
            seen[row.owner] += int(row.value)
    held: Counter[str] = Counter()
    for row in connection.execute(select(histograms).where(histograms.c.family == "end_to_end")):
        held[row.owner] += sum(json.loads(row.counts))
    return [
        f"check {name}: {held[name]} latencies in the histogram, but only {seen[name]} canaries were seen"
        for name in sorted(held)
        if held[name] > seen[name]
    ]


def count_canaries(connection: Connection) -> int:
    """Count the canaries on record, for the summary line."""
    return int(connection.execute(select(func.count()).select_from(canaries)).scalar_one())
