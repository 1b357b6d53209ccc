"""Hold the ledger's file against the truth, by SQL of our own."""

from __future__ import annotations

import json
import math
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from properties.post import STAMP, Sent
from properties.wire import REFUSALS, stage_of
from properties.witness import SEEN, Witness

Totals = dict[str, Counter[tuple[str, ...]]]
_LABELS = ("outcome", "verdict", "reason", "stage", "code", "enhanced", "mechanism", "result")
_PRECISE = 3  # digits of seconds
_BY_COPY = frozenset({"canaries_recovered", "canaries_duplicates", "authentication"})


def complaints(file: Path, witness: Witness) -> Iterator[str]:
    """Say what rows, totals and histograms have wrong."""
    uri = f"file:{file}?mode=ro"
    connection = sqlite3.connect(uri, uri=True)
    try:
        yield from _rows(connection, witness)
        yield from _totals(connection, witness)
        yield from _histograms(connection, witness)
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
    counted: Totals = defaultdict(Counter)
    for owner, metric, labels, value in connection.execute("select owner, metric, labels, value from totals"):
        named = json.loads(labels)
        counted[metric][owner, *(named[name] for name in _LABELS if name in named)] += round(value, _PRECISE)
    renumbered = bool(witness.post.validity)
    for metric, right in _happened(witness).items():
        found = counted[metric]
        loose = renumbered and metric in _BY_COPY  # who is who is not known then
        if found != right and not (loose and found <= right):
            yield f"{metric}: {dict(found)} counted, {dict(right)} happened"
    ignored = Counter({key: n for key, n in counted["messages_ignored"].items() if key[1] in {"forged", "foreign"}})
    if ignored != witness.ignored:
        yield f"ignored: {dict(ignored)} counted, {dict(witness.ignored)} happened"


def _happened(witness: Witness) -> Totals:
    """Count what the witness knows."""
    names = {canary: one.check.name for canary, one in witness.canaries.items()}
    happened: Totals = defaultdict(Counter)
    happened["canaries_started"] = Counter((name,) for name in names.values())
    happened["canaries"] = Counter(
        (names[canary], done.conclusion.outcome.value, done.conclusion.verdict.value)
        for canary, done in witness.done.items()
    )
    happened["canaries_recovered"] = Counter((names[canary],) for canary in witness.recovered)
    happened["canaries_duplicates"] = Counter(
        (names[canary],) for canary, seen in witness.seen.items() for _ in seen[1:]
    )
    happened["authentication"] = Counter(
        (names[canary], "spf", "pass")
        for canary, seen in witness.seen.items()
        for one in seen
        if one.sighting.findings is not None and one.mail.content.startswith(STAMP)
    )
    for sent in filter(Sent.told, witness.post.sent.values()):
        _answered(sent, happened)
    return happened


def _answered(sent: Sent, happened: Totals) -> None:
    """Count an answer of the other side, or that there was none."""
    fate, check = sent.fate, sent.check
    if fate.answer not in {"taken", "refused", "doubt"}:
        return
    stage = stage_of(fate).value
    happened["stage_seconds_count"][check, stage] += 1
    happened["stage_seconds_sum"][check, stage] += fate.until_dot + fate.until_reply  # type: ignore[assignment]
    happened["stage_seconds_sum"][check, stage] = round(happened["stage_seconds_sum"][check, stage], _PRECISE)
    if fate.answer == "refused" and REFUSALS[fate.refusal].code is not None:
        no = REFUSALS[fate.refusal]
        happened["smtp_replies"][check, stage, str(no.code), no.enhanced or ""] += 1


def _histograms(connection: sqlite3.Connection, witness: Witness) -> Iterator[str]:
    """Every latency since the histograms began is counted once, where it belongs, and no other."""
    ((bounds,),) = connection.execute("select value from meta where name = 'buckets'").fetchall() or [("[]",)]
    found = {
        (owner, family): (json.loads(counts), total)
        for owner, family, counts, total in connection.execute("select owner, family, counts, sum from histograms")
    }
    happened = {key: (_placed(seconds, json.loads(bounds)), sum(seconds)) for key, seconds in _latencies(witness)}
    for key in {*found, *happened}:
        (counts, total), (right, whole) = found.get(key, ([], 0.0)), happened.get(key, ([], 0.0))
        if counts != right or not math.isclose(total, whole, abs_tol=0.001):
            yield f"latencies of {key}: {counts} and {total} s counted, {right} and {whole} s happened"


def _latencies(witness: Witness) -> Iterator[tuple[tuple[str, str], Sequence[float]]]:
    """List what went into each histogram, by check and family."""
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    sent = witness.post.sent
    taken = {canary for canary in witness.told if sent[canary].fate.answer == "taken" and sent[canary].told()}
    for canary in taken:
        if witness.told[canary] >= witness.restarted:
            seconds[sent[canary].check, "submission"].append(sent[canary].took)
    for canary, done in witness.done.items():
        told = done.conclusion
        if told.outcome.value in SEEN and done.commit >= witness.restarted:
            check = witness.canaries[canary].check.name
            seconds[check, "end_to_end"].append(max(0.0, told.end_to_end or 0.0))
            if canary in taken:  # otherwise nobody knows when it was handed over
                seconds[check, "delivery"].append(max(0.0, told.delivery or 0.0))
    return iter(seconds.items())


def _placed(seconds: Sequence[float], bounds: Sequence[float]) -> list[int]:
    """Count values by bucket; each bound belongs to the bucket below it."""
    edges = [-math.inf, *bounds, math.inf]
    return [sum(low < one <= high for one in seconds) for low, high in pairwise(edges)]
