"""From the canaries of a period to counts and collected latencies, in one pass over the rows."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from checks.core import verdict
from checks.core.model import Check, Outcome, Verdict

_SEEN = frozenset(outcome.value for outcome in verdict.SEEN)
_HOUR = 3600.0
_LONGEST_TEXT = 300


class CanaryRow(Protocol):
    """One canary as `agent.ledger.history.canaries_of` reads it."""

    spec: int
    started_wall: float
    started_at: float
    concluded_at: float | None
    outcome: str | None
    verdict: str | None
    reasons: str | None
    end_to_end: float | None
    observation_gap: float | None
    attempt: str | None
    id: str


@dataclass(slots=True)
class Counts:
    """How canaries ended. `ends` counts (outcome, verdict); those still on their way are in `in_flight`."""

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    in_flight: int = 0

    @property
    def started(self) -> int:
        """All of them."""
        return self.concluded + self.in_flight

    @property
    def concluded(self) -> int:
        """Those with a final verdict."""
        return self.ends.total()

    @property
    def unknown(self) -> int:
        """Those of which nobody can say what became of them."""
        return sum(n for (_, judged), n in self.ends.items() if judged == Verdict.UNKNOWN)

    @property
    def measured(self) -> int:
        """Those that tell something about the path: concluded, and not unknown. Every share is one of these."""
        return self.concluded - self.unknown

    @property
    def on_time(self) -> int:
        """Those that did what their check wants, in time: passed, or degraded (arrived, but not as expected)."""
        return sum(
            n for (outcome, judged), n in self.ends.items() if judged == Verdict.PASS or outcome == Outcome.DEGRADED
        )

    def of(self, *outcomes: Outcome) -> int:
        """Count those that failed to pass by one of these outcomes: a refusal that was wanted is no failure."""
        return sum(n for (outcome, judged), n in self.ends.items() if outcome in outcomes and judged != Verdict.PASS)

    def add(self, other: Counts) -> None:
        """Take over what *other* has counted."""
        self.ends.update(other.ends)
        self.in_flight += other.in_flight


@dataclass(slots=True)
class Latencies:
    """End-to-end latencies in seconds of those that were seen, with the gap and the hour of each."""

    seconds: array[float] = field(default_factory=lambda: array("d"))
    gaps: array[float] = field(default_factory=lambda: array("d"))
    hours: array[int] = field(default_factory=lambda: array("l"))


@dataclass(slots=True)
class Refusal:
    """One kind of refusal: where, with which codes; the words and the canary of the newest one as an example."""

    stage: str
    code: int | None
    enhanced: str | None
    text: str
    canary: str
    method: str
    n: int = 0
    first: float = 0.0
    last: float = 0.0


@dataclass(slots=True)
class PathTally:
    """What one path did."""

    name: str
    method: str
    counts: Counts = field(default_factory=Counts)
    latencies: Latencies = field(default_factory=Latencies)
    stages: dict[str, array[float]] = field(default_factory=dict)
    refusals: dict[tuple[str, int | None, str | None], Refusal] = field(default_factory=dict)
    unknown_reasons: Counter[str] = field(default_factory=Counter)
    by_hour: dict[int, Counts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judged:
    """One canary in the life of its check; moments in Unix time."""

    canary: str
    started: float
    concluded: float
    verdict: str
    outcome: str
    words: str


@dataclass(slots=True)
class Tally:
    """Everything of one period."""

    since: float
    specs: Mapping[int, Check]
    paths: dict[str, PathTally] = field(default_factory=dict)
    checks: dict[str, Counts] = field(default_factory=dict)
    lives: dict[str, list[Judged]] = field(default_factory=dict)
    """Per check, in order of start, the canaries at which its story turns: failures, and the first one after."""

    def take(self, rows: Iterable[CanaryRow]) -> None:
        """Count these canaries, which come in order of their start."""
        for row in rows:
            check = self.specs[row.spec]
            path = self.paths.get(check.path)
            if path is None:
                path = self.paths[check.path] = PathTally(check.path, check.method)
            counts = self.checks.setdefault(check.name, Counts())
            hour = int((row.started_wall - self.since) // _HOUR)
            hourly = path.by_hour.get(hour)
            if hourly is None:
                hourly = path.by_hour[hour] = Counts()
            if row.outcome is None or row.verdict is None:
                for one in (path.counts, counts, hourly):
                    one.in_flight += 1
                continue
            end = (row.outcome, row.verdict)
            path.counts.ends[end] += 1
            counts.ends[end] += 1
            hourly.ends[end] += 1
            if row.end_to_end is not None and row.outcome in _SEEN:
                path.latencies.seconds.append(row.end_to_end)
                path.latencies.gaps.append(row.observation_gap or 0.0)
                path.latencies.hours.append(hour)
            attempt = json.loads(row.attempt) if row.attempt else {}
            _take_stages(path, attempt)
            if row.verdict == Verdict.FAIL:
                _take_refusal(path, check, row, attempt)
            elif row.verdict == Verdict.UNKNOWN:
                path.unknown_reasons[_first_reason(row)] += 1
            self._follow(check.name, row)

    def _follow(self, check: str, row: CanaryRow) -> None:
        """Keep the turns of a check's story: what passes after a pass tells nothing new."""
        life = self.lives.setdefault(check, [])
        failing = row.verdict == Verdict.FAIL
        if row.verdict == Verdict.UNKNOWN or (not failing and (not life or life[-1].verdict != Verdict.FAIL)):
            return
        offset = row.started_wall - row.started_at
        life.append(
            Judged(
                canary=row.id,
                started=row.started_wall,
                concluded=(row.concluded_at or row.started_at) + offset,
                verdict=row.verdict or "",
                outcome=row.outcome or "",
                words="; ".join(_reasons(row))[:_LONGEST_TEXT] if failing else "",
            )
        )


def _take_stages(path: PathTally, attempt: Mapping[str, Any]) -> None:
    transcript = attempt.get("transcript")
    if not transcript or "reply" not in attempt or "cause" in attempt:
        return  # only those that were accepted: a refusal is short, and a hang is as long as our patience
    for timing in transcript.get("stages", ()):
        values = path.stages.get(timing["stage"])
        if values is None:
            values = path.stages[timing["stage"]] = array("d")
        values.append(timing["seconds"])


def _take_refusal(path: PathTally, check: Check, row: CanaryRow, attempt: Mapping[str, Any]) -> None:
    reply = attempt.get("reply") if "cause" in attempt else None
    if "cause" not in attempt and row.outcome in _SEEN | {Outcome.LOST.value, Outcome.BOUNCED.value}:
        return
    stage = attempt.get("stage", "")
    code = reply.get("code") if reply else None
    enhanced = reply.get("enhanced") if reply else None
    key = (stage, code, enhanced)
    kind = path.refusals.get(key)
    if kind is None:
        kind = path.refusals[key] = Refusal(stage, code, enhanced, "", row.id, check.method, first=row.started_wall)
    kind.n += 1
    kind.last = row.started_wall
    kind.canary = row.id
    kind.text = (reply.get("text", "") if reply else attempt.get("detail", ""))[:_LONGEST_TEXT]


def _first_reason(row: CanaryRow) -> str:
    reasons = _reasons(row)
    return f"{row.outcome}: {reasons[0][:_LONGEST_TEXT]}" if reasons else str(row.outcome)


def _reasons(row: CanaryRow) -> Sequence[str]:
    found = json.loads(row.reasons) if row.reasons else []
    return [str(one) for one in found]
