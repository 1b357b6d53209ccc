"""Put the figures of a period together from the ledger's rows."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from agent import __version__
from agent.ledger.history import History, RunRecord, Span
from agent.report import change, incidents
from agent.report.change import HourlyLatencies
from agent.report.figures import (
    Ahead,
    Changes,
    Day,
    Figures,
    Hour,
    Objective,
    PathFigures,
    Summary,
    TopRefusal,
    ends,
    verdict_words,
)
from agent.report.incidents import Incident
from agent.report.period import Period, weeks_before
from agent.report.tally import Counts, Latencies, PathTally, Refusal, Tally
from agent.report.unobserved import unobserved
from checks.core.model import Outcome, Reply, Stage
from checks.core.stats import quantile
from checks.knowledge import Diagnosis, diagnose, diagnose_outcome, diagnose_text

OVERALL = ""
"""The name of the path that is all of them together."""

_TOP_REFUSALS = 10
_MONTH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a report is to hold things against.

    `objective` is the share that is to be on time, `after` how many failures in a row make an incident, `ahead` what
    is known to end, and `progress` is called with how many canaries are counted, of how many.
    """

    objective: float = 0.99
    after: int = 2
    ahead: Sequence[Ahead] = ()
    progress: Callable[[int, int], None] = lambda _done, _all: None


def compute(history: History, period: Period, now: datetime, wishes: Wishes) -> Figures:
    """Compute the figures of *period*, from one transaction; *now* is when it is asked for."""
    span = span_of(period)
    tally = _tally(history, span, wishes)
    earlier = [_Earlier.read(history, before) for before in (weeks_before(period, 1), weeks_before(period, _MONTH))]
    mine = _Earlier.read(history, period)
    paths_of_checks = {check.name: check.path for _, check in sorted(tally.specs.items())}
    since = {name: began for name in tally.checks if (began := history.failing_since(name, span.since)) is not None}
    found = incidents.find(tally.lives, paths_of_checks, after=wishes.after, failing_since=since)
    starts = history.runs(span.until)
    newest = starts[-1] if starts else RunRecord("", "", 0.0, 0.0)
    first = history.first_started()
    names = sorted(tally.paths)
    return Figures(
        name=period.name,
        since=span.since,
        until=span.until,
        zone=str(period.zone),
        complete=now.timestamp() >= span.until,
        simulated=history.simulated(span),
        made=now.timestamp(),
        site=newest.site,
        version=__version__,
        first=first,
        overall=_path(_together(tally.paths.values()), period, wishes, mine, earlier),
        paths=[_path(tally.paths[name], period, wishes, mine, earlier) for name in names],
        checks={name: ends(counts) for name, counts in sorted(tally.checks.items())},
        incidents=[_explained(one, tally.paths) for one in found.incidents],
        single_failures=found.single_failures,
        refusals=_top_refusals(tally.paths.values()),
        unobserved=unobserved(history, tally, Span(span.since, min(span.until, now.timestamp())), newest.offset, first),
        ahead=sorted(wishes.ahead, key=lambda one: one.when),
    )


