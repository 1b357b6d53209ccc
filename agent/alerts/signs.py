"""The signs of one check that alerts go by, and the hysteresis: when trouble begins, and when it is over. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.ledger import Problem
from checks.core.model import Check, Outcome, Verdict

KINDS = (Verdict.FAIL, Verdict.WARN, Verdict.UNKNOWN)
"""The kinds of trouble: what fails, what is not as it should be, and what nobody knows."""
BLIND_AFTER = 120.0
"""How long a mailbox is unreadable until that is worth a page, in seconds."""
UNKNOWN_AFTER = 600.0
"""The same for a check of which nothing is known for no other reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """How one check stands.

    By kind: `streaks` counts canaries in a row that were at least as bad, `better` those that were not since the
    newest that was, `began` is the start of the first of the streak (Unix time), and `problems` has the newest.
    `overdue` canaries are unseen past `late_after` although somebody looked, the oldest since `overdue_since`.
    `blind_for` and `unknown_for` are seconds: since the mailbox cannot be read, and since it is not known how the check
    stands, for this reason or another; None where it is not so. `newest` is the place of the newest concluded canary in
    the order of start.
    """

    check: Check
    verdict: Verdict
    streaks: Mapping[Verdict, int] = field(default_factory=dict)
    better: Mapping[Verdict, int] = field(default_factory=dict)
    began: Mapping[Verdict, float] = field(default_factory=dict)
    problems: Mapping[Verdict, Problem] = field(default_factory=dict)
    overdue: int = 0
    overdue_since: float | None = None
    blind_for: float | None = None
    unknown_for: float | None = None
    newest: int = 0

    @property
    def dark_for(self) -> float:
        """For how many seconds the agent that runs has seen that nobody knows; 0 where somebody does."""
        return max(self.blind_for or 0.0, self.unknown_for or 0.0)


def troubled(kind: Verdict, signs: Signs, was: bool, *, after: int, recover_after: int) -> bool:
    """Tell whether a check is in trouble of a *kind*, given that it *was* or was not.

    Trouble begins with *after* canaries in a row, or when what time alone shows has lasted, and ends with
    *recover_after* canaries in a row that are better. In between all stays as it was. Not knowing begins and ends no
    failure, whatever the number of canaries.
    """
    if kind is Verdict.UNKNOWN:
        return _unknown(signs, was, after=after, recover_after=recover_after)
    late = kind is Verdict.WARN and signs.overdue > 0
    if was:
        return late or signs.better.get(kind, 0) < recover_after
    return late or signs.streaks.get(kind, 0) >= after


def _unknown(signs: Signs, was: bool, *, after: int, recover_after: int) -> bool:
    if was:
        known = signs.verdict is not Verdict.UNKNOWN and signs.blind_for is None
        return not known or signs.better.get(Verdict.UNKNOWN, 0) < recover_after
    return (
        signs.streaks.get(Verdict.UNKNOWN, 0) >= after
        or (signs.blind_for or 0.0) >= BLIND_AFTER
        or (signs.unknown_for or 0.0) >= UNKNOWN_AFTER
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ill:
    """A check in trouble of one kind. `lasting` ones have earned an incident; the others only may be part of one."""

    signs: Signs
    kind: Verdict
    lasting: bool

    @property
    def check(self) -> Check:
        """The check."""
        return self.signs.check

    @property
    def problem(self) -> Problem | None:
        """The newest canary that tells of it; None where time alone tells, or it is not on record any more."""
        signs, known = self.signs, self.signs.problems
        in_a_row = signs.streaks.get(self.kind, 0) > 0
        if self.kind is Verdict.WARN:
            if signs.overdue and not in_a_row:
                return None
            both = [known[kind] for kind in (Verdict.WARN, Verdict.FAIL) if kind in known]
            return max(both, key=lambda problem: problem.seq, default=None)
        dark = signs.blind_for is not None or signs.unknown_for is not None
        if self.kind is Verdict.UNKNOWN and dark and not in_a_row:
            return None
        return known.get(self.kind)

    @property
    def outcome(self) -> Outcome | None:
        """What became of that canary."""
        return self.problem.outcome if self.problem else None

    @property
    def blind(self) -> bool:
        """Tell whether nothing is known because nobody can look, although it could be sent."""
        untried = self.outcome is Outcome.LOCAL_FAULT
        return self.kind is Verdict.UNKNOWN and self.signs.blind_for is not None and not untried

    @property
    def newest(self) -> int:
        """Its newest canary's place in the order of start."""
        return self.problem.seq if self.problem else self.signs.newest


def ills(signs: Signs, was: Mapping[Verdict, bool], *, after: int, recover_after: int) -> list[Ill]:
    """List the troubles of a check: of failing and being less than good only the worse, and not knowing by itself."""
    found = []
    lasting = {
        kind: troubled(kind, signs, was.get(kind, False), after=after, recover_after=recover_after) for kind in KINDS
    }
    for kind in (Verdict.FAIL, Verdict.WARN):
        if lasting[kind] or (kind is Verdict.FAIL and signs.streaks.get(kind, 0)):
            found.append(Ill(signs=signs, kind=kind, lasting=lasting[kind]))
        if lasting[kind]:
            break
    if lasting[Verdict.UNKNOWN] or signs.streaks.get(Verdict.UNKNOWN, 0) or signs.blind_for is not None:
        found.append(Ill(signs=signs, kind=Verdict.UNKNOWN, lasting=lasting[Verdict.UNKNOWN]))
    return found
