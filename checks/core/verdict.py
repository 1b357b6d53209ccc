"""Judge one canary, and say how a check stands. Pure: facts and the time come in, a verdict goes out.

Two promises are kept here. *Never a false green*: nothing passes that was not seen. *Never a false page*: `lost`
needs a complete look into every watched folder that began at or after the deadline, and the deadline moves on by
the time in which nobody looked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from checks.core import expect, refusal
from checks.core.model import (
    Accepted,
    BlindSpan,
    Check,
    Conclusion,
    Facts,
    Outcome,
    Pending,
    Refused,
    Sighting,
    TlsFacts,
    Untried,
    Verdict,
)

DEFAULT_VERDICT: dict[Outcome, Verdict] = {
    Outcome.DELIVERED: Verdict.PASS,
    Outcome.LATE: Verdict.WARN,
    Outcome.JUNK: Verdict.FAIL,
    Outcome.DEGRADED: Verdict.WARN,
    Outcome.BOUNCED: Verdict.FAIL,
    Outcome.LOST: Verdict.FAIL,
    Outcome.UNREACHABLE: Verdict.FAIL,
    Outcome.TLS_FAILED: Verdict.FAIL,
    Outcome.AUTH_FAILED: Verdict.FAIL,
    Outcome.DEFERRED: Verdict.FAIL,
    Outcome.REJECTED: Verdict.FAIL,
    Outcome.ACCEPTED: Verdict.FAIL,
    Outcome.INDETERMINATE: Verdict.UNKNOWN,
    Outcome.UNOBSERVED: Verdict.UNKNOWN,
    Outcome.LOCAL_FAULT: Verdict.UNKNOWN,
}

TIMELINESS_UNOBSERVED = "timeliness_unobserved"
"""Reason: it was seen, but between two looks that lie on either side of `late_after`."""

SEEN = frozenset({Outcome.DELIVERED, Outcome.LATE, Outcome.JUNK, Outcome.DEGRADED})
"""Outcomes that rest on a sighting; a sighting after any other counts as recovered."""


def judge(facts: Facts, now: float) -> Conclusion | Pending:
    """Say what is known about a canary at *now*; the same facts always give the same answer."""
    match facts.attempt:
        case Untried(detail=detail):
            return _conclude(facts, Outcome.LOCAL_FAULT, (detail,))
        case None if facts.being_sent:
            return Pending(again_at=_give_up_at(facts), deadline_at=_deadline(facts))
        case Refused() as refused if not refusal.in_doubt(refused):
            return _refused(facts, refused)
        case Accepted() if facts.canary.check.expect.refused is not None:
            return _conclude(facts, Outcome.ACCEPTED, ("the message was accepted, and should have been refused",))
        case _:
            return _awaited(facts, now)


def _refused(facts: Facts, refused: Refused) -> Conclusion:
    outcome = refusal.outcome_of(refused, online=facts.online)
    reasons = refusal.reasons_of(refused)
    wanted = facts.canary.check.expect.refused
    if wanted is None or outcome is not Outcome.REJECTED:
        return _conclude(facts, outcome, reasons)
    found = refused.reply.enhanced if refused.reply is not None else None
    if found is not None and re.fullmatch(wanted, found):
        return _conclude(facts, outcome, reasons, verdict=Verdict.PASS)
    return _conclude(facts, outcome, (f"refused: expected {wanted}, found {found or 'no enhanced code'}", *reasons))


def _awaited(facts: Facts, now: float) -> Conclusion | Pending:
    """Judge a canary that was accepted, or that may have been."""
    if facts.sightings:
        return _arrived(facts, min(facts.sightings, key=lambda seen: seen.seen_at))
    for bounce in facts.bounces:
        if bounce.final:
            return _conclude(facts, Outcome.BOUNCED, (bounce.diagnostic or bounce.status or bounce.action,))
    sure = isinstance(facts.attempt, Accepted)
    deadline = _deadline(facts)
    if _looked_since(facts, deadline):
        if sure:
            return _conclude(facts, Outcome.LOST, ("not seen in any watched folder",))
        return _conclude(facts, Outcome.INDETERMINATE, (_doubt(facts), "not seen"))
    give_up = _give_up_at(facts)
    if now >= give_up:
        outcome = Outcome.UNOBSERVED if sure else Outcome.INDETERMINATE
        blind = (
            "nobody could look into the mailbox"
            if _its_own(facts)
            else "the mailbox was replaced, or the ledger restored"
        )
        reasons = (blind,) if sure else (_doubt(facts), blind)
        return _conclude(facts, outcome, reasons)
    return Pending(again_at=min(deadline, give_up) if now < deadline else give_up, deadline_at=deadline)


def _arrived(facts: Facts, first: Sighting) -> Conclusion:
    check = facts.canary.check
    if check.expect.refused is not None:
        return _conclude(facts, Outcome.ACCEPTED, ("the message arrived, and should have been refused",), first)
    reasons: tuple[str, ...] = ()
    began = _began(facts)
    earliest = max(0.0, first.after_at - began) if first.after_at is not None else 0.0
    late = earliest > check.limits.late_after
    if not late and first.seen_at - began > check.limits.late_after:
        reasons = (TIMELINESS_UNOBSERVED,)
    if check.expect.placement == "inbox" and (first.junk or (first.findings and first.findings.marked_junk)):
        where = f"in folder {first.ref.folder}" if first.junk else f"marked as junk: {first.findings.marked_junk}"  # type: ignore[union-attr]
        return _conclude(facts, Outcome.JUNK, (f"placement: expected inbox, found {where}", *reasons), first)
    known = facts.attribution_known
    unmet = expect.unmet(check.expect, first.findings, _tls(facts), attribution_known=known)
    reasons = (*reasons, *expect.unjudged(check.expect, first.findings, attribution_known=known))
    if late:
        return _conclude(facts, Outcome.LATE, (*unmet, *reasons), first)
    if unmet:
        return _conclude(facts, Outcome.DEGRADED, (*unmet, *reasons), first)
    # It has arrived, but nobody could read whether as it should: neither a pass nor anybody's fault.
    unread = expect.EVIDENCE_UNOBSERVED in reasons
    return _conclude(facts, Outcome.DELIVERED, reasons, first, verdict=Verdict.UNKNOWN if unread else None)


def _conclude(
    facts: Facts,
    outcome: Outcome,
    reasons: Sequence[str],
    seen: Sighting | None = None,
    *,
    verdict: Verdict | None = None,
) -> Conclusion:
    """Put a conclusion together, with every duration that is known."""
    began = _began(facts)
    accepted_at = facts.attempt.transcript.ended_at if isinstance(facts.attempt, Accepted) else None
    gap = None
    if seen is not None:
        not_before = accepted_at if accepted_at is not None else began
        gap = max(0.0, seen.seen_at - max(not_before, seen.after_at or not_before))
    return Conclusion(
        canary=facts.canary.id,
        outcome=outcome,
        verdict=verdict or DEFAULT_VERDICT[outcome],
        reasons=tuple(reasons),
        submission=None if accepted_at is None else accepted_at - began,
        delivery=None if seen is None or accepted_at is None else seen.seen_at - accepted_at,
        end_to_end=None if seen is None else seen.seen_at - began,
        observation_gap=gap,
    )


def _began(facts: Facts) -> float:
    attempt = facts.attempt
    return attempt.transcript.began_at if isinstance(attempt, Accepted | Refused) else facts.canary.started_at


def _tls(facts: Facts) -> TlsFacts | None:
    return facts.attempt.transcript.tls if isinstance(facts.attempt, Accepted | Refused) else None


def _doubt(facts: Facts) -> str:
    if isinstance(facts.attempt, Refused):
        return f"no answer to the message: {facts.attempt.detail or facts.attempt.cause.value}"
    return "the agent stopped while the message was being sent"


def _give_up_at(facts: Facts) -> float:
    return _expected_by(facts) + facts.canary.check.limits.observe_within


def _expected_by(facts: Facts) -> float:
    """When the message should be there: `lost_after` from the first byte.

    One that took nearly as long to be handed over is not lost in the moment in which it was: it has some time to
    arrive, at least `late_after` or half of `lost_after`, whichever is less.
    """
    limits = facts.canary.check.limits
    expected_by = _began(facts) + limits.lost_after
    if isinstance(facts.attempt, Accepted | Refused):
        handed_over = facts.attempt.transcript.ended_at
        return max(expected_by, handed_over + min(limits.late_after, limits.lost_after / 2))
    return expected_by


def _deadline(facts: Facts) -> float:
    """When all of that time has been *watched*."""
    began, deadline = _began(facts), _expected_by(facts)
    for span in _merged(facts.watching.blind):
        if span.ended_at > began and span.began_at < deadline:
            deadline += span.ended_at - max(span.began_at, began)
    return deadline


def _merged(spans: Sequence[BlindSpan]) -> list[BlindSpan]:
    """Join spans that overlap (several folders may have been unwatched at once), in order of time."""
    merged: list[BlindSpan] = []
    for span in sorted(spans, key=lambda one: one.began_at):
        if merged and span.began_at <= merged[-1].ended_at:
            last = merged.pop()
            span = BlindSpan(began_at=last.began_at, ended_at=max(last.ended_at, span.ended_at))  # noqa: PLW2901
        merged.append(span)
    return merged


def _looked_since(facts: Facts, deadline: float) -> bool:
    """Tell whether looks show that it is not there; in a mailbox that replaced its own they show nothing."""
    looks = facts.watching.looked_at.values()
    return _its_own(facts) and bool(looks) and all(began is not None and began >= deadline for began in looks)


def _its_own(facts: Facts) -> bool:
    """Tell whether the mailbox that is looked into is the one that the canary was sent to."""
    return facts.canary.started_at >= facts.watching.since_at


UNREAD = "the mailbox has not been read for too long"
UNCONCLUDED = "no canary has concluded for too long"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a check's current verdict depends on, besides the time.

    `newest` is the verdict of the newest-started concluded canary, `concluded_at` when that came; `looked_at` is
    when the last complete look into all folders of its mailbox began; `overdue` counts canaries unseen past
    `late_after` by complete looks.
    """

    newest: Verdict | None
    concluded_at: float | None
    looked_at: float | None
    overdue: int
    every: float
    late_after: float

    @property
    def stale_after(self) -> float:
        """For how many seconds what was seen last says something about now."""
        return max(3 * self.every, self.late_after + self.every)


def proves(then: Check, now: Check) -> bool:
    """Tell whether what came of a canary of a check as it was *then* says anything about the check as it is *now*."""
    what = ((one.path, one.method, one.mailbox, one.sender, one.recipient.lower(), one.expect) for one in (then, now))
    return next(what) == next(what)


def current(standing: Standing, now: float) -> tuple[Verdict, str]:
    """Say how a check stands at *now*, and why in a few words; it never is green while nobody can look."""
    stale_after = standing.stale_after
    if standing.looked_at is None or now - standing.looked_at > stale_after:
        return Verdict.UNKNOWN, UNREAD
    if standing.newest is None or standing.concluded_at is None:
        return (Verdict.WARN, "overdue") if standing.overdue else (Verdict.UNKNOWN, "nothing has concluded yet")
    stale = now - standing.concluded_at > stale_after
    if standing.overdue and (stale or standing.newest is not Verdict.FAIL):
        return Verdict.WARN, "overdue"
    if stale:
        return Verdict.UNKNOWN, UNCONCLUDED
    return standing.newest, ""
