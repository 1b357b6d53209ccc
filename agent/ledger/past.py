"""The values that reports are made of: rows and counts of a span of time. Moments are Unix time, durations seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` up to, but without, `until`: Unix time in seconds."""

    since: float
    until: float


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One start of an agent."""

    site: str
    version: str
    began: float


@dataclass(frozen=True, slots=True)
class BlindRecord:
    """A time in which nobody looked into one folder, in Unix time."""

    mailbox: str
    folder: str
    began: float
    ended: float


CanaryRow = tuple[int, float, str | None, str | None, float | None, float | None, str | None, str | None]
"""One canary: specification, start, outcome, verdict, latency, gap, stages, their seconds.

Latency and gap are of those that were seen, in time or not; None for the others. Stages and their seconds are JSON
arrays of the same length; None unless it was accepted.
"""


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """How many canaries of one specification ended in one way; `outcome` is None for those still on their way."""

    spec: int
    outcome: str | None
    verdict: str | None
    n: int


@dataclass(frozen=True, slots=True)
class LatencyCount:
    """How many canaries of a path that were started in one hour took about `seconds` (three digits) to be seen."""

    path: str
    hour: int
    seconds: float
    n: int


@dataclass(frozen=True, slots=True)
class HeaderCount:
    """How many canaries of one specification had the same in their headers when they were first seen.

    `results` is what the receiver stamped, by mechanism. `delays` are the seconds to the second hop from the sender, to
    the third, and so on, by the clocks of the two hosts; None for what they do not say. `hour` is
    that of the span in which they were started. `scl` is the spam confidence
    level that was stamped, and `junk` tells that the service filed it as junk by a mark of its own.
    """

    spec: int
    results: Mapping[str, str]
    delays: Sequence[float | None]
    hour: int
    scl: int | None
    junk: bool
    n: int


@dataclass(frozen=True, slots=True)
class UnknownCount:
    """How many canaries of one specification have an unknown fate for the same `reasons`."""

    spec: int
    outcome: str
    reasons: Sequence[str]
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalCount:
    """How many canaries of one specification failed with the same reply, from `first` to `last`.

    `stage`, `code` and `enhanced` are None where no server refused; `attempt` and `canary` are those of the last.
    """

    spec: int
    stage: str | None
    code: int | None
    enhanced: str | None
    n: int
    first: float
    last: float
    canary: str
    attempt: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One canary at which the story of a check on `path` turns: a failure, or the first decided one after failures.

    With `moved` the latter is of another path, to which the check was moved meanwhile.
    """

    check: str
    path: str
    seq: int
    canary: str
    started: float
    concluded: float
    verdict: str
    outcome: str
    reasons: Sequence[str]
    moved: bool = False
