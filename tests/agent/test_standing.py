"""Since when a check stands as it is shown, why it is unknown, and which latency is that of now."""

from __future__ import annotations

from typing import Any

import pytest
from support.agent_view import NOW_AT, make_check, make_view
from support.make import a_check

from agent.ledger import CheckStanding, InFlight, Snapshot
from agent.ledger.snapshot import Problem
from agent.standing import CheckNow, stand_check, what
from agent.web import shapes
from checks.core.model import Outcome, Verdict

NOW = 10_000.0
CHECK = a_check("relay")
STALE = max(3 * CHECK.limits.every, CHECK.limits.late_after + CHECK.limits.every)


def a_standing(verdict: Verdict = Verdict.PASS, outcome: Outcome = Outcome.DELIVERED, **changes: Any) -> CheckStanding:
    known: dict[str, Any] = {"concluded_at": NOW - 5, "since_at": NOW - 5000, "passed_at": NOW - 5, "end_to_end": 0.33}
    known |= {"canary": "a", "reasons": (), "observation_gap": 0.1, "check": CHECK}
    return CheckStanding(verdict=verdict, outcome=outcome, **{**known, **changes})


def stand(standing: CheckStanding | None, *, looked: float | None = NOW - 2, silent: str = "", **more: Any) -> CheckNow:
    standings = {} if standing is None else {CHECK.name: standing}
    snapshot = Snapshot(standings=standings, looked_at={CHECK.mailbox: looked}, **more)
    return stand_check(CHECK, snapshot, None, NOW, silent=silent)


def test_a_verdict_is_shown_since_the_first_conclusion_of_its_kind():
    assert stand(a_standing()).since_at == NOW - 5000


def test_what_was_unknown_meanwhile_is_shown_since_the_mailbox_is_read_again():
    short, long = (NOW - 900, NOW - 900 + STALE / 2), (NOW - 3000, NOW - 3000 + STALE + 1)
    assert stand(a_standing(), blind={CHECK.mailbox: [short, long]}).since_at == long[1]
    assert stand(a_standing(since_at=NOW - 100), blind={CHECK.mailbox: [short, long]}).since_at == NOW - 100


def test_unknown_began_when_the_last_look_was_too_long_ago_and_names_the_mailbox():
    looked = NOW - STALE - 40
    one = stand(a_standing(), looked=looked)
    assert (one.verdict, one.since_at) == (Verdict.UNKNOWN, looked + STALE)
    assert what(one).startswith(f"mailbox {CHECK.mailbox} has not been read for ")
    never = stand(a_standing(), looked=None)
    assert (never.since_at, what(never)) == (None, f"mailbox {CHECK.mailbox} has never been read; last: delivered")


def test_unknown_began_when_the_last_conclusion_was_too_long_ago():
    concluded = NOW - STALE - 7
    one = stand(a_standing(concluded_at=concluded))
    assert (one.verdict, one.since_at) == (Verdict.UNKNOWN, concluded + STALE)


def test_of_an_agent_that_does_not_run_no_mailbox_is_blamed():
    one = stand(a_standing(), looked=NOW - STALE - 40, silent="the agent does not run")
    assert what(one) == "the agent does not run; last: delivered"


def test_what_is_overdue_warns_since_it_became_late_but_not_while_a_failure_was_shown():
    late = {CHECK.name: [InFlight(count=1, oldest_at=NOW - 200, overdue=1)]}
    became_late = NOW - 200 + CHECK.limits.late_after
    assert stand(a_standing(), in_flight=late).since_at == became_late
    failed = Problem(canary="b", seq=1, outcome=Outcome.LOST, reasons=(), concluded_at=NOW - 50)
    mended = a_standing(since_at=NOW - 20, problems={Verdict.FAIL: failed})
    assert stand(mended, in_flight=late).since_at == NOW - 20


@pytest.mark.parametrize(
    ("outcome", "latency"), [(Outcome.DELIVERED, 0.33), (Outcome.JUNK, 0.33), (Outcome.LOST, None)]
)
def test_the_latency_is_that_of_the_newest_canary_or_none(outcome, latency):
    assert stand(a_standing(outcome=Outcome(outcome))).latency == latency


@pytest.mark.parametrize(("outcome", "latency"), [(Outcome.DELIVERED, 0.33), (Outcome.LOST, None)])
def test_so_it_is_in_the_api(outcome, latency):
    check = make_check()
    snapshot = Snapshot(standings={check.name: a_standing(outcome=outcome, check=check, concluded_at=NOW_AT - 5)})
    view = make_view(check)
    assert shapes.check(view, snapshot, (), view.checks[0])["end_to_end_seconds"] == latency


def test_what_came_of_a_check_on_another_path_is_not_told_of_it():
    former = a_standing(Verdict.FAIL, Outcome.REJECTED, check=a_check("relay", path="another"), reasons=("550 no",))
    one = stand(former)
    assert (one.verdict, what(one)) == (Verdict.UNKNOWN, "nothing has concluded yet")
    assert (one.standing, one.diagnosis, one.latency) == (None, None, None)
