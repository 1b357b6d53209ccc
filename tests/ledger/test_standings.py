"""How a check stands on record: what belongs to it, and what to another check that had its name before."""

from __future__ import annotations

import asyncio
from dataclasses import replace
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


async def begin(ledger: Ledger) -> None:
    await ledger.begin_run(site="test", version="0", began_at=T0, began_wall=T0)
    await ledger.configure(watched={"inbox": ["INBOX"], "another": ["INBOX"]}, thresholds=(), at=T0)


async def start(ledger: Ledger, check: Check, at: float, attempt: Attempt | None = None) -> Canary:
    canary = a_canary(check, at=at)
    await ledger.start(canary)
    await ledger.attempted(canary, attempt or accepted(at), online=True, at=at + 1)
    return canary


async def conclude(ledger: Ledger, canary: Canary, outcome: Outcome, verdict: Verdict, at: float) -> None:
    (due,) = [one for one in await ledger.due(at + 1e6) if one.facts.canary.id == canary.id]
    known: dict[str, Any] = {"submission": 1.0, "delivery": 1.0, "end_to_end": 2.0, "observation_gap": 0.1}
    conclusion = Conclusion(canary=canary.id, outcome=outcome, verdict=verdict, reasons=(), **known)
    assert await ledger.judged([Judgement(due=due, result=conclusion)], at=at)


def after(folder: Path, *canaries: tuple[Check, float, Outcome, Verdict]) -> CheckStanding:
    """Let canaries start and conclude one after the other; return how the check stands then."""

    async def story() -> CheckStanding:
        with Ledger(f"sqlite:///{folder / 'ledger.db'}") as ledger:
            await begin(ledger)
            for check, at, outcome, verdict in canaries:
                await conclude(ledger, await start(ledger, check, at), outcome, verdict, at + 2)
            return (await ledger.snapshot()).standings["relay"]

    return asyncio.run(story())


@pytest.mark.parametrize("what", OTHERS)
def test_a_check_with_another_path_mailbox_or_expectation_stands_as_it_does_since_its_own_first_canary(
    what: str, tmp_path: Path
) -> None:
    passed = (Outcome.DELIVERED, Verdict.PASS)
    standing = after(tmp_path, (RELAY, T0, *passed), (RELAY, T0 + 60, *passed), (OTHERS[what], T0 + 5000, *passed))
    assert (standing.since_at, standing.passed_at) == (T0 + 5002, T0 + 5002)


def test_one_that_never_passed_on_its_path_did_not_pass_on_the_former_one(tmp_path: Path) -> None:
    passed, lost = (Outcome.DELIVERED, Verdict.PASS), (Outcome.LOST, Verdict.FAIL)
    standing = after(tmp_path, (RELAY, T0, *passed), (OTHERS["path"], T0 + 5000, *lost))
    assert (standing.since_at, standing.passed_at) == (T0 + 5002, None)


def test_a_check_with_other_limits_goes_on_as_it_stood(tmp_path: Path) -> None:
    passed = (Outcome.DELIVERED, Verdict.PASS)
    slower = replace(RELAY, limits=Limits(every=120, late_after=90, lost_after=900))
    standing = after(tmp_path, (RELAY, T0, *passed), (slower, T0 + 5000, *passed))
    assert (standing.since_at, standing.passed_at) == (T0 + 2, T0 + 5002)


def test_a_canary_of_the_former_path_that_concludes_last_is_no_pass_of_the_new_one(tmp_path: Path) -> None:
    async def story() -> CheckStanding:
        with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
            await begin(ledger)
            former = await start(ledger, RELAY, T0)
            new = await start(ledger, OTHERS["path"], T0 + 60, refused(Stage.RCPT, 550, "5.7.64", at=T0 + 60))
            await conclude(ledger, new, Outcome.REJECTED, Verdict.FAIL, T0 + 62)
            await conclude(ledger, former, Outcome.DELIVERED, Verdict.PASS, T0 + 70)
            return (await ledger.snapshot()).standings["relay"]

    standing = asyncio.run(story())
    assert (standing.verdict, standing.passed_at) == ("fail", None)
