"""What came of one canary, for people and for machines alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.commands.output import OUTCOMES, span
from agent.ledger.inspect import Case
from agent.log import plain
from agent.words import told
from checks.core.model import (
    Accepted,
    Attempt,
    Check,
    Conclusion,
    Outcome,
    Refused,
    Reply,
    Stage,
    Transcript,
    Untried,
    Verdict,
)
from checks.knowledge import Diagnosis, diagnose_outcome, diagnose_refusal, diagnose_text

_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What is known of one canary at the end.

    `attempt` is None where it was not handed over, or nobody knows; `case` where it was not even written down.
    `ended` says why there is no conclusion, `unreadable` why the mailbox could not be read when it was last tried;
    `notes` are about what stays behind.
    """

    check: Check
    attempt: Attempt | None = None
    case: Case | None = None
    ended: str = ""
    unreadable: str = ""
    notes: Sequence[str] = ()

    @property
    def conclusion(self) -> Conclusion | None:
        """The verdict of the judge, if it came to one."""
        return self.case.conclusion if self.case else None

    @property
    def verdict(self) -> Verdict:
        """How it is judged; what was not judged is unknown."""
        return self.conclusion.verdict if self.conclusion else Verdict.UNKNOWN

    @property
    def outcome(self) -> Outcome | None:
        """What happened; None where the probe ended before that was known."""
        return self.conclusion.outcome if self.conclusion else None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why: the judge's reasons, and what kept it from judging."""
        given = [*(self.conclusion.reasons if self.conclusion else ()), self.ended]
        if self.verdict is Verdict.UNKNOWN:
            given.append(self.unreadable)
        return tuple(reason for reason in given if reason)

    @property
    def transcript(self) -> Transcript | None:
        """The hand-over, if there was one."""
        return self.attempt.transcript if isinstance(self.attempt, Accepted | Refused) else None

    @property
    def reply(self) -> tuple[Stage, Reply] | None:
        """The decisive reply and the stage it came at; None where nobody answered."""
        match self.attempt:
            case Accepted(reply=reply, transcript=transcript):
                return transcript.stages[-1].stage if transcript.stages else Stage.DATA, reply
            case Refused(reply=Reply() as reply, stage=stage):
                return stage, reply
            case _:
                return None

    @property
    def diagnosis(self) -> Diagnosis | None:
        """What is known of this failure, from the catalogue; None where nothing failed, or nothing is known."""
        if self.verdict is Verdict.PASS:
            return None
        if self.outcome is not None:
            return diagnose_outcome(self.outcome, self.reasons, method=self.check.method, attempt=self.attempt)
        match self.attempt:
            case Refused() as refused:
                return diagnose_refusal(refused, method=self.check.method)
            case Untried(detail=detail):
                return diagnose_text(detail)
            case _:
                return None

    @property
    def submission(self) -> float | None:
        """From the first byte to the acceptance, in seconds; known before there is a verdict."""
        if isinstance(self.attempt, Accepted):
            return self.attempt.transcript.ended_at - self.attempt.transcript.began_at
        return None


def headline(result: Result) -> str:
    """Say in one line what happened, fit for any terminal: ``relay delivered in 0.32 s``."""
    name, conclusion = result.check.name, result.conclusion
    if conclusion is None:
        words = "accepted, but not judged" if isinstance(result.attempt, Accepted) else "not judged"
    elif conclusion.outcome is Outcome.REJECTED and conclusion.verdict is Verdict.PASS:
        words = "rejected, as expected"
    else:
        words = OUTCOMES[conclusion.outcome]
    if conclusion is not None and conclusion.end_to_end is not None:
        words = f"{words} in {span(conclusion.end_to_end)}"
    reason = "; ".join(told(result.reasons))
    return f"{name} {words}" + (f": {short(reason)}" if reason else "")


def short(text: str) -> str:
    """Bound one reason, and make it harmless."""
    shown = plain(text)
    return shown if len(shown) <= _LONGEST_REASON else f"{shown[:_LONGEST_REASON]}..."
