"""Hold the books against the rows: nothing may be lost, and nothing counted twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

from sqlalchemy import Connection, func, select, true

from agent.ledger import counting
from agent.ledger.beginning import began_anew
from agent.ledger.schema import canaries, meta, runs, totals
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
    """Every canary that was seen since the histograms began is in them, once."""
    began = counting.since(connection)
    seen, held = counting.seen(connection), counting.held(connection, "end_to_end")
    if began is None:  # no agent has been at work with it since this is on record
        wrong = {name: seen[name] for name in held if held[name] > seen[name]}
    else:
        seen.subtract(began.seen)
        wrong = {name: seen[name] for name in {*seen, *held} if held[name] != seen[name]}
    return [
        f"check {name}: {held[name]} end-to-end latencies in the histogram, but {wrong[name]} canaries were seen"
        for name in sorted(wrong)
    ] + ([] if began is None else _deliveries(connection, held, began.concluded_at))


def _deliveries(connection: Connection, seen: Mapping[str, int], since: float) -> list[str]:
    """Of the canaries that were *seen* those have a delivery time whose hand-over was answered.

    Only rows tell which, and some may have been pruned, or concluded in the transaction that began the histograms:
    so there is a least and a most.
    """
    known: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    for row in connection.execute(
        select(canaries.c.name, func.count().label("number"), func.count(canaries.c.delivery).label("known"))
        .where(canaries.c.concluded_at > since, canaries.c.outcome.in_(verdict.SEEN), canaries.c.run.in_(_REAL))
        .group_by(canaries.c.name)
    ):
        known[row.name], unknown[row.name] = row.known, row.number - row.known
    held = counting.held(connection, "delivery")
    return [
        f"check {name}: {held[name]} delivery times in the histogram, but {known[name]} canaries with one on record"
        f" since it began, and {unknown[name]} without, of {seen.get(name, 0)} that were seen"
        for name in sorted({*known, *unknown, *held})
        if not known[name] <= held[name] <= seen.get(name, 0) - unknown[name]
    ]


def count_canaries(connection: Connection) -> int:
    """Count the canaries on record, for the summary line."""
    return int(connection.execute(select(func.count()).select_from(canaries)).scalar_one())
