"""The figures of a report, as plain values that can be written as JSON and held against the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent.report.change import Change
from agent.report.counts import Counts
from agent.report.incidents import Incident
from agent.status import Ahead
from checks.core.model import Outcome, Verdict
from checks.core.stats import Interval, wilson

OVERALL = ""
"""The name of the path that is all of them together."""

TOO_MUCH_UNKNOWN = 0.1
"""A period with a larger share of unknown verdicts is told as not measured."""

MOST_PATHS = 8
"""How many paths have a line in the chart of latencies; more do not fit on a page."""

_REFUSED = (
    Outcome.UNREACHABLE,
    Outcome.TLS_FAILED,
    Outcome.AUTH_FAILED,
    Outcome.DEFERRED,
    Outcome.REJECTED,
    Outcome.ACCEPTED,
)


PARTS = ("passed", "late", "junk", "degraded", "bounced", "lost", "refused", "unknown")
"""How a canary ended, in the parts that tables and bars show; each concluded canary is in one of them."""


def part_of(outcome: str, verdict: str) -> str:
    """Tell in which of `PARTS` a concluded canary is: a refusal that was wanted has passed."""
    if verdict in (Verdict.UNKNOWN, Verdict.PASS):
        return "unknown" if verdict == Verdict.UNKNOWN else "passed"
    if outcome in _REFUSED:
        return "refused"
    return str(outcome) if outcome in PARTS else "passed"


@dataclass(frozen=True, slots=True)
class Share:
    """*n* of *of*: a share is never told without its counts. `value` is None where there is nothing to divide by."""

    n: int
    of: int

    @property
    def value(self) -> float | None:
        """The share, from 0 to 1."""
        return self.n / self.of if self.of else None

    @property
    def interval(self) -> Interval:
        """Its 95 % interval (Wilson)."""
        return wilson(self.n, self.of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Quantiles of *n* durations, in seconds; None where there are none."""

    n: int
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """How the canaries of a period ended. The shares are of `measured`, but `unknown`, which is of `concluded`."""

    started: int
    in_flight: int
    concluded: int
    measured: int
    outcomes: Mapping[str, int]
    on_time: Share
    late: Share
    junk: Share
    degraded: Share
    bounced: Share
    lost: Share
    refused: Share
    unknown: Share

    @property
    def is_measured(self) -> bool:
        """Tell whether enough is known to speak of the path at all."""
        return self.measured > 0 and (self.unknown.value or 0.0) <= TOO_MUCH_UNKNOWN


def ends(counts: Counts) -> Ends:
    """Turn counts into what is told of them."""
    by_outcome: dict[str, int] = {}
    for (outcome, _), n in sorted(counts.ends.items()):
        by_outcome[outcome] = by_outcome.get(outcome, 0) + n
    measured = counts.measured

    def share(*outcomes: Outcome) -> Share:
        return Share(counts.of(*outcomes), measured)

    return Ends(
        started=counts.started,
        in_flight=counts.in_flight,
        concluded=counts.concluded,
        measured=measured,
        outcomes=by_outcome,
        on_time=Share(counts.on_time, measured),
        late=share(Outcome.LATE),
        junk=share(Outcome.JUNK),
        degraded=share(Outcome.DEGRADED),
        bounced=share(Outcome.BOUNCED),
        lost=share(Outcome.LOST),
        refused=share(*_REFUSED),
        unknown=Share(counts.unknown, counts.concluded),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """The share that is to be on time, and how much of what may fail has failed. `spent` above 1 is a breach."""

    objective: float
    allowed: float
    failed: int

    @property
    def met(self) -> bool:
        """Tell whether the objective was reached."""
        return self.failed <= self.allowed

    @property
    def spent(self) -> float | None:
        """The share of the error budget that is used up; None where nothing may fail."""
        return self.failed / self.allowed if self.allowed else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """How a path did against an earlier period: `p95` from end to end, and of each of its stages and hops."""

    against: str
    on_time: Change
    junk: Change
    p95: Change
    stages: Mapping[str, Change] = field(default_factory=dict)
    hops: Mapping[int, Change] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """One of the weeks that a period ends, or the period itself; `since` is Unix time.

    `authentication` is, by mechanism, how many passed, of those that the receiver stamped with a result of it.
    """

    name: str
    since: float
    started: int
    on_time: Share
    junk: Share
    authentication: Mapping[str, Share]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """The way to one hop from the one before it, by the clocks of the two hosts; hops are counted from the sender.

    `host` is the one that the newest canary came to; others may have gone another way.
    """

    hop: int
    latency: Summary
    host: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtering:
    """What Exchange's filter said of those whose headers were read.

    `scl` counts them by spam confidence level, with the empty level for those without; `junk` are those that the
    service filed as junk by a mark of its own.
    """

    scl: Mapping[str, int]
    junk: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """One hour of a period, counted from its beginning: latencies of the canaries that were started in it."""

    hour: int
    latency: Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day of a period, and how its canaries ended: by verdict, and by what happened (see `PARTS`)."""

    day: str
    verdicts: Mapping[str, int]
    ends: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopRefusal:
    """One kind of refusal and what it means; moments are Unix time, of the canaries' start."""

    path: str
    stage: str
    code: int | None
    enhanced: str | None
    text: str
    n: int
    first: float
    last: float
    canary: str
    meaning: str | None
    fix: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PathFigures:
    """One path, or, with the name of none, all together.

    `authentication` counts what the receiver stamped, by mechanism and result. `weeks` ends with the period itself.
    """

    path: str
    method: str
    ends: Ends
    objective: Objective
    latency: Summary
    gap: Summary
    stages: Mapping[str, Summary] = field(default_factory=dict)
    hops: Sequence[Hop] = ()
    authentication: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    filtering: Filtering | None = None
    changes: Sequence[Changes] = ()
    weeks: Sequence[Week] = ()
    hours: Sequence[Hour] = ()
    days: Sequence[Day] = ()
    unknown_reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unobserved:
    """A time in which something was not observed, in Unix time, and why."""

    what: str
    why: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The whole report. `first` is when the oldest canary on record was started, in Unix time.

    `simulated` tells that canaries of a made-up past are among those that are counted, `simulated_canaries` how many,
    and `simulated_before` that there are some in the weeks that the period is compared with.
    """

    name: str
    since: float
    until: float
    zone: str
    complete: bool
    simulated: bool
    simulated_canaries: int
    simulated_before: bool
    made: float
    site: str
    version: str
    first: float | None
    overall: PathFigures
    paths: Sequence[PathFigures]
    checks: Mapping[str, Ends]
    incidents: Sequence[Incident]
    single_failures: int
    refusals: Sequence[TopRefusal]
    unobserved: Sequence[Unobserved]
    ahead: Sequence[Ahead]


def verdict_words() -> Sequence[str]:
    """List the verdicts in the order in which bars and tables show them."""
    return [one.value for one in (Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.UNKNOWN)]


def drawn_paths(figures: Figures) -> Sequence[PathFigures]:
    """Choose the paths that have a line: all, or where they are many, those with most failures and the slowest."""
    paths = [path for path in figures.paths if path.hours]
    worst = sorted(paths, key=lambda path: (-path.objective.failed, -(path.latency.p95 or 0.0)))[:MOST_PATHS]
    return [path for path in paths if path in worst]
