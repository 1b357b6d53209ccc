"""A period beside the weeks before it: what has changed, and what has been going one way for weeks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from agent.ledger.history import History
from agent.ledger.past import HeaderCount, Span
from agent.report import change
from agent.report.change import HourlyLatencies
from agent.report.counts import Counts
from agent.report.figures import OVERALL, Changes, Share, Week
from agent.report.period import Period, named, weeks_before
from agent.report.tally import PathTally, Tally
from checks.core.model import Check, Outcome

_WEEKS = 4
_LONG = 1000  # more hours than a week has: so that the hours of several weeks stay apart
_NOTHING = HourlyLatencies(())

Results = Counter[tuple[str, str]]
"""How many canaries were stamped so, by mechanism and result."""


@dataclass(slots=True)
class Compared:
    """What is compared of a span of time, by path, and under the name of none, of all together."""

    counts: dict[str, Counts] = field(default_factory=dict)
    latencies: dict[str, HourlyLatencies] = field(default_factory=dict)
    results: dict[str, Results] = field(default_factory=dict)

    @classmethod
    def read(cls, history: History, span: Span, specs: Mapping[int, Check]) -> Compared:
        """Read it of a week that is over; the database does the counting."""
        made = cls(results=results_by_path(history.header_counts(span, hops=False), specs))
        for one in history.outcome_counts(span):
            for path in (specs[one.spec].path, OVERALL):
                made.counts.setdefault(path, Counts()).count(one.outcome, one.verdict, one.n)
        latencies: dict[str, list[tuple[int, float, int]]] = {}
        for row in history.latency_counts(span, {number: check.path for number, check in specs.items()}):
            for path in (row.path, OVERALL):
                latencies.setdefault(path, []).append((row.hour, row.seconds, row.n))
        made.latencies = {path: HourlyLatencies(rows) for path, rows in latencies.items()}
        return made

    @classmethod
    def of(cls, tally: Tally, whole: PathTally, results: dict[str, Results]) -> Compared:
        """Take it from what was counted of the period itself."""
        paths = {**tally.paths, OVERALL: whole}
        counts = {name: path.counts for name, path in paths.items()}
        return cls(counts, {name: _hourly(path) for name, path in paths.items()}, results)

    def week(self, path: str, period: Period) -> Week:
        """Tell what a table of weeks has of *path*."""
        counts = self.counts.get(path, Counts())
        return Week(
            name=period.name,
            since=period.since.timestamp(),
            started=counts.started,
            on_time=Share(counts.on_time, counts.measured),
            junk=Share(counts.of(Outcome.JUNK), counts.measured),
            authentication=_passed(self.results.get(path, Counter())),
        )


@dataclass(frozen=True, slots=True)
class Before:
    """The weeks before a period, the nearest first."""

    weeks: Sequence[tuple[Period, Compared]]

    @classmethod
    def read(cls, history: History, period: Period, specs: Mapping[int, Check]) -> Before:
        """Read them, each for itself."""
        spans = [named(weeks_before(period, 1, skip=number)) for number in range(_WEEKS)]
        return cls([(one, Compared.read(history, span_of(one), specs)) for one in spans])

    def changes(self, now: Compared, period: Period, path: str) -> Sequence[Changes]:
        """Hold *path* against the week before, and against all of them together."""
        names = (weeks_before(period, 1).name, compared_with(period).name)
        return [
            _changes(name, path, now, [one for _, one in self.weeks[:number]])
            for name, number in zip(names, (1, _WEEKS), strict=True)
        ]

    def trend(self, now: Compared, period: Period, path: str) -> Sequence[Week]:
        """List the weeks, oldest first, and the period itself; those before the first canary are left out."""
        weeks = [compared.week(path, one) for one, compared in reversed(self.weeks)]
        while weeks and not weeks[0].started:
            weeks.pop(0)
        return [*weeks, now.week(path, period)]


def compared_with(period: Period) -> Period:
    """Return the longest span that a period is held against."""
    return weeks_before(period, _WEEKS)


def span_of(period: Period) -> Span:
    """Turn a period into Unix time."""
    return Span(period.since.timestamp(), period.until.timestamp())


def results_by_path(counts: Iterable[HeaderCount], specs: Mapping[int, Check]) -> dict[str, Results]:
    """Add up what was stamped, by path, and of all together."""
    results: dict[str, Results] = {}
    for one in counts:
        for path in (specs[one.spec].path, OVERALL):
            mine = results.setdefault(path, Counter())
            for pair in one.results.items():
                mine[pair] += one.n
    return results


def _passed(results: Results) -> Mapping[str, Share]:
    """Tell, for each mechanism, how many of those that were stamped with a result of it passed."""
    stamped: Counter[str] = Counter()
    for (mechanism, _), n in results.items():
        stamped[mechanism] += n
    return {mechanism: Share(results[mechanism, "pass"], n) for mechanism, n in sorted(stamped.items())}


def _changes(name: str, path: str, now: Compared, before: Sequence[Compared]) -> Changes:
    here, there = now.counts.get(path, Counts()), Counts()
    for one in before:
        there.add(one.counts.get(path, Counts()))
    earlier = [
        (hour + _LONG * week, seconds, n)
        for week, one in enumerate(before)
        for hour, seconds, n in one.latencies.get(path, _NOTHING).counts
    ]
    junk = (here.of(Outcome.JUNK), here.measured, there.of(Outcome.JUNK), there.measured)
    return Changes(
        against=name,
        on_time=change.of_share(here.on_time, here.measured, there.on_time, there.measured, more_is_better=True),
        junk=change.of_share(*junk, more_is_better=False),
        p95=change.of_quantile(now.latencies.get(path, _NOTHING), HourlyLatencies(earlier), 0.95),
    )


def _hourly(path: PathTally) -> HourlyLatencies:
    """Count latencies by hour and to three digits, as the database does for the weeks before."""
    seconds = np.maximum(path.seconds.all(), 1e-9)
    unit = 10.0 ** (np.floor(np.log10(seconds)) - 2)
    values, places = np.unique(np.round(seconds / unit) * unit, return_inverse=True)
    found, numbers = np.unique(path.hours.all().astype(np.int64) * len(values) + places, return_counts=True)
    hours, places = np.divmod(found, max(1, len(values)))
    return HourlyLatencies(list(zip(hours.tolist(), values[places].tolist(), numbers.tolist(), strict=True)))
