"""Mail that is taken and then mistreated: lost, bounced, late, junked or doubled. Only reading it back can tell.

All canaries go out at once from one agent; the tests then read what came of each.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from interop.settings import SENDER, Setup
from interop.truth import canaries_in
from mailservers.testbed import Testbed
from sqlalchemy import select
from support.running import RunningAgent, running_agent

from agent.ledger.schema import bounces
from checks.core.model import Canary

pytestmark = pytest.mark.servers

HURRIED = {"every": "1s", "late_after": "1s", "lost_after": "4s"}
TIMELY = {"every": "1s", "late_after": "1s", "lost_after": "60s"}
HASTY = {"every": "1s", "late_after": "500ms", "lost_after": "1s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A canary to a recipient of the testbed that is named for what becomes of its mail.

    The mailbox is the recipient's `own`, or that of the sender, where the mail never comes. `says` are the first
    reasons of the verdict.
    """

    to: str
    outcome: str
    verdict: str = "fail"
    says: tuple[str, ...] = ()
    own: bool = False
    limits: Mapping[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """The recipient."""
        return f"{self.to}-interop@corp.test"


CASES = {
    "lose": Case(to="lose", outcome="lost", says=("not seen in any watched folder",), limits=HURRIED),
    "bounce": Case(
        to="bounce",
        outcome="bounced",
        says=("550 5.1.1 <bounce-interop@corp.test>: Recipient address rejected: User unknown",),
    ),
    "ndr": Case(to="ndr", outcome="bounced"),
    "delay": Case(to="delay-2500", outcome="late", verdict="warn", own=True, limits=TIMELY),
    "delay-in-time": Case(to="delay-300", outcome="delivered", verdict="pass", own=True),
    "delay-too-long": Case(
        to="delay-4000", outcome="lost", says=("not seen in any watched folder",), own=True, limits=HASTY
    ),
    "junk": Case(
        to="junk",
        outcome="junk",
        says=("placement: expected inbox, found in folder Junk",),
        own=True,
        limits={**TIMELY, "late_after": "4s"},  # Junk is looked into twice as often as mail may be late
    ),
    "duplicate": Case(to="duplicate", outcome="delivered", verdict="pass", own=True),
}


@dataclass(frozen=True, slots=True)
class End:
    """What came of one canary: its row, the bounces on record, and two counts of its check."""

    canary: Canary
    row: Any
    bounces: list[Any]
    duplicates: float
    recovered: float


async def _counted(agent: RunningAgent, metric: str, check: str) -> float:
    totals = (await agent.ledger.snapshot()).totals
    return sum(one.value for one in totals if one.metric == metric and one.owner == check)


async def _end(agent: RunningAgent, name: str) -> End:
    canary = await agent.send(name)
    row = await agent.concluded(canary, within=60)
    for waiting, metric in (("duplicate", "canaries_duplicates"), ("delay-too-long", "canaries_recovered")):
        async with asyncio.timeout(20):
            while name == waiting and not await _counted(agent, metric, name):
                await asyncio.sleep(0.02)
    query = select(bounces).where(bounces.c.canary == canary.id)
    found = await agent.ledger.read(lambda connection: connection.execute(query).all())
    counts = [await _counted(agent, metric, name) for metric in ("canaries_duplicates", "canaries_recovered")]
    return End(canary, row, list(found), *counts)


async def _send_all(settings: Path) -> dict[str, End]:
    async with running_agent(settings) as agent:
        return dict(zip(CASES, await asyncio.gather(*(_end(agent, name) for name in CASES)), strict=True))


@pytest.fixture(scope="module")
def ends(testbed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, End]:
    """Send a canary to each recipient; return what came of it. The sender's mailbox is where bounces go."""
    setup = Setup(testbed, tmp_path_factory.mktemp("recipients"))
    path = setup.path("direct", "direct_send", testbed.ports.mx)
    sender = setup.mailbox("sender", SENDER)
    for name, case in CASES.items():
        mailbox = setup.mailbox(name, case.address) if case.own else sender
        setup.check(name, path, mailbox, to=case.address, **case.limits)
    return asyncio.run(_send_all(setup.write()))


@pytest.mark.parametrize("name", CASES)
def test_what_becomes_of_the_mail_is_what_the_verdict_says(ends: Mapping[str, End], name: str) -> None:
    case, row = CASES[name], ends[name].row
    assert (row.outcome, row.verdict) == (case.outcome, case.verdict), row.reasons
    assert tuple(json.loads(row.reasons))[: len(case.says)] == case.says
    assert (row.end_to_end is not None) == (case.outcome in {"delivered", "late", "junk"})


def test_a_bounce_of_postfix_is_on_record_with_its_diagnostic(ends: Mapping[str, End]) -> None:
    [bounce] = ends["bounce"].bounces
    assert (bounce.mailbox, bounce.final, bounce.action, bounce.status) == ("sender", True, "failed", "5.1.1")


def test_a_report_of_exchange_with_the_subject_of_the_canary_is_no_delivery(ends: Mapping[str, End]) -> None:
    """`Undeliverable: <subject>` holds the whole token: whoever searches for the subject takes it for the canary."""
    end = ends["ndr"]
    [bounce] = end.bounces
    assert (bounce.final, bounce.status) == (True, "5.1.351")
    assert "5.1.351" in end.row.reasons
    assert (end.row.sightings, end.row.delivery) == (0, None)


def test_late_mail_is_told_with_its_true_latency(testbed: Testbed, ends: Mapping[str, End]) -> None:
    end = ends["delay"]
    [arrival] = testbed.arrivals(CASES["delay"].address)
    assert arrival.queued is not None
    assert end.row.end_to_end > arrival.delivered - arrival.queued > 2.5


def test_mail_that_comes_after_it_was_lost_is_counted_as_recovered_and_changes_no_verdict(
    testbed: Testbed, ends: Mapping[str, End]
) -> None:
    end = ends["delay-too-long"]
    assert (end.recovered, end.row.outcome, end.row.delivery) == (1, "lost", None)
    assert canaries_in(testbed, CASES["delay-too-long"].address) == [end.canary.id]


def test_a_second_copy_is_counted_and_changes_no_verdict(testbed: Testbed, ends: Mapping[str, End]) -> None:
    end = ends["duplicate"]
    assert (end.duplicates, end.row.outcome) == (1, "delivered")
    assert canaries_in(testbed, CASES["duplicate"].address) == [end.canary.id] * 2


def test_each_canary_that_was_seen_lies_in_its_mailbox_and_no_other_does(
    testbed: Testbed, ends: Mapping[str, End]
) -> None:
    assert canaries_in(testbed, CASES["junk"].address, "Junk") == [ends["junk"].canary.id]
    for name in ("delay", "delay-in-time"):
        assert canaries_in(testbed, CASES[name].address) == [ends[name].canary.id]
    for name in ("lose", "bounce", "ndr"):
        assert ends[name].canary.id not in canaries_in(testbed, SENDER)
