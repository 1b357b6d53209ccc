"""A week of three checks, minute by minute, with incidents planted in it, as the series that Prometheus would hold.

Every canary has an outcome by the hour at which it was sent; the rest follows from that by the rules of the ledger:
counters that only grow, streaks in order of start, what is on its way and since when.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

MINUTES = 7 * 24 * 60
LATE, LOST = 60.0, 600.0
OUTCOMES = ("delivered", "late", "junk", "lost", "rejected", "unreachable", "local_fault")
VERDICT = {"delivered": "pass", "late": "warn", "local_fault": "unknown"}
METHODS = {"relay": "relay", "submission": "submission", "direct": "direct_send"}
ALWAYS = frozenset(METHODS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What happens to the canaries of some checks from one minute to another.

    `pages` is the alert that must page, `warns` the one that must fire and page nobody.
    """

    begins: int
    ends: int
    outcome: str
    checks: frozenset[str]
    pages: str | None = None
    warns: str | None = None
    every: int = 1


def day(number: int, hour: int, minute: int = 0) -> int:
    """Tell the minute of the week."""
    return (number * 24 + hour) * 60 + minute


INCIDENTS: Sequence[Incident] = (
    Incident(
        begins=day(0, 9),
        ends=day(0, 9, 40),
        outcome="rejected",
        checks=frozenset({"relay"}),
        pages="RelaycanaryPathBroken",
    ),
    Incident(
        begins=day(1, 14),
        ends=day(1, 14, 30),
        outcome="lost",
        checks=frozenset({"submission"}),
        pages="RelaycanaryMailLost",
    ),
    Incident(
        begins=day(2, 3), ends=day(2, 5), outcome="junk", checks=frozenset({"direct"}), pages="RelaycanaryMailInJunk"
    ),
    Incident(
        begins=day(3, 22), ends=day(3, 22, 20), outcome="unreachable", checks=ALWAYS, pages="RelaycanaryAllPathsDown"
    ),
    Incident(
        begins=day(4, 1), ends=day(4, 1, 15), outcome="local_fault", checks=ALWAYS, pages="RelaycanaryAllPathsDown"
    ),
    Incident(
        begins=day(4, 12),
        ends=day(4, 13),
        outcome="late",
        checks=frozenset({"relay"}),
        warns="RelaycanaryLatencyBudgetBurning",
    ),
    # One failure is no incident: a greylisted message, a lost one, a late one, each by itself.
    Incident(begins=day(5, 2), ends=day(5, 2, 1), outcome="rejected", checks=frozenset({"relay"})),
    Incident(begins=day(5, 6), ends=day(5, 6, 1), outcome="lost", checks=frozenset({"direct"})),
    Incident(begins=day(5, 9), ends=day(5, 9, 1), outcome="late", checks=frozenset({"submission"})),
    # Every tenth message fails for two hours: that is degraded, and nobody is woken.
    Incident(
        begins=day(6, 4),
        ends=day(6, 6),
        outcome="rejected",
        checks=frozenset({"submission"}),
        warns="RelaycanaryPathDegraded",
        every=10,
    ),
)


@dataclass(slots=True)
class Series:
    """The values of one series, minute by minute."""

    name: str
    values: list[float | None] = field(default_factory=list)

    def text(self) -> str:
        """Write them as promtool reads them, runs of the same value as one."""
        words: list[str] = []
        run, count = self.values[0], 0
        for value in [*self.values, object()]:
            if value == run:
                count += 1
                continue
            word = "_" if run is None else f"{run:g}" if run == int(run) and abs(run) < 1e5 else f"{run:.0f}"
            words.append(f"{word}x{count - 1}" if count > 1 else word)
            run, count = value, 1  # type: ignore[assignment]
        return " ".join(words)


def outcome_of(check: str, minute: int) -> str:
    """Tell what becomes of the canary that *check* sends in a minute."""
    for one in INCIDENTS:
        if check in one.checks and one.begins <= minute < one.ends and (minute - one.begins) % one.every == 0:
            return one.outcome
    return "delivered"


