"""What the status page shows, put together from the agent's view of itself and one picture of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from agent.ahead import Outlook, ahead
from agent.ledger import Silence, Snapshot
from agent.ledger.pages import Failure, Point, Questions
from agent.report.incidents import Incident
from agent.standing import CheckNow, stand_check, what
from agent.status import AgentView, Ahead, MailboxView, PathView
from agent.web import incidents
from agent.web.charts import BARS, sparkline
from checks.core.model import Check, Outcome, Verdict
from checks.knowledge import Diagnosis, diagnose_outcome

FROM_WORST_TO_BEST = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN, Verdict.PASS)
_SOON, _NOW = 30 * 86400.0, 7 * 86400.0


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger says, all of it from one transaction."""

    snapshot: Snapshot
    points: Mapping[str, Sequence[Point]]
    failures: Sequence[Failure]
    failing_since: Mapping[tuple[str, str], float]
    simulated: bool
    silences: Sequence[Silence] = ()


NOTHING = Known(Snapshot(), {}, (), {}, simulated=False)
"""What is known where the ledger cannot be read: so every check is unknown."""


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One check. Moments are Unix time."""

    name: str
    verdict: Verdict
    what: str
    since: float | None
    latency: float | None
    spark: Markup
    next_due: float | None
    in_flight: int
    severity: str
    meaning: str | None
    fix: str | None
    silenced: Silence | None
    maintenance: str


@dataclass(frozen=True, slots=True)
class PathGroup:
    """One path and its checks."""

    path: PathView
    checks: Sequence[CheckLine]


@dataclass(frozen=True, slots=True)
class MailboxLine:
    """One mailbox; `why` says why it is not up, `checks` names those that are blind without it; Unix time."""

    view: MailboxView
    looked: float | None
    why: str
    checks: Sequence[str]
    diagnosis: Diagnosis | None

    @property
    def dark(self) -> bool:
        """Tell whether it is known that it cannot be read; one that has just begun to be watched is not up either."""
        return bool(self.why)


@dataclass(frozen=True, slots=True)
class Ending:
    """Something that runs out, and how urgent it is, as a verdict; unknown where nobody knows when."""

    ahead: Ahead
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPage:
    """Everything on the page. `problem` says why the ledger cannot be read; empty where it can."""

    site: str
    version: str
    now: float
    problem: str
    worst: Verdict | None
    counts: Sequence[tuple[Verdict, int]]
    groups: Sequence[PathGroup]
    open: Sequence[Incident]
    closed: Sequence[Incident]
    single_failures: int
    cut: bool
    mailboxes: Sequence[MailboxLine]
    dark: Sequence[MailboxLine]
    silences: Sequence[Silence]
    endings: Sequence[Ending]
    later: str
    simulated: bool
    applied: bool
    reload_successful: bool


def ask(questions: Questions, now: float) -> Known:
    """Read what the page needs; its cost grows with the number of checks, not with history."""
    failures = questions.newest_failures(now - incidents.SPAN, incidents.MOST)
    return Known(
        snapshot=questions.standings(),
        points=questions.newest_points(BARS),
        failures=failures,
        failing_since=questions.failing_since(failures),
        simulated=questions.has_simulated(),
        silences=questions.silences(now),
    )


def compose(view: AgentView, known: Known, problem: str = "") -> StatusPage:
    """Put the page together."""
    standings = [stand(view, known.snapshot, one.check) for one in view.checks]
    verdicts = [one.verdict for one in standings]
    found = incidents.recent(known.failures, known.failing_since, view)
    due = {one.check.name: one.next_due.timestamp() if one.next_due else None for one in view.checks}
    outlook = Outlook.of(_ahead(view), view.now_wall)
    mailboxes = [mailbox(one, view, known.snapshot) for one in view.mailboxes]
    lines: dict[str, list[CheckLine]] = {}
    for one in standings:
        lines.setdefault(one.check.path, []).append(_line(one, view, known, due[one.check.name]))
    return StatusPage(
        site=view.site,
        version=view.version,
        now=view.now_wall,
        problem=problem,
        worst=min(verdicts, key=FROM_WORST_TO_BEST.index) if verdicts else None,
        counts=[(verdict, verdicts.count(verdict)) for verdict in FROM_WORST_TO_BEST],
        groups=[PathGroup(path, lines[path.name]) for path in view.paths if path.name in lines],
        open=[one for one in reversed(found.incidents) if one.ended is None],
        closed=[one for one in reversed(found.incidents) if one.ended is not None],
        single_failures=found.single_failures,
        cut=len(known.failures) >= incidents.MOST,
        mailboxes=mailboxes,
        dark=[one for one in mailboxes if one.dark],
        silences=known.silences,
        endings=[_ending(one, view.now_wall) for one in outlook.soon],
        later=outlook.rest(),
        simulated=known.simulated,
        applied=view.applied,
        reload_successful=view.reload_successful,
    )


def stand(view: AgentView, taken: Snapshot, check: Check) -> CheckNow:
    """Work out how a check stands."""
    newest = taken.standings.get(check.name)
    problem = newest.problems.get(Verdict(newest.verdict)) if newest else None
    blind = next((_trouble(one) for one in view.mailboxes if one.name == check.mailbox), "")
    return stand_check(check, taken, problem.attempt if problem else None, view.now_at, blind=blind)


def silence_of(silences: Sequence[Silence], check: Check, view: AgentView) -> Silence | None:
    """Return the silence that keeps alerts about a check from being told now; of several, the one that ends last."""
    now = view.now_wall
    fitting = (
        one for one in silences if one.holds(now) and one.fits(check=check.name, path=check.path, site=view.site)
    )
    return max(fitting, key=lambda one: one.ends_wall, default=None)


def _line(one: CheckNow, view: AgentView, known: Known, next_due: float | None) -> CheckLine:
    shown = one.diagnosis if one.verdict is not Verdict.PASS else None
    return CheckLine(
        name=one.check.name,
        verdict=one.verdict,
        what=what(one),
        since=None if one.since_at is None else one.since_at + view.wall_offset,
        latency=one.latency,
        spark=sparkline(known.points.get(one.check.name, ())),
        next_due=next_due,
        in_flight=one.in_flight.count,
        severity=one.check.severity,
        meaning=shown.meaning if shown else None,
        fix=shown.fix if shown else None,
        silenced=silence_of(known.silences, one.check, view),
        maintenance=view.maintenance.get(one.check.name, ""),
    )


def mailbox(one: MailboxView, view: AgentView, taken: Snapshot) -> MailboxLine:
    """Work out how a mailbox stands."""
    looked_at, why = taken.looked_at.get(one.name), _trouble(one)
    return MailboxLine(
        view=one,
        looked=None if looked_at is None else looked_at + view.wall_offset,
        why=why,
        checks=[seen.check.name for seen in view.checks if seen.check.mailbox == one.name],
        diagnosis=diagnose_outcome(Outcome.UNOBSERVED, (why,)) if why else None,
    )


def _trouble(one: MailboxView) -> str:
    return "" if one.status.up else one.status.detail or one.status.reason


def endings(view: AgentView) -> Sequence[Ending]:
    """List all that will end, each with how urgent it is."""
    return [_ending(one, view.now_wall) for one in _ahead(view)]


def _ahead(view: AgentView) -> Sequence[Ahead]:
    found = [*view.retiring]
    if view.web_certificate is not None:
        fix = "renew the files that web.tls names: they are taken at the next connection"
        found.append(Ahead(what="the certificate of these pages", when=view.web_certificate.timestamp(), fix=fix))
    return ahead(view.paths, view.credentials, found)


def _ending(one: Ahead, now: float) -> Ending:
    if one.when is None:
        return Ending(one, Verdict.UNKNOWN)
    left = one.when - now
    return Ending(one, Verdict.FAIL if left < _NOW else Verdict.WARN if left < _SOON else Verdict.PASS)
