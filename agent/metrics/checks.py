"""Metrics of checks: how each stands now, its schedule, and what it is configured to be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from agent.ledger import Problem
from agent.metrics.family import Family, Row, family
from agent.metrics.picture import Picture
from checks.core.model import Attempt, Refused, Verdict
from checks.knowledge import diagnose_outcome

_CHECK = ("check", "method")
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})?")  # anything else is a server's own word, and no label


@family(
    "gauge",
    "check_verdict",
    "1 for the current verdict of the check, 0 for the others; unknown while the ledger cannot be read.",
    *_CHECK,
    "verdict",
)
def _verdict(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        now = picture.verdict(check)
        for verdict in Verdict:
            yield (check.name, check.method, verdict.value), float(verdict is now)


@family(
    "gauge",
    "check_last_verdict_timestamp_seconds",
    "Unix time at which the newest-started concluded canary was concluded; absent before the first, as 0 is 1970.",
    *_CHECK,
    recorded=True,
)
def _last_verdict(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        standing = picture.standing(check)
        if standing is not None:
            yield (check.name, check.method), picture.unix(standing.concluded_at)


@family(
    "gauge",
    "check_last_pass_timestamp_seconds",
    "Unix time of the last conclusion with verdict pass; absent before the first, as 0 is 1970.",
    *_CHECK,
    recorded=True,
)
def _last_pass(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        standing = picture.standing(check)
        if standing is not None and standing.passed_at is not None:
            yield (check.name, check.method), picture.unix(standing.passed_at)


@family(
    "gauge",
    "check_next_due_timestamp_seconds",
    "Unix time at which the next canary is due; absent while none is planned.",
    *_CHECK,
)
def _next_due(picture: Picture) -> Iterator[Row]:
    for one in picture.view.checks:
        if one.next_due is not None:
            yield (one.check.name, one.check.method), one.next_due.timestamp()


@family("counter", "check_slots_skipped_total", "Slots that passed without a canary, since the agent started.", *_CHECK)
def _slots_skipped(picture: Picture) -> Iterator[Row]:
    for one in picture.view.checks:
        yield (one.check.name, one.check.method), one.skipped


@family("gauge", "check_schedule_delay_seconds", "How long after its slot the last canary was sent.", *_CHECK)
def _schedule_delay(picture: Picture) -> Iterator[Row]:
    for one in picture.view.checks:
        yield (one.check.name, one.check.method), one.delay


@family("info", "check_info", "What the check is made of.", *_CHECK, "path", "mailbox", "site", "severity")
def _info(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        yield (check.name, check.method, check.path, check.mailbox, picture.view.site, check.severity), {}


@family("gauge", "check_interval_seconds", "Configured time between two canaries.", *_CHECK)
def _interval(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        yield (check.name, check.method), check.limits.every


@family("gauge", "check_late_after_seconds", "Configured age at which a canary not seen yet is late.", *_CHECK)
def _late_after(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        yield (check.name, check.method), check.limits.late_after


@family("gauge", "check_lost_after_seconds", "Configured age at which a canary not seen yet is lost.", *_CHECK)
def _lost_after(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        yield (check.name, check.method), check.limits.lost_after


@family(
    "gauge",
    "check_streak",
    "Canaries in a row, newest back in order of start, that were at least this bad; unknown ones count by themselves.",
    *_CHECK,
    "verdict",
    recorded=True,
)
def _streak(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        standing = picture.standing(check)
        for verdict in (Verdict.WARN, Verdict.FAIL, Verdict.UNKNOWN):
            yield (check.name, check.method, verdict.value), standing.streaks.get(verdict, 0) if standing else 0


@family("gauge", "check_alert_after", "Configured number of failing verdicts in a row that alert.", *_CHECK)
def _alert_after(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        yield (check.name, check.method), picture.view.alert_after


@family(
    "gauge",
    "check_expects_refusal",
    "1 if the settings say that canaries of the check have to be refused, 0 if they have to be delivered.",
    *_CHECK,
)
def _expects_refusal(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        yield (check.name, check.method), float(check.expect.refused is not None)


@family(
    "gauge",
    "check_last_problem_timestamp_seconds",
    "Unix time at which the newest-started canary with this verdict was concluded; what it means and what to do.",
    *_CHECK,
    "verdict",
    "outcome",
    "code",
    "enhanced",
    "meaning",
    "fix",
    recorded=True,
)
def _last_problem(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        standing = picture.standing(check)
        for verdict, one in standing.problems.items() if standing is not None else ():
            labels = (verdict.value, one.outcome.value, *_codes(one.attempt), *_advice(one, check.method))
            yield (check.name, check.method, *labels), picture.unix(one.concluded_at)


def _codes(attempt: Attempt | None) -> tuple[str, str]:
    if not isinstance(attempt, Refused) or attempt.reply is None:
        return "", ""
    enhanced = attempt.reply.enhanced or ""
    return str(attempt.reply.code), enhanced if _ENHANCED.fullmatch(enhanced) else "other"


@lru_cache(maxsize=4096)  # the catalogue is searched once a canary, not once a scrape
def _advice(problem: Problem, method: str) -> tuple[str, str]:
    found = diagnose_outcome(problem.outcome, problem.reasons, method=method, attempt=problem.attempt)
    return ("", "") if found is None else (found.meaning, found.fix)


FAMILIES: tuple[Family, ...] = (
    _verdict,
    _last_verdict,
    _last_pass,
    _next_due,
    _slots_skipped,
    _schedule_delay,
    _info,
    _interval,
    _late_after,
    _lost_after,
    _streak,
    _alert_after,
    _expects_refusal,
    _last_problem,
)
