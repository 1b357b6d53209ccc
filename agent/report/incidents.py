"""From the turns of each check's story to incidents: runs of failing verdicts, from open to close."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from agent.words import OUTCOMES
from checks.core.model import Outcome, Verdict
from checks.knowledge import read_statement

_SAME = 1800.0  # seconds: what fails again sooner after it was mended was not mended


class OnPath(NamedTuple):
    """Whose life it is: a check is another one on each path that it tests."""

    check: str
    path: str


@dataclass(frozen=True, slots=True)
class Judged:
    """One canary in the life of its check; moments in Unix time.

    With `moved` it is one of the same check on another path, which ends the life on this one for the time being.
    """

    canary: str
    started: float
    concluded: float
    verdict: str
    outcome: str
    words: str
    simulated: bool = False
    moved: bool = False

    @property
    def cause(self) -> tuple[object, ...]:
        """What tells its failure from others: the outcome and the codes, for the rest of a server's words varies."""
        return (self.outcome, *_codes(self.words))


@lru_cache(maxsize=4096)
def _codes(words: str) -> tuple[object, ...]:
    said = read_statement(words)
    return () if said is None else (said.code, said.enhanced)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A time in which a path failed. Moments are Unix time, of the canaries' start; `detected` is a conclusion.

    `ended` is when the first canary that did well again was started; None while it lasts. Where the check was taken
    out of the settings or moved to another path while it failed, it is when the last failure was concluded, and
    `removed` tells that nobody has seen it mended. `detected` is when the failure that made it an incident was
    concluded, and `began` when the first failing canary was started, which may be before the period. `runs` counts the
    runs of failures that it joins.

    `outcome`, `words` and `canary` are of the newest failure while it lasts, for that is what has to be mended; once
    it is over, of the newest one with the most frequent cause. `began_as` says how it began where that was another
    cause; it is empty where it was the same. `simulated` tells that it is made up.
    """

    path: str
    checks: Sequence[str]
    outcome: str
    words: str
    canary: str
    failures: int
    runs: int
    began: float
    detected: float
    ended: float | None
    began_as: str = ""
    simulated: bool = False
    removed: bool = False
    meaning: str | None = None
    fix: str | None = None

    @property
    def time_to_detect(self) -> float:
        """Seconds from the start of the first failing canary until it was known to be an incident."""
        return self.detected - self.began


@dataclass(frozen=True, slots=True)
class Found:
    """All incidents by their beginning, and how many failures were too few in a row to be one."""

    incidents: Sequence[Incident]
    single_failures: int


@dataclass(slots=True, kw_only=True)
class _Run:
    """Failures of a path that are told as one, in the order of their start."""

    path: str
    checks: tuple[str, ...]
    failures: list[Judged]
    runs: int
    began: float
    detected: float
    ended: float | None
    removed: bool

    def example(self) -> Judged:
        """Choose the failure that speaks for all."""
        if self.ended is None:
            return self.failures[-1]
        counted = Counter(one.cause for one in reversed(self.failures))  # of two as frequent the newer one comes first
        ((cause, _),) = counted.most_common(1)
        return next(one for one in reversed(self.failures) if one.cause == cause)

    def join(self, later: _Run) -> None:
        """Take in another run."""
        self.checks = tuple(dict.fromkeys((*self.checks, *later.checks)))
        self.failures += later.failures
        self.detected = min(self.detected, later.detected)
        self.runs += later.runs
        if self.ended is None or later.ended is None:
            self.ended, self.removed = None, False
        elif later.ended > self.ended:
            self.ended, self.removed = later.ended, later.removed


def find(
    lives: Mapping[OnPath, Sequence[Judged]],
    *,
    after: int,
    failing_since: Mapping[OnPath, float],
    known: Container[OnPath],
) -> Found:
    """Find the incidents in the *lives* of the checks.

    Args:
        lives: of each check on each path, in order of start, the failures and what came after each run of them: the
            first good canary, or the first one after the check moved.
        after: how many failures in a row make an incident.
        failing_since: for those that were failing when the period began, when the run of failures had begun.
        known: those that the settings have. Nothing will end a run of any other: it is over with its last failure.
    """
    runs: list[_Run] = []
    single = 0
    for tested, life in lives.items():
        began = failing_since.get(tested)
        for failures, turn in _split(life):
            if began is None and len(failures) < after:
                single += len(failures)
            else:
                ended = _ended(failures, turn, removed=tested not in known)
                runs.append(_run(tested, failures, ended, after, began))
            began = None
    return Found(sorted(map(_incident, _together(runs)), key=attrgetter("began")), single)


def _split(life: Iterable[Judged]) -> Iterable[tuple[list[Judged], Judged | None]]:
    failures: list[Judged] = []
    for one in life:
        if one.verdict == Verdict.FAIL and not one.moved:
            failures.append(one)
        elif failures:
            yield failures, one
            failures = []
    if failures:
        yield failures, None


def _ended(failures: Sequence[Judged], turn: Judged | None, *, removed: bool) -> tuple[float | None, bool]:
    """Tell when a run was over, None while it lasts, and whether that is because nobody tests it any more."""
    if turn is not None and not turn.moved:
        return turn.started, False
    return (failures[-1].concluded, True) if removed or turn is not None else (None, False)


def _run(
    tested: OnPath,
    failures: list[Judged],
    ended: tuple[float | None, bool],
    after: int,
    began: float | None,
) -> _Run:
    decisive = failures[min(after, len(failures)) - 1] if began is None else failures[0]
    return _Run(
        path=tested.path,
        checks=(tested.check,),
        failures=failures,
        runs=1,
        began=failures[0].started if began is None else began,
        detected=decisive.concluded,
        ended=ended[0],
        removed=ended[1],
    )


def _together(runs: Iterable[_Run]) -> Iterable[_Run]:
    """Tell as one incident what several checks of a path suffered in the same way at the same time, or what flapped."""
    merged: dict[tuple[str, str], list[_Run]] = {}
    for one in sorted(runs, key=attrgetter("began")):
        alike = merged.setdefault((one.path, one.example().outcome), [])
        if alike and _touch(alike[-1], one):
            alike[-1].join(one)
        else:
            alike.append(one)
    return chain.from_iterable(merged.values())


def _touch(earlier: _Run, later: _Run) -> bool:
    return earlier.ended is None or later.began < earlier.ended + _SAME


def _incident(run: _Run) -> Incident:
    run.failures.sort(key=attrgetter("started"))
    first, example = run.failures[0], run.example()
    began_as = [] if first.cause == example.cause else [OUTCOMES[Outcome(first.outcome)], first.words]
    return Incident(
        path=run.path,
        checks=run.checks,
        simulated=all(one.simulated for one in run.failures),
        outcome=example.outcome,
        words=example.words,
        canary=example.canary,
        failures=len(run.failures),
        runs=run.runs,
        began=run.began,
        detected=run.detected,
        ended=run.ended,
        removed=run.removed,
        began_as="; ".join(filter(None, began_as)),
    )
