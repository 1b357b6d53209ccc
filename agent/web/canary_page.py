"""What the page of one canary shows: the evidence, in the order in which it came about, and what it means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from agent.ledger.cases import CanaryRecord, CaseFile
from agent.server_words import clock_lines
from agent.status import AgentView
from agent.web import figures, message
from agent.web.message import Mail
from agent.words import OUTCOMES, age, span
from checks.core.message import keeps_message_id, message_id, subject
from checks.core.model import Accepted, Attempt, Outcome, Refused, Reply, TlsFacts, Untried
from checks.core.token import VERSION
from checks.knowledge import Diagnosis, diagnose_outcome

_MAY_HAVE_LEFT = frozenset({Outcome.LOST, Outcome.INDETERMINATE, Outcome.UNOBSERVED})


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, in Unix time."""

    at: float
    words: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the dialogue: seconds after the first byte, who spoke, what."""

    after: float
    who: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryPage:
    """Everything on the page. `clocks` says what servers' clocks tell, by label.

    `pruned` tells that there was evidence and it is gone. `message_id` is empty where it is not known: Exchange
    gives mail of Graph one of its own, and of canaries that an earlier version sent only the beginning of the
    `subject` is on record.
    """

    version: str
    case: CaseFile
    diagnosis: Diagnosis | None
    reply: Reply | None
    stage: str
    detail: str
    endpoint: str
    tls: TlsFacts | None
    dialogue: Sequence[Line]
    waterfall: Markup
    mail: Mail | None
    clocks: Sequence[tuple[str, str]]
    message_id: str
    subject: str
    timeline: Sequence[Event]
    pruned: bool


def compose(view: AgentView, case: CaseFile) -> CanaryPage:
    """Put the page together."""
    record, attempt = case.record, case.record.attempt
    outcome = Outcome(record.outcome) if record.outcome else None
    tried = attempt if isinstance(attempt, Accepted | Refused) else None
    known = case.transcript or (tried.transcript if tried else None)
    mail = message.read(case.headers) if case.headers else None
    return CanaryPage(
        version=view.version,
        case=case,
        diagnosis=diagnose_outcome(outcome, record.reasons, method=record.check.method, attempt=attempt)
        if outcome and record.verdict != "pass"
        else None,
        reply=tried.reply if tried else None,
        stage=attempt.stage.value if isinstance(attempt, Refused) else "",
        detail=attempt.detail if isinstance(attempt, Refused | Untried) else "",
        endpoint=known.endpoint if known else "",
        tls=known.tls if known else None,
        dialogue=[Line(one.at - known.began_at, one.who, one.text) for one in known.dialogue] if known else (),
        waterfall=figures.waterfall(figures.bars(record)),
        mail=mail,
        clocks=list(clock_lines(case.servers)) if case.servers else (),
        message_id=(mail.message_id if mail else "") or _as_sent(record),
        subject=subject(record.token or f"{VERSION}.{record.canary}"),
        timeline=sorted(_timeline(case), key=lambda event: event.at),
        pruned=_pruned(case),
    )


def _as_sent(record: CanaryRecord) -> str:
    """Write the Message-ID that it was sent with; empty where Exchange gives it another, or it is not on record."""
    own = keeps_message_id(record.check.method) and record.token
    return message_id(record.token, record.check.sender) if own else ""


def _pruned(case: CaseFile) -> bool:
    """Tell whether evidence is gone: a hand-over has a transcript, a sighting has headers."""
    tried = isinstance(case.record.attempt, Accepted | Refused)
    return not case.record.simulated and ((tried and case.transcript is None) or (bool(case.seen) and not case.headers))


def _timeline(case: CaseFile) -> Iterator[Event]:
    record = case.record
    yield Event(record.started, f"written down, and started by check {record.check.name}")
    if record.attempt is not None:
        yield from _handed_over(record.attempt, record.offset)
    for one in case.seen:
        where = f"in folder {one.folder} of mailbox {one.mailbox}{', which is junk' if one.junk else ''}"
        since = f"; the look {span(one.seen - one.after)} before did not show it" if one.after is not None else ""
        yield Event(one.seen, f"seen {where}{since}")
        if one.deleted is not None and not record.simulated:  # what was made up was never in a mailbox
            yield Event(one.deleted, f"cleaned up {where}")
    yield from _not_seen(case)
    for bounce in case.bounced:
        yield Event(bounce.seen, f"notification in mailbox {bounce.mailbox}: {bounce.action} {bounce.status or ''}")
    if record.concluded is not None and record.outcome:
        yield Event(record.concluded, f"concluded: {OUTCOMES[Outcome(record.outcome)]}, verdict {record.verdict}")
    if record.recovered is not None:
        yield Event(record.recovered, "seen after all: counted as recovered")


def _not_seen(case: CaseFile) -> Iterator[Event]:
    """Tell of the looks that did not show it, and of the times without any."""
    record = case.record
    if case.seen or not (isinstance(record.attempt, Accepted) or record.outcome in _MAY_HAVE_LEFT):
        return
    for one in case.unwatched:
        where = f"folder {one.folder} of mailbox {one.mailbox}"
        yield Event(one.began, f"nobody looked into {where} from here on, for {span(one.ended - one.began)}")
    allowed = record.check.limits.lost_after
    waited = f" and {span(record.deadline - record.started - allowed)} in which nobody looked"
    more = waited if record.deadline - record.started - allowed >= 1 else ""
    if record.deadline <= max((one.began for one in case.looked), default=record.started):
        yield Event(record.deadline, f"the time that it may take was over: {age(allowed)}{more}")
    for look in case.looked:
        yield Event(
            look.began, f"the last complete look into folder {look.folder} of mailbox {look.mailbox}: not there"
        )


def _handed_over(attempt: Attempt, offset: float) -> Iterator[Event]:
    if isinstance(attempt, Untried):
        yield Event(attempt.at + offset, f"could not be tried: {attempt.detail}")
        return
    said = str(attempt.reply) if attempt.reply else ""
    words = "accepted" if isinstance(attempt, Accepted) else f"not accepted at {attempt.stage}"
    if isinstance(attempt, Refused):
        said = said or attempt.detail
    told = said if isinstance(attempt, Accepted) else ""  # a refusal stands at the top of the page, and in the dialogue
    yield Event(attempt.transcript.ended_at + offset, f"{words}: {told}" if told else words)
