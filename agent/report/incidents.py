"""From the turns of each check's story to incidents: runs of failing verdicts, from open to close."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from checks.core.model import Verdict

_SAME = 1800.0  # seconds: what fails again sooner after it was mended was not mended


@dataclass(frozen=True, slots=True)
class Judged:
    """One canary in the life of its check; moments in Unix time."""

    canary: str
    started: float
    concluded: float
    verdict: str
    outcome: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A time in which a path failed. Moments are Unix time, of the canaries' start; `detected` is a conclusion.

    `ended` is when the first canary that did well again was started; None while it lasts. `detected` is when the
    failure that made it an incident was concluded, and `began` when the first failing canary was started, which may
    be before the period. `runs` counts the runs of failures that it joins.
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


def find(
    lives: Mapping[str, Sequence[Judged]],
    paths: Mapping[str, str],
    *,
    after: int,
    failing_since: Mapping[str, float],
) -> Found:
    """Find the incidents in the *lives* of the checks.

    Args:
        lives: per check, in order of start, the failures and the first good canary after each run of them.
        paths: the path of each check.
        after: how many failures in a row make an incident.
        failing_since: for checks that were failing when the period began, when the run of failures had begun.
    """
    incidents: list[Incident] = []
    single = 0
    for check, life in lives.items():
        began = failing_since.get(check)
        for failures, recovery in _runs(life):
            if began is None and len(failures) < after:
                single += len(failures)
            else:
                incidents.append(_incident(paths[check], check, failures, recovery, after, began))
            began = None
    return Found(_together(incidents), single)


def _runs(life: Iterable[Judged]) -> Iterable[tuple[list[Judged], Judged | None]]:
    failures: list[Judged] = []
    for one in life:
        if one.verdict == Verdict.FAIL:
            failures.append(one)
        elif failures:
            yield failures, one
            failures = []
    if failures:
        yield failures, None


def _incident(
    path: str, check: str, failures: Sequence[Judged], recovery: Judged | None, after: int, began: float | None
) -> Incident:
    outcome, _ = Counter(one.outcome for one in failures).most_common(1)[0]
    example = next(one for one in failures if one.outcome == outcome)
    decisive = failures[min(after, len(failures)) - 1] if began is None else failures[0]
    return Incident(
        path=path,
        checks=(check,),
        outcome=outcome,
        words=example.words,
        canary=example.canary,
        failures=len(failures),
        runs=1,
        began=failures[0].started if began is None else began,
        detected=decisive.concluded,
        ended=None if recovery is None else recovery.started,
    )


def _together(incidents: Sequence[Incident]) -> list[Incident]:
    """Tell as one incident what several checks of a path suffered in the same way at the same time, or what flapped."""
    merged: list[Incident] = []
    for one in sorted(incidents, key=lambda incident: (incident.path, incident.outcome, incident.began)):
        last = merged[-1] if merged else None
        if last is None or (last.path, last.outcome) != (one.path, one.outcome) or not _touch(last, one):
            merged.append(one)
            continue
        ends = (last.ended, one.ended)
        merged[-1] = replace(
            last,
            checks=tuple(dict.fromkeys((*last.checks, *one.checks))),
            failures=last.failures + one.failures,
            detected=min(last.detected, one.detected),
            runs=last.runs + one.runs,
            ended=None if None in ends else max(end for end in ends if end is not None),
        )
    return sorted(merged, key=lambda incident: incident.began)


def _touch(earlier: Incident, later: Incident) -> bool:
    return earlier.ended is None or later.began < earlier.ended + _SAME
