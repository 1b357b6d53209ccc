"""What the page of one check shows: how it stands, how it did lately, who refused it and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from types import MappingProxyType

from markupsafe import Markup

from agent.ledger import Silence, Snapshot
from agent.ledger.cases import CanaryRecord, CaseFile
from agent.ledger.pages import Questions
from agent.standing import CheckNow, what
from agent.status import AgentView
from agent.web import figures, message, stages
from agent.web.message import Mail
from agent.web.status_page import silence_of, stand
from agent.words import told
from checks.core.model import Accepted, Check, Outcome, Refused, Stage
from checks.knowledge import Diagnosis, diagnose_outcome

CHARTED = 300
SPANS: Mapping[str, float] = MappingProxyType({"1h": 3600.0, "24h": 86400.0, "7d": 7 * 86400.0, "35d": 35 * 86400.0})
"""The spans that the charts may show instead of the newest canaries, in seconds."""
ROWS = 50
_ORDER = {stage.value: place for place, stage in enumerate(Stage)}


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger says: how everything stands, the newest canaries, one page of the list, one that was seen."""

    snapshot: Snapshot
    newest: Sequence[CanaryRecord]
    charted: Sequence[CanaryRecord]
    listed: Sequence[CanaryRecord]
    seen: CaseFile | None
    silences: Sequence[Silence]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One way in which canaries failed: how often, when last (Unix time), the newest one, and what it means."""

    outcome: str
    words: str
    number: int
    last: float
    canary: str
    diagnosis: Diagnosis | None


@dataclass(frozen=True, slots=True)
class StageLine:
    """How long one stage took among the newest canaries that were accepted, in seconds.

    `gap` is for how long nobody had looked before the highest, where that is much of it.
    """

    name: str
    number: int
    median: float
    highest: float
    gap: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPage:
    """Everything on the page. `now` is None for a check that only the ledger knows; moments are Unix time."""

    name: str
    site: str
    version: str
    at: float
    check: Check
    now: CheckNow | None
    what: str
    since: float | None
    next_due: float | None
    chart: Markup
    stage_chart: Markup
    charted: int
    span: str
    unsure: bool
    outcomes: Sequence[tuple[str, str, int]]
    stages: Sequence[StageLine]
    last: CanaryRecord | None
    waterfall: Markup
    mail: Mail | None
    mail_canary: str
    refusals: Sequence[Refusal]
    listed: Sequence[CanaryRecord]
    older: int | None
    paged: bool
    simulated: bool
    silenced: Silence | None


def ask(questions: Questions, name: str, before: int | None, now: float, chosen: str = "") -> Known:
    """Read what the page needs; the number of rows is bounded."""
    newest = questions.canaries(name, limit=CHARTED)
    listed = newest[: ROWS + 1] if before is None else questions.canaries(name, before=before, limit=ROWS + 1)
    seen = next((one for one in newest if one.end_to_end is not None), None)
    found = questions.case(seen.canary) if seen else None
    charted = questions.sampled(name, now - SPANS[chosen]) if chosen else newest
    return Known(questions.standings(), newest, charted, listed, found, questions.silences(now))


def compose(view: AgentView, known: Known, name: str, before: int | None, chosen: str = "") -> CheckPage | None:
    """Put the page together; None if neither the settings nor the ledger know the check."""
    configured = next((one for one in view.checks if one.check.name == name), None)
    if configured is None and not known.newest:
        return None
    now = stand(view, known.snapshot, configured.check) if configured else None
    check = configured.check if configured else known.newest[0].check
    last = next((one for one in known.newest if figures.bars(one)), None)
    counted = Counter((one.verdict or "", one.outcome or "") for one in known.newest if one.outcome)
    mail = message.read(known.seen.headers) if known.seen and known.seen.headers else None
    return CheckPage(
        name=name,
        site=view.site,
        version=view.version,
        at=view.now_wall,
        check=check,
        now=now,
        what=what(now) if now else "the settings do not have this check any more",
        since=None if now is None or now.since_at is None else now.since_at + view.wall_offset,
        next_due=configured.next_due.timestamp() if configured and configured.next_due else None,
        chart=figures.latency(known.charted, check.limits.late_after),
        stage_chart=stages.over_time(known.charted),
        charted=sum(one.verdict is not None for one in known.charted),
        span=chosen,
        unsure=any(figures.unsure(one) for one in known.charted),
        outcomes=[(verdict, outcome, number) for (verdict, outcome), number in counted.most_common()],
        stages=list(_stages(known.newest)),
        last=last,
        waterfall=figures.waterfall(figures.bars(last)) if last else Markup(""),
        mail=mail,
        mail_canary=known.seen.record.canary if known.seen else "",
        refusals=_refusals(known.newest),
        listed=known.listed[:ROWS],
        older=known.listed[ROWS - 1].seq if len(known.listed) > ROWS else None,
        paged=before is not None,
        simulated=any(one.simulated for one in (*known.newest, *known.charted, *known.listed)),
        silenced=silence_of(known.silences, configured.check, view) if configured else None,
    )


def _stages(newest: Sequence[CanaryRecord]) -> Iterator[StageLine]:
    times: dict[str, list[float]] = {}
    for one in newest:
        if isinstance(one.attempt, Accepted):
            for timing in one.attempt.transcript.stages:
                times.setdefault(timing.stage.value, []).append(timing.seconds)
        if one.delivery is not None:
            times.setdefault("delivery", []).append(one.delivery)
    slowest = max(
        (one for one in newest if one.delivery is not None), key=lambda one: one.delivery or 0.0, default=None
    )
    gap = slowest.observation_gap if slowest is not None and figures.unsure(slowest) else None
    for name, values in sorted(times.items(), key=lambda pair: _ORDER.get(pair[0], len(_ORDER))):
        yield StageLine(name, len(values), median(values), max(values), gap if name == "delivery" else None)


def _refusals(newest: Sequence[CanaryRecord]) -> Sequence[Refusal]:
    """Group what did not pass by outcome and code: the words of a server differ in host names and ids."""
    groups: dict[tuple[str, str], list[CanaryRecord]] = {}
    for one in newest:
        if one.outcome and one.verdict != "pass":
            groups.setdefault((one.outcome, _code(one)), []).append(one)
    return [_refusal(group) for group in groups.values()]


def _refusal(group: Sequence[CanaryRecord]) -> Refusal:
    first = group[0]
    outcome = Outcome(first.outcome or "")
    return Refusal(
        outcome=outcome.value,
        words="; ".join(told(first.reasons, first.observation_gap)),
        number=len(group),
        last=first.started,
        canary=first.canary,
        diagnosis=diagnose_outcome(outcome, first.reasons, method=first.check.method, attempt=first.attempt),
    )


def _code(one: CanaryRecord) -> str:
    if isinstance(one.attempt, Refused) and one.attempt.reply is not None:
        return f"{one.attempt.stage} {one.attempt.reply.code} {one.attempt.reply.enhanced}"
    return ""


def expectations(check: Check) -> Mapping[str, str]:
    """Tell what the check demands, in the words of the settings."""
    wanted = check.expect
    told: dict[str, object] = {"placement": wanted.placement, "refused": wanted.refused, **wanted.results}
    told |= {"tls": wanted.tls, "attributed": wanted.attributed, "scl_max": wanted.scl_max}
    told |= {"max_hop_delay": wanted.max_hop_delay, "headers": ", ".join(wanted.headers) or None}
    return {name: str(value) for name, value in told.items() if value is not None}
