"""Put the figures of a period together from the ledger's rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from agent import __version__
from agent.ledger.history import History
from agent.ledger.past import HeaderCount, RunRecord, Span, UnknownCount
from agent.report import incidents
from agent.report.counts import Counts
from agent.report.durations import by_hop, by_hour, summary
from agent.report.earlier import Before, Compared, compared_with, results_by_path, span_of
from agent.report.figures import (
    OVERALL,
    PARTS,
    Day,
    Figures,
    Filtering,
    Objective,
    PathFigures,
    Share,
    ends,
    part_of,
    verdict_words,
)
from agent.report.incidents import Found, Incident, Judged, OnPath
from agent.report.period import Period
from agent.report.refusals import top_refusals
from agent.report.tally import PathTally, Tally
from agent.report.unobserved import Holes, unobserved
from agent.status import Ahead
from agent.words import told
from checks.core.model import Check, Outcome, Stage
from checks.knowledge import diagnose_outcome

_TOP_REASONS = 10
_LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a report is to hold things against.

    `checks` are those that the settings have; None where that makes no difference. `objective` is the share that is
    to be on time, `after` how many failures in a row make an incident, `ahead` what is known to end, and `progress` is
    called with how many canaries are counted, of how many.
    """

    checks: Collection[Check] | None = None
    objective: float = 0.99
    after: int = 2
    ahead: Sequence[Ahead] = ()
    progress: Callable[[int, int], None] = lambda _done, _all: None


def compute(history: History, period: Period, now: datetime, wishes: Wishes) -> Figures:
    """Compute the figures of *period*, from one transaction; *now* is when it is asked for."""
    span = span_of(period)
    specs = history.specifications()
    first = history.first_started()
    observed = Span(span.since if first is None else max(span.since, first), min(span.until, now.timestamp()))
    tally = Tally(since=span.since, specs=specs)
    holes = Holes(observed.since, {number: check.limits.every for number, check in specs.items()})
    _tally(history, span, tally, holes, wishes.progress)
    if first is not None and first < observed.until:
        holes.close(observed.until)
    found = _incidents(history, span, wishes)
    starts = history.runs(span.until)
    newest = starts[-1] if starts else RunRecord("", "", 0.0)
    made_up = history.simulated(span)
    methods = {name: path.method for name, path in tally.paths.items()}
    overall, *paths = _paths(history, period, tally, wishes)
    return Figures(
        name=period.name,
        since=span.since,
        until=span.until,
        zone=str(period.zone),
        complete=now.timestamp() >= span.until,
        simulated=made_up > 0,
        simulated_canaries=made_up,
        simulated_before=history.simulated(span_of(compared_with(period))) > 0,
        made=now.timestamp(),
        site=newest.site or history.simulated_site(),
        version=__version__,
        first=first,
        overall=overall,
        paths=paths,
        checks={name: ends(counts) for name, counts in sorted(tally.checks.items())},
        incidents=[_explained(one, methods.get(one.path)) for one in found.incidents],
        single_failures=found.single_failures,
        refusals=top_refusals(history.refusal_counts(span), specs),
        unobserved=unobserved(history, holes.found, observed),
        ahead=wishes.ahead,
    )


def _tally(history: History, span: Span, tally: Tally, holes: Holes, tell: Callable[[int, int], None]) -> None:
    """Count the canaries of the period, and find the holes between them."""
    number, done = history.count(span), 0
    for page in history.canaries(span):
        tally.take(page)
        holes.take([row[0] for row in page], [row[1] for row in page])
        done += len(page)
        tell(done, number)


def _incidents(history: History, span: Span, wishes: Wishes) -> Found:
    lives: dict[OnPath, list[Judged]] = {}
    since: dict[OnPath, float] = {}
    for turn in history.turns(span):
        tested = OnPath(turn.check, turn.path)
        life = lives.setdefault(tested, [])
        if not life:
            began = history.failing_since(turn.check, turn.path, turn.seq)
            since |= {} if began is None else {tested: began}
        words = "; ".join(told(turn.reasons))[:_LONGEST_TEXT]
        life.append(
            Judged(
                canary=turn.canary,
                started=turn.started,
                concluded=turn.concluded,
                verdict=turn.verdict,
                outcome=turn.outcome,
                words=words,
                simulated=turn.seq < 0,
                moved=turn.moved,
            )
        )
    known = lives if wishes.checks is None else {OnPath(one.name, one.path) for one in wishes.checks}
    return incidents.find(lives, after=wishes.after, failing_since=since, known=known)


