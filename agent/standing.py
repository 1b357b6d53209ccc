"""How one check stands, and why, in the words that every page and every command uses."""

from __future__ import annotations

from dataclasses import dataclass

from agent.ledger import CheckStanding, InFlight, Snapshot
from agent.words import OUTCOMES, age, told
from checks.core import verdict
from checks.core.model import Attempt, Check, Outcome, Verdict
from checks.core.verdict import Standing
from checks.knowledge import Diagnosis, diagnose_outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckNow:
    """How one check stands. `reason` says why the verdict is not that of `standing`; empty where it is.

    `why` says the same to people, who need to know which mailbox, for how long, and what its server says.
    `diagnosis` is what it means that the newest canary did not pass; None where it did.

    `since_at` is when the verdict that is shown was first shown; None where the ledger does not tell.
    """

    check: Check
    verdict: Verdict
    reason: str
    why: str
    since_at: float | None
    standing: CheckStanding | None
    in_flight: InFlight
    diagnosis: Diagnosis | None

    @property
    def latency(self) -> float | None:
        """How long the newest canary took, in seconds; None where it was not seen: an older one says nothing of now."""
        seen = self.standing is not None and self.standing.outcome in verdict.SEEN
        return self.standing.end_to_end if self.standing is not None and seen else None


def stand_check(
    check: Check, snapshot: Snapshot, attempt: Attempt | None, now_at: float, *, silent: str = "", blind: str = ""
) -> CheckNow:
    """Work out how a check stands.

    Args:
        check: as it is configured.
        snapshot: what the ledger knows.
        attempt: how the canary of its standing was handed over.
        now_at: on the steady timeline.
        silent: why nothing happens any more, where that is known: the agent does not run.
        blind: why its mailbox cannot be read, where that is known.
    """
    standing = snapshot.newest_of(check)
    in_flight = snapshot.in_flight_of(check)
    facts = snapshot.standing_of(check)
    found, reason = verdict.current(facts, now_at)
    return CheckNow(
        check=check,
        verdict=found,
        reason=reason,
        why=_why(check, facts, reason, now_at, silent, blind),
        since_at=_since(check, snapshot, facts, reason),
        standing=standing,
        in_flight=in_flight,
        diagnosis=_diagnose(check, standing, attempt),
    )


def what(one: CheckNow) -> str:
    """Say why the check stands as it does, and what became of its newest canary."""
    parts = [one.why] if one.why else []
    if one.standing is not None:
        newest = OUTCOMES[Outcome(one.standing.outcome)]
        parts.append(f"last: {newest}" if one.reason else newest)
        parts += [] if one.reason else told(one.standing.reasons, one.standing.observation_gap)
    return "; ".join(parts)


def _why(check: Check, facts: Standing, reason: str, now_at: float, silent: str, blind: str) -> str:
    if reason in {verdict.UNREAD, verdict.UNCONCLUDED} and silent:
        return silent
    if reason != verdict.UNREAD:
        return reason
    if facts.looked_at is None:
        unread = f"mailbox {check.mailbox} has never been read"
    else:
        unread = f"mailbox {check.mailbox} has not been read for {age(now_at - facts.looked_at)}"
    return f"{unread}: {blind}" if blind else unread


def _since(check: Check, snapshot: Snapshot, facts: Standing, reason: str) -> float | None:
    """Tell when the verdict that is shown was first shown, as far as the ledger knows."""
    if reason == verdict.UNREAD:
        return None if facts.looked_at is None else facts.looked_at + facts.stale_after
    if reason == verdict.UNCONCLUDED:
        return None if facts.concluded_at is None else facts.concluded_at + facts.stale_after
    standing = snapshot.newest_of(check)
    oldest_at = snapshot.in_flight_of(check).oldest_at
    if reason and (not facts.overdue or oldest_at is None):
        return None
    if reason and oldest_at is not None:  # overdue: the oldest became so first
        since_at = oldest_at + check.limits.late_after
        failed = standing.problems.get(Verdict.FAIL) if standing is not None else None
        if standing is not None and failed is not None and failed.concluded_at > since_at:
            lasted = standing.concluded_at + facts.stale_after  # a failure was shown meanwhile
            since_at = max(since_at, lasted if facts.newest is Verdict.FAIL else standing.since_at)
    elif standing is not None:
        since_at = standing.since_at
    else:
        return None
    # while nobody looked for so long, nobody could know
    dark = [ended for began, ended in snapshot.blind.get(check.mailbox, ()) if ended - began > facts.stale_after]
    return max([since_at, *dark])


def _diagnose(check: Check, standing: CheckStanding | None, attempt: Attempt | None) -> Diagnosis | None:
    if standing is None or standing.verdict == Verdict.PASS.value:
        return None
    return diagnose_outcome(Outcome(standing.outcome), standing.reasons, method=check.method, attempt=attempt)
