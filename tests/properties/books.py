"""Hold the ledger's file against the truth, by SQL of our own."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from properties.witness import SEEN, Witness

Totals = dict[tuple[str, str], Counter[tuple[str, ...]]]


def complaints(file: Path, witness: Witness) -> Iterator[str]:
    """Say what rows and totals have wrong."""
    uri = f"file:{file}?mode=ro"
    connection = sqlite3.connect(uri, uri=True)
    try:
        yield from _rows(connection, witness)
        yield from _totals(connection, witness)
    finally:
        connection.close()


def _rows(connection: sqlite3.Connection, witness: Witness) -> Iterator[str]:
    """Every canary that was started is on record, concluded exactly as it was told, and was sent at most once."""
    rows = {row[0]: row[1:] for row in connection.execute("select id, outcome, verdict from canaries")}
    if rows.keys() != witness.canaries.keys():
        yield f"{len(witness.canaries)} canaries were started, {len(rows)} are on record"
    for canary, (outcome, verdict) in rows.items():
        done = witness.done.get(canary)
        told = (None, None) if done is None else (done.conclusion.outcome.value, done.conclusion.verdict.value)
        if (outcome, verdict) != told:
            yield f"on record as {outcome}/{verdict}, told as {told}"
    for canary, times in witness.post.handed_over.items():
        if times != 1 or canary not in rows:
            yield f"a canary was handed over {times} times, and is {'' if canary in rows else 'not '}on record"


def _totals(connection: sqlite3.Connection, witness: Witness) -> Iterator[str]:
    """What is counted is what happened."""
    counted: dict[str, Counter[tuple[str, ...]]] = {}
    for owner, metric, labels, value in connection.execute("select owner, metric, labels, value from totals"):
        named = json.loads(labels)
        key = (owner, *(named[name] for name in ("outcome", "verdict", "reason") if name in named))
        counted.setdefault(metric, Counter())[key] += round(value)
    names = {canary: one.check.name for canary, one in witness.canaries.items()}
    wanted = {
        "canaries_started": Counter((name,) for name in names.values()),
        "canaries": Counter(
            (names[canary], done.conclusion.outcome.value, done.conclusion.verdict.value)
            for canary, done in witness.done.items()
        ),
        "canaries_recovered": Counter((names[canary],) for canary in witness.recovered),
        "canaries_duplicates": Counter(names[canary] for canary, seen in witness.seen.items() for _ in seen[1:]),
    }
    wanted["canaries_duplicates"] = Counter({(name,): n for name, n in wanted["canaries_duplicates"].items()})
    renumbered = bool(witness.post.validity)
    for metric, right in wanted.items():
        found = counted.get(metric, Counter())
        loose = renumbered and metric in {"canaries_recovered", "canaries_duplicates"}  # who is who is not known then
        if found != right and not (loose and found <= right):
            yield f"{metric}: {dict(found)} counted, {dict(right)} happened"
    ignored = Counter(
        {key: n for key, n in counted.get("messages_ignored", Counter()).items() if key[1] in {"forged", "foreign"}}
    )
    if ignored != witness.ignored:
        yield f"ignored: {dict(ignored)} counted, {dict(witness.ignored)} happened"
    seen = Counter(names[canary] for canary, done in witness.done.items() if done.conclusion.outcome.value in SEEN)
    for owner, counts in connection.execute("select owner, counts from histograms where family = 'end_to_end'"):
        if sum(json.loads(counts)) > seen[owner]:
            yield f"{owner}: more latencies in the histogram than canaries seen"