def _paths(history: History, period: Period, tally: Tally, wishes: Wishes) -> Iterable[PathFigures]:
    """Put together what is told of all paths, and of each."""
    span, specs = span_of(period), tally.specs
    whole = PathTally(OVERALL, "")
    for path in tally.paths.values():
        whole.add(path)
    headers = history.header_counts(span, hops=True)
    of_path: dict[str, list[HeaderCount]] = defaultdict(list)
    for one in headers:
        of_path[specs[one.spec].path].append(one)
    results = results_by_path(headers, specs)
    passed = {specs[spec].path: hosts for spec, hosts in sorted(history.newest_hosts(span).items())}
    reasons = _reasons(history.unknown_counts(span), specs)
    before, mine = Before.read(history, period, specs), Compared.of(tally, whole, headers, results)
    for path in (whole, *(tally.paths[name] for name in sorted(tally.paths))):
        figures = _path(path, period, wishes.objective)
        stamped: dict[str, dict[str, int]] = {}
        for (mechanism, result), n in sorted(results.get(path.name, Counter()).items()):
            stamped.setdefault(mechanism, {})[result] = n
        read = headers if path is whole else of_path[path.name]
        walked = [] if path is whole else by_hop(read, passed.get(path.name, ()))
        yield replace(
            figures,
            hops=walked,
            authentication=stamped,
            filtering=_filtering(read),
            changes=before.changes(mine, period, path.name),
            weeks=before.trend(mine, period, path.name),
            unknown_reasons=dict(reasons.get(path.name, Counter()).most_common(_TOP_REASONS)),
        )


def _filtering(counts: Sequence[HeaderCount]) -> Filtering:
    """Count what the filter said, by level from the lowest on."""
    levels: Counter[int | None] = Counter()
    for one in counts:
        levels[one.scl] += one.n
    known = sorted(level for level in levels if level is not None)
    scl = {str(level): levels[level] for level in known}
    if None in levels:
        scl[""] = levels[None]
    return Filtering(scl=scl, junk=Share(sum(one.n for one in counts if one.junk), levels.total()))


def _path(tally: PathTally, period: Period, objective: float) -> PathFigures:
    told = ends(tally.counts)
    order = {stage.value: place for place, stage in enumerate(Stage)}
    stages = sorted(tally.stages.items(), key=lambda item: order.get(item[0], len(order)))
    return PathFigures(
        path=tally.name,
        method=tally.method,
        ends=told,
        objective=Objective(
            objective=objective,
            allowed=(1.0 - objective) * told.measured,
            failed=told.measured - told.on_time.n,
        ),
        latency=summary(tally.seconds.all()),
        gap=summary(tally.gaps.all()),
        stages={stage: summary(durations.all()) for stage, durations in stages},
        hours=by_hour(tally),
        days=_days(tally.by_hour, period),
    )


def _days(hours: Mapping[int, Counts], period: Period) -> Sequence[Day]:
    """Sum hours up to the days of the calendar; every day of the period is there, if only with zeros."""
    days: dict[str, tuple[dict[str, int], dict[str, int]]] = {}
    since = period.since.timestamp()
    for hour in range(period.hours):
        day = f"{datetime.fromtimestamp(since + hour * 3600, period.zone):%Y-%m-%d}"
        verdicts, parts = days.setdefault(day, (dict.fromkeys(verdict_words(), 0), dict.fromkeys(PARTS, 0)))
        for (outcome, verdict), n in hours.get(hour, Counts()).ends.items():
            verdicts[verdict] += n
            parts[part_of(outcome, verdict)] += n
    return [Day(day=day, verdicts=verdicts, ends=parts) for day, (verdicts, parts) in days.items()]


def _reasons(counts: Iterable[UnknownCount], specs: Mapping[int, Check]) -> Mapping[str, Counter[str]]:
    """Add up why fates are unknown, by path, and of all together; the first reason of each is told."""
    reasons: dict[str, Counter[str]] = {}
    for one in counts:
        why = f"{one.outcome}: {one.reasons[0][:_LONGEST_TEXT]}" if one.reasons else one.outcome
        for path in (specs[one.spec].path, OVERALL):
            reasons.setdefault(path, Counter())[why] += one.n
    return reasons


def _explained(incident: Incident, method: str | None) -> Incident:
    found = diagnose_outcome(Outcome(incident.outcome), [incident.words], method=method)
    return replace(incident, meaning=found.meaning, fix=found.fix) if found else incident