def span_of(period: Period) -> Span:
    """Turn a period into Unix time."""
    return Span(period.since.timestamp(), period.until.timestamp())


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What is compared: counts and hourly latencies of one period, by path, and of all together."""

    name: str
    counts: Mapping[str, Counts]
    latencies: Mapping[str, HourlyLatencies]

    @classmethod
    def read(cls, history: History, period: Period) -> _Earlier:
        span = span_of(period)
        specs = history.specifications(span)
        counts: dict[str, Counts] = {}
        for one in history.outcome_counts(span):
            for path in (specs[one.spec].path, OVERALL):
                mine = counts.setdefault(path, Counts())
                if one.outcome is None or one.verdict is None:
                    mine.in_flight += one.n
                else:
                    mine.ends[one.outcome, one.verdict] += one.n
        latencies: dict[str, list[tuple[int, float, int]]] = {}
        for row in history.latency_counts(span, {number: check.path for number, check in specs.items()}):
            for path in (row.path, OVERALL):
                latencies.setdefault(path, []).append((row.hour, row.seconds, row.n))
        return cls(period.name, counts, {path: HourlyLatencies(rows) for path, rows in latencies.items()})

    def against(self, before: _Earlier, path: str) -> Changes:
        now, then = self.counts.get(path, Counts()), before.counts.get(path, Counts())
        nothing = HourlyLatencies(())
        return Changes(
            against=before.name,
            on_time=change.of_share(now.on_time, now.measured, then.on_time, then.measured, more_is_better=True),
            junk=change.of_share(
                now.of(Outcome.JUNK), now.measured, then.of(Outcome.JUNK), then.measured, more_is_better=False
            ),
            p95=change.of_quantile(self.latencies.get(path, nothing), before.latencies.get(path, nothing), 0.95),
        )


def _tally(history: History, span: Span, wishes: Wishes) -> Tally:
    tally = Tally(since=span.since, specs=history.specifications(span))
    number, done = history.count(span), 0
    for page in history.canaries(span):
        tally.take(page)
        done += len(page)
        wishes.progress(done, number)
    return tally


def _together(paths: Iterable[PathTally]) -> PathTally:
    """All paths as one; refusals are told path by path."""
    whole = PathTally(OVERALL, "")
    for path in paths:
        whole.counts.add(path.counts)
        whole.latencies.seconds.extend(path.latencies.seconds)
        whole.latencies.gaps.extend(path.latencies.gaps)
        whole.latencies.hours.extend(path.latencies.hours)
        whole.unknown_reasons.update(path.unknown_reasons)
        for hour, counts in path.by_hour.items():
            whole.by_hour.setdefault(hour, Counts()).add(counts)
        for stage, values in path.stages.items():
            whole.stages.setdefault(stage, array("d")).extend(values)
    return whole


def _path(tally: PathTally, period: Period, wishes: Wishes, mine: _Earlier, earlier: Sequence[_Earlier]) -> PathFigures:
    told = ends(tally.counts)
    order = {stage.value: place for place, stage in enumerate(Stage)}
    stages = sorted(tally.stages.items(), key=lambda item: order.get(item[0], len(order)))
    return PathFigures(
        path=tally.name,
        method=tally.method,
        ends=told,
        objective=Objective(
            objective=wishes.objective,
            allowed=(1.0 - wishes.objective) * told.measured,
            failed=told.measured - told.on_time.n,
        ),
        latency=summary(tally.latencies.seconds),
        gap=summary(tally.latencies.gaps),
        stages={stage: summary(values) for stage, values in stages},
        changes=[mine.against(before, tally.name) for before in earlier],
        hours=_hours(tally.latencies),
        days=_days(tally.by_hour, period),
        unknown_reasons=dict(tally.unknown_reasons.most_common(_TOP_REFUSALS)),
    )


def summary(values: Iterable[float]) -> Summary:
    """Summarise durations."""
    ordered = sorted(values)
    if not ordered:
        return Summary(n=0)
    p50, p95, p99 = (quantile(ordered, share) for share in (0.5, 0.95, 0.99))
    return Summary(n=len(ordered), p50=p50, p95=p95, p99=p99)


def _hours(latencies: Latencies) -> Sequence[Hour]:
    by_hour: dict[int, list[float]] = {}
    for hour, seconds in zip(latencies.hours, latencies.seconds, strict=True):
        by_hour.setdefault(hour, []).append(seconds)
    return [Hour(hour=hour, latency=summary(values)) for hour, values in sorted(by_hour.items())]


def _days(by_hour: Mapping[int, Counts], period: Period) -> Sequence[Day]:
    """Sum hours up to the days of the calendar; every day of the period is there, if only with zeros."""
    days: dict[str, dict[str, int]] = {}
    since = period.since.timestamp()
    for hour in range(period.hours):
        day = f"{datetime.fromtimestamp(since + hour * 3600, period.zone):%Y-%m-%d}"
        verdicts = days.setdefault(day, dict.fromkeys(verdict_words(), 0))
        for (_, verdict), n in by_hour.get(hour, Counts()).ends.items():
            verdicts[verdict] += n
    return [Day(day=day, verdicts=verdicts) for day, verdicts in days.items()]


def _top_refusals(paths: Iterable[PathTally]) -> Sequence[TopRefusal]:
    kinds = [(path, kind) for path in paths for kind in path.refusals.values()]
    kinds.sort(key=lambda pair: (-pair[1].n, pair[0].name, pair[1].stage))
    told = []
    for path, kind in kinds[:_TOP_REFUSALS]:
        found = _diagnosis(kind)
        told.append(
            TopRefusal(
                path=path.name,
                stage=kind.stage,
                code=kind.code,
                enhanced=kind.enhanced,
                text=kind.text,
                n=kind.n,
                first=kind.first,
                last=kind.last,
                canary=kind.canary,
                meaning=found.meaning if found else None,
                fix=found.fix if found else None,
            )
        )
    return told


def _explained(incident: Incident, paths: Mapping[str, PathTally]) -> Incident:
    method = paths[incident.path].method if incident.path in paths else None
    found = diagnose_outcome(Outcome(incident.outcome), [incident.words], method=method)
    return replace(incident, meaning=found.meaning, fix=found.fix) if found else incident


def _diagnosis(kind: Refusal) -> Diagnosis | None:
    if kind.code is None:
        return diagnose_text(kind.text)
    reply = Reply(code=kind.code, enhanced=kind.enhanced, text=kind.text)
    stage = Stage(kind.stage) if kind.stage in set(Stage) else None
    return diagnose(reply, method=kind.method, stage=stage)
