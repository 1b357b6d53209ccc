"""How a check stands on record: what belongs to it, and what to another check that had its name before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from support.make import T0, a_canary, a_check, accepted, refused

from agent.ledger import CheckStanding, Judgement, Ledger
from checks.core.model import Attempt, Canary, Check, Conclusion, Expectations, Limits, Outcome, Stage, Verdict

RELAY = a_check("relay", limits=Limits(every=60, late_after=60, lost_after=600))
OTHERS = {
    "path": replace(RELAY, path="another"),
    "mailbox": replace(RELAY, mailbox="another"),
    "recipient": replace(RELAY, recipient="somebody@else.example"),
    "expectations": replace(RELAY, expect=Expectations(placement=None)),
}

MOVED = OTHERS["path"]
DELIVERED = (Outcome.DELIVERED, Verdict.PASS)
LATE = (Outcome.LATE, Verdict.WARN)
LOST = (Outcome.LOST, Verdict.FAIL)
REJECTED = (Outcome.REJECTED, Verdict.FAIL)
UNTRIED = (Outcome.LOCAL_FAULT, Verdict.UNKNOWN)


async def begin(ledger: Ledger) -> None:
    await ledger.begin_run(site="test", version="0", began_at=T0, began_wall=T0)
    await ledger.configure(watched={"inbox": ["INBOX"], "another": ["INBOX"]}, thresholds=(), at=T0)


async def start(ledger: Ledger, check: Check, at: float, attempt: Attempt | None = None) -> Canary:
    canary = a_canary(check, at=at)
    await ledger.start(canary)
    await ledger.attempted(canary, attempt or accepted(at), online=True, at=at + 1)
    return canary


async def conclude(
    ledger: Ledger, canary: Canary, outcome: Outcome, verdict: Verdict, at: float, seconds: float | None = 2.0
) -> None:
    (due,) = [one for one in await ledger.due(at + 1e6) if one.facts.canary.id == canary.id]
    known: dict[str, Any] = {"submission": 1.0, "delivery": 1.0, "end_to_end": seconds, "observation_gap": 0.1}
    conclusion = Conclusion(canary=canary.id, outcome=outcome, verdict=verdict, reasons=(), **known)
    assert await ledger.judged([Judgement(due=due, result=conclusion)], at=at)


def told(folder: Path, story: Callable[[Ledger], Awaitable[object]]) -> CheckStanding:
    """Let a story happen; return how the check stands then."""

    async def whole() -> CheckStanding:
        with Ledger(f"sqlite:///{folder / 'ledger.db'}") as ledger:
            await begin(ledger)
            await story(ledger)
            return (await ledger.snapshot()).standings["relay"]

    return asyncio.run(whole())


def after(folder: Path, *canaries: tuple[Check, float, Outcome, Verdict]) -> CheckStanding:
    """Let canaries start and conclude one after the other; return how the check stands then."""

    async def story(ledger: Ledger) -> None:
        for check, at, outcome, verdict in canaries:
            await conclude(ledger, await start(ledger, check, at), outcome, verdict, at + 2)

    return told(folder, story)


@pytest.mark.parametrize("what", OTHERS)
def test_a_check_with_another_path_mailbox_or_expectation_stands_as_it_does_since_its_own_first_canary(
    what: str, tmp_path: Path
) -> None:
    former = ((RELAY, T0, *DELIVERED), (RELAY, T0 + 60, *DELIVERED))
    standing = after(tmp_path, *former, (OTHERS[what], T0 + 5000, *DELIVERED))
    assert (standing.since_at, standing.passed_at) == (T0 + 5002, T0 + 5002)


def test_one_that_never_passed_on_its_path_did_not_pass_on_the_former_one(tmp_path: Path) -> None:
    standing = after(tmp_path, (RELAY, T0, *DELIVERED), (MOVED, T0 + 5000, *LOST))
    assert (standing.since_at, standing.passed_at) == (T0 + 5002, None)


def test_a_check_with_other_limits_goes_on_as_it_stood(tmp_path: Path) -> None:
    slower = replace(RELAY, limits=Limits(every=120, late_after=90, lost_after=900))
    standing = after(tmp_path, (RELAY, T0, *DELIVERED), (slower, T0 + 5000, *DELIVERED))
    assert (standing.since_at, standing.passed_at) == (T0 + 2, T0 + 5002)


def test_a_canary_of_the_former_path_that_concludes_last_is_no_pass_of_the_new_one(tmp_path: Path) -> None:
    async def story(ledger: Ledger) -> None:
        former = await start(ledger, RELAY, T0)
        new = await start(ledger, MOVED, T0 + 60, refused(Stage.RCPT, 550, "5.7.64", at=T0 + 60))
        await conclude(ledger, new, *REJECTED, T0 + 62)
        await conclude(ledger, former, *DELIVERED, T0 + 70)

    standing = told(tmp_path, story)
    assert (standing.verdict, standing.passed_at) == ("fail", None)


@pytest.mark.parametrize("what", OTHERS)
def test_one_failure_of_each_of_two_checks_that_had_the_name_is_not_two_in_a_row(what: str, tmp_path: Path) -> None:
    standing = after(tmp_path, (RELAY, T0, *REJECTED), (OTHERS[what], T0 + 60, *REJECTED))
    assert standing.streaks[Verdict.FAIL] == 1


def test_a_check_that_moved_has_none_of_the_problems_of_its_former_path(tmp_path: Path) -> None:
    standing = after(tmp_path, (RELAY, T0, *REJECTED), (RELAY, T0 + 60, *UNTRIED), (MOVED, T0 + 120, *LATE))
    assert set(standing.problems) == {Verdict.WARN}
    assert standing.streaks == {Verdict.WARN: 1, Verdict.FAIL: 0, Verdict.UNKNOWN: 0}


def test_in_whatever_order_canaries_conclude_those_of_the_former_path_do_not_count(tmp_path: Path) -> None:
    async def story(ledger: Ledger) -> list[CheckStanding]:
        await begin(ledger)
        for number, order in enumerate(permutations(range(4))):
            former, moved = (replace(check, name=f"check-{number}") for check in (RELAY, MOVED))
            started = [(former, DELIVERED), (former, REJECTED), (moved, REJECTED), (moved, REJECTED)]
            canaries = [await start(ledger, check, T0 + 60 * place) for place, (check, _) in enumerate(started)]
            for place in order:
                await conclude(ledger, canaries[place], *started[place][1], T0 + 300)
        return list((await ledger.snapshot()).standings.values())

    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        found = asyncio.run(story(ledger))
    assert len(found) == 24
    assert {(one.streaks[Verdict.FAIL], one.streaks[Verdict.WARN], one.passed_at) for one in found} == {(2, 2, None)}
    assert all(one.problems[Verdict.FAIL].seq == one.seq for one in found)


def test_what_ends_a_streak_late_does_not_count_what_another_path_did_behind_it(tmp_path: Path) -> None:
    async def story(ledger: Ledger) -> None:
        first, slow = await start(ledger, RELAY, T0), await start(ledger, RELAY, T0 + 60)
        away, back = await start(ledger, MOVED, T0 + 120), await start(ledger, RELAY, T0 + 180)
        await conclude(ledger, first, *REJECTED, T0 + 2)
        await conclude(ledger, back, *REJECTED, T0 + 182)
        await conclude(ledger, away, *REJECTED, T0 + 190)
        await conclude(ledger, slow, *DELIVERED, T0 + 200)

    assert told(tmp_path, story).streaks[Verdict.FAIL] == 1


@pytest.mark.parametrize("former", [RELAY, MOVED], ids=["the same path", "the former path"])
def test_an_older_canary_that_concludes_last_does_not_lend_the_newest_its_latency(
    former: Check, tmp_path: Path
) -> None:
    async def story(ledger: Ledger) -> None:
        slow, fast = await start(ledger, former, T0), await start(ledger, RELAY, T0 + 240)
        await conclude(ledger, fast, *DELIVERED, T0 + 243, seconds=3.0)
        await conclude(ledger, slow, *LATE, T0 + 290, seconds=290.0)

    assert told(tmp_path, story).end_to_end == 3.0


def test_while_mail_is_lost_the_latency_is_that_of_the_newest_canary_that_was_seen(tmp_path: Path) -> None:
    async def story(ledger: Ledger) -> None:
        slow, fast, lost = [await start(ledger, RELAY, T0 + 60 * place) for place in range(3)]
        await conclude(ledger, lost, *LOST, T0 + 800, seconds=None)
        await conclude(ledger, fast, *DELIVERED, T0 + 801, seconds=3.0)
        await conclude(ledger, slow, *LATE, T0 + 802, seconds=290.0)

    standing = told(tmp_path, story)
    assert (standing.outcome, standing.end_to_end) == ("lost", 3.0)


def test_a_check_that_moved_has_no_latency_before_mail_was_seen_on_its_path(tmp_path: Path) -> None:
    async def story(ledger: Ledger) -> None:
        await conclude(ledger, await start(ledger, RELAY, T0), *DELIVERED, T0 + 2)
        await conclude(ledger, await start(ledger, MOVED, T0 + 60), *LOST, T0 + 700, seconds=None)

    standing = told(tmp_path, story)
    assert (standing.end_to_end, standing.observation_gap, standing.scl, standing.servers) == (None, None, None, None)


def test_a_check_on_record_is_the_one_in_the_settings_whatever_it_expects(tmp_path: Path) -> None:
    expect = Expectations(
        placement=None,
        results={"spf": "pass"},
        authserv_ids=("mx.example",),
        tls="1.2",
        tls_every_hop=True,
        attributed=True,
        scl_max=1,
        max_hop_delay=30.0,
        headers=("X-Tag",),
    )
    strict = replace(RELAY, expect=expect)
    assert after(tmp_path, (strict, T0, *DELIVERED)).check == strict
