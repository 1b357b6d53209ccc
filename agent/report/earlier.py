"""A period beside the weeks before it: what has changed, and what has been going one way for weeks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
_DRAWN = 200_000
"""Of how many canaries of an earlier week stages and hops are read at the most: they stand for the others."""
_NOTHING = HourlyLatencies(())

Results = Counter[tuple[str, str]]
"""How many canaries were stamped so, by mechanism and result."""


@dataclass(slots=True)
class Compared:
    """What is compared of a span of time, by path, and under the name of none, of all together."""

    counts: dict[str, Counts] = field(default_factory=dict)
    latencies: dict[str, HourlyLatencies] = field(default_factory=dict)
    results: dict[str, Results] = field(default_factory=dict)
    drawn: Mapping[str, PathTally] = field(default_factory=dict)
    hops: dict[str, Mapping[int, HourlyLatencies]] = field(default_factory=dict)

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
        number = history.count(span)
        share = min(1.0, _DRAWN / number) if number else 1.0
        drawn = Tally(since=span.since, specs=specs)
        for page in history.canaries(span, share) if number else ():
            drawn.take(page)
        made.drawn = drawn.paths
        made.hops = _hops(history.header_counts(span, hops=True, share=share) if number else (), specs)
        return made

    @classmethod
    def of(
        cls, tally: Tally, whole: PathTally, headers: Sequence[HeaderCount], results: dict[str, Results]
    ) -> Compared:
        """Take it from what was counted of the period itself."""
        paths = {**tally.paths, OVERALL: whole}
        counts = {name: path.counts for name, path in paths.items()}
        hourly = {name: _hourly(path.hours.all(), path.seconds.all()) for name, path in paths.items()}
        return cls(counts, hourly, results, tally.paths, _hops(headers, tally.specs))

    def stage(self, path: str, stage: str) -> HourlyLatencies:
        """Count how long a stage took; it is not kept, since it is large."""
        tally = self.drawn.get(path)
        if tally is None or stage not in tally.stages:
            return _NOTHING
        return _hourly(tally.stage_hours[stage].all(), tally.stages[stage].all())

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


def _hops(headers: Iterable[HeaderCount], specs: Mapping[int, Check]) -> dict[str, Mapping[int, HourlyLatencies]]:
    found: dict[str, dict[int, list[tuple[int, float, int]]]] = {}
    for one in headers:
        mine = found.setdefault(specs[one.spec].path, {})
        for hop, seconds in enumerate(one.delays, start=2):
            if seconds is not None:
                mine.setdefault(hop, []).append((one.hour, seconds, one.n))
    return {path: {hop: HourlyLatencies(rows) for hop, rows in hops.items()} for path, hops in found.items()}


def _joined(weeks: Sequence[HourlyLatencies]) -> HourlyLatencies:
    """Put weeks beside each other, each with its own hours."""
    rows = [(hour + _LONG * week, seconds, n) for week, one in enumerate(weeks) for hour, seconds, n in one.counts]
    return HourlyLatencies(rows)


def _changes(name: str, path: str, now: Compared, before: Sequence[Compared]) -> Changes:
    here, there = now.counts.get(path, Counts()), Counts()
    for one in before:
        there.add(one.counts.get(path, Counts()))
    earlier = _joined([one.latencies.get(path, _NOTHING) for one in before])
    junk = (here.of(Outcome.JUNK), here.measured, there.of(Outcome.JUNK), there.measured)
    return Changes(
        against=name,
        on_time=change.of_share(here.on_time, here.measured, there.on_time, there.measured, more_is_better=True),
        junk=change.of_share(*junk, more_is_better=False),
        stages=dict(_stages(path, now, before)),
        hops=dict(_hop_changes(path, now, before)),
        p95=change.of_quantile(now.latencies.get(path, _NOTHING), earlier, 0.95),
    )


def _stages(path: str, now: Compared, before: Sequence[Compared]) -> Iterator[tuple[str, change.Change]]:
    """Compare the stages that were known before."""
    for stage in now.drawn[path].stages if path in now.drawn else ():
        earlier = _joined([one.stage(path, stage) for one in before])
        if earlier.counts:
            yield stage, change.of_quantile(now.stage(path, stage), earlier, 0.95)


def _hop_changes(path: str, now: Compared, before: Sequence[Compared]) -> Iterator[tuple[int, change.Change]]:
    for hop, mine in sorted(now.hops.get(path, {}).items()):
        earlier = _joined([one.hops.get(path, {}).get(hop, _NOTHING) for one in before])
        if earlier.counts:
            yield hop, change.of_quantile(mine, earlier, 0.95)


def _hourly(hours: NDArray[Any], durations: NDArray[Any]) -> HourlyLatencies:
    """Count durations by hour and to three digits, as the database does for the weeks before."""
    seconds = np.maximum(durations, 1e-9)
    unit = 10.0 ** (np.floor(np.log10(seconds)) - 2)
    values, places = np.unique(np.round(seconds / unit) * unit, return_inverse=True)
    found, numbers = np.unique(hours.astype(np.int64) * len(values) + places, return_counts=True)
    when, places = np.divmod(found, max(1, len(values)))
    return HourlyLatencies(list(zip(when.tolist(), values[places].tolist(), numbers.tolist(), strict=True)))