def week(check: str) -> Iterator[Series]:
    """Make every series of one check that the rules look at."""
    labels = f'job="relaycanary", instance="mon1:9825", check="{check}", method="{METHODS[check]}"'
    concluded = _conclusions(check)
    counters = {
        outcome: Series(f'relaycanary_canaries_total{{{labels}, outcome="{outcome}", verdict="{_verdict(outcome)}"}}')
        for outcome in OUTCOMES
    }
    streaks = {
        kind: Series(f'relaycanary_check_streak{{{labels}, verdict="{kind}"}}') for kind in ("warn", "fail", "unknown")
    }
    verdicts = {
        name: Series(f'relaycanary_check_verdict{{{labels}, verdict="{name}"}}')
        for name in ("pass", "warn", "fail", "unknown")
    }
    problems: dict[tuple[str, str], Series] = {}
    oldest = Series(f"relaycanary_oldest_in_flight_timestamp_seconds{{{labels}}}")
    totals = dict.fromkeys(OUTCOMES, 0)
    known: dict[int, str] = {}
    newest_problem: dict[str, tuple[int, str]] = {}
    for minute in range(MINUTES):
        for sent, outcome in concluded.get(minute, ()):
            known[sent] = outcome
            totals[outcome] += 1
            if (verdict := _verdict(outcome)) in {"fail", "unknown"} and sent > newest_problem.get(verdict, (-1, ""))[
                0
            ]:
                newest_problem[verdict] = sent, outcome
        for outcome, series in counters.items():
            series.values.append(totals[outcome])
        recent = [known[sent] for sent in range(max(0, minute - 200), minute + 1) if sent in known]
        for kind, series in streaks.items():
            series.values.append(_streak(kind, [_verdict(one) for one in recent]))
        waiting = next((sent for sent in range(max(0, minute - 15), minute + 1) if sent not in known), None)
        oldest.values.append(None if waiting is None else waiting * 60)
        overdue = waiting is not None and (minute - waiting) * 60 > LATE
        now = _verdict(recent[-1]) if recent else "unknown"
        now = "warn" if overdue and now != "fail" else now
        for name, series in verdicts.items():
            series.values.append(float(name == now))
        for verdict, (_, outcome) in newest_problem.items():
            problems.setdefault((verdict, outcome), _problem(labels, verdict, outcome, minute))
        for (verdict, outcome), series in problems.items():
            current = newest_problem[verdict][1] == outcome
            series.values.append(newest_problem[verdict][0] * 60 if current else None)
    yield from (*counters.values(), *streaks.values(), *verdicts.values(), *problems.values(), oldest)
    for name, value in (("alert_after", 2), ("interval_seconds", 60), ("late_after_seconds", LATE)):
        yield Series(f"relaycanary_check_{name}{{{labels}}}", [value] * MINUTES)
    info = f'{labels}, path="{check}", mailbox="inbox", site="ams1", severity="critical"'
    yield Series(f"relaycanary_check_info{{{info}}}", [1] * MINUTES)


def _conclusions(check: str) -> dict[int, list[tuple[int, str]]]:
    """List what is concluded in each minute, as (sent, outcome)."""
    found: dict[int, list[tuple[int, str]]] = {}
    for sent in range(MINUTES):
        outcome = outcome_of(check, sent)
        after = {"lost": 11, "late": 2}.get(outcome, 0)
        found.setdefault(sent + after, []).append((sent, outcome))
    return found


def _verdict(outcome: str) -> str:
    return VERDICT.get(outcome, "fail")


def _streak(kind: str, verdicts: Sequence[str]) -> int:
    members = {"warn": {"warn", "fail"}, "fail": {"fail"}, "unknown": {"unknown"}}[kind]
    enders = {"warn": {"pass"}, "fail": {"pass", "warn"}, "unknown": {"pass", "warn", "fail"}}[kind]
    count = 0
    for verdict in reversed(verdicts):
        if verdict in enders:
            break
        count += verdict in members
    return count


def _problem(labels: str, verdict: str, outcome: str, minute: int) -> Series:
    more = f'verdict="{verdict}", outcome="{outcome}", code="", enhanced="", meaning="", fix=""'
    return Series(f"relaycanary_check_last_problem_timestamp_seconds{{{labels}, {more}}}", [None] * minute)
