"""How one check stands, and why, in the words that every page and every command uses."""

from __future__ import annotations

from dataclasses import dataclass

from agent.ledger import CheckStanding, InFlight, Snapshot
from agent.words import OUTCOMES, told
from checks.core import verdict
from checks.core.model import Attempt, Check, Outcome, Verdict
from checks.knowledge import Diagnosis, diagnose_outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckNow:
    """How one check stands. `reason` says why the verdict is not that of `standing`; empty where it is.

    `diagnosis` is what it means that the newest canary did not pass; None where it did.

    `since_at` is None where the ledger does not tell since when.
    """

    check: Check
    verdict: Verdict
    reason: str
    since_at: float | None
    standing: CheckStanding | None
    in_flight: InFlight
    diagnosis: Diagnosis | None


def stand_check(check: Check, snapshot: Snapshot, attempt: Attempt | None, now_at: float) -> CheckNow:
    """Work out how *check* stands at *now_at*; *attempt* is how the canary of its standing was handed over."""
    standing = snapshot.standings.get(check.name)
    in_flight = snapshot.in_flight.get(check.name, InFlight())
    found, reason = verdict.current(snapshot.standing_of(check), now_at)
    since_at = None
    if standing is not None and not reason:
        since_at = standing.since_at
    elif found is Verdict.WARN and in_flight.oldest_at is not None:  # overdue: the oldest became so first
        since_at = in_flight.oldest_at + check.limits.late_after
    return CheckNow(
        check=check,
        verdict=found,
        reason=reason,
        since_at=since_at,
        standing=standing,
        in_flight=in_flight,
        diagnosis=_diagnose(check, standing, attempt),
    )


def what(one: CheckNow) -> str:
    """Say why the check stands as it does, and what became of its newest canary."""
    parts = [one.reason] if one.reason else []
    if one.standing is not None:
        newest = OUTCOMES[Outcome(one.standing.outcome)]
        parts.append(f"last: {newest}" if one.reason else newest)
        parts += [] if one.reason else told(one.standing.reasons, one.standing.observation_gap)
    return "; ".join(parts)


def _diagnose(check: Check, standing: CheckStanding | None, attempt: Attempt | None) -> Diagnosis | None:
    if standing is None or standing.verdict == Verdict.PASS.value:
        return None
    return diagnose_outcome(Outcome(standing.outcome), standing.reasons, method=check.method, attempt=attempt)
