"""Postfix or Dovecot stops and comes back, while the agent runs: nothing is lost, and nobody is blamed wrongly."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from interop.settings import SENDER, Setup
from interop.truth import canaries_in, dialogue, transcript_of
from mailservers.processes import Daemon
from mailservers.testbed import Testbed
from support.running import RunningAgent, running_agent

from checks.core.model import Canary

pytestmark = pytest.mark.servers

ADDRESS = "interop-outages@corp.test"
BRISK = {"every": "1s", "late_after": "500ms", "lost_after": "2s"}
_BLIND_SECONDS = 2 * 0.25 + 5  # a gap between looks that counts: twice the interval, which is late_after / 2, and 5 s


@asynccontextmanager
async def stopped(*servers: Daemon) -> AsyncIterator[None]:
    """Stop *servers*, and start them again after the body, whatever happens in it."""
    for server in servers:
        await asyncio.to_thread(server.stop)
    try:
        yield
    finally:
        for server in servers:
            await asyncio.to_thread(server.start)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(40):
        while not holds():
            await asyncio.sleep(0.02)


def mailbox(agent: RunningAgent) -> Any:
    [one] = agent.pipeline.view().mailboxes
    return one.status


def deliver_now(testbed: Testbed) -> None:
    """Have Postfix try its queue at once."""
    subprocess.run(["postqueue", "-c", testbed.directory / "postfix", "-f"], check=True, capture_output=True)


@pytest.fixture
def settings(testbed: Testbed, tmp_path: Path) -> Path:
    """One mailbox, and a check for each way to send that the outages treat differently."""
    setup = Setup(testbed, tmp_path)
    setup.mailbox("inbox", ADDRESS)
    setup.path("direct", "direct_send", testbed.ports.mx)
    setup.path("kept", "direct_send", testbed.ports.mx, session="kept")
    setup.path("submission", "submission", testbed.ports.submission, credential=setup.password(SENDER))
    for path in ("direct", "kept", "submission"):
        setup.check(path, path, "inbox")
    setup.check("brisk", "direct", "inbox", **BRISK)
    setup.check("brisk-lose", "direct", "inbox", to="lose-outages@corp.test", **BRISK)
    return setup.write()


def test_canaries_wait_for_dovecot_longer_than_they_may_take_and_none_is_called_lost(
    testbed: Testbed, settings: Path
) -> None:
    """The mailbox cannot be read for longer than `lost_after`. What really is lost is called so, only later."""

    async def story() -> None:
        async with running_agent(settings) as agent:
            async with stopped(testbed.dovecot):
                waiting = [await agent.send("brisk"), await agent.send("direct")]
                lost = await agent.send("brisk-lose")
                await until(lambda: not mailbox(agent).up)
                until_blind = agent.clock.steady() + _BLIND_SECONDS
                await until(lambda: agent.clock.steady() > until_blind)
                rows = [await agent.row(canary) for canary in (*waiting, lost)]
                assert [row.outcome for row in rows] == [None] * 3
                assert mailbox(agent).reason == "connect"
            await asyncio.to_thread(deliver_now, testbed)
            await _arrived(testbed, waiting)
            rows = [await agent.concluded(canary, within=60) for canary in (*waiting, lost)]
            assert [row.outcome for row in rows] == ["delivered", "delivered", "lost"], rows
            assert rows[-1].concluded_at - rows[-1].started_at > 2.0 + _BLIND_SECONDS
            assert await agent.total("canaries", outcome="lost") == 1

    asyncio.run(story())


async def _arrived(testbed: Testbed, canaries: list[Canary]) -> None:
    wanted = {canary.id for canary in canaries}
    async with asyncio.timeout(30):
        while not wanted <= set(await asyncio.to_thread(canaries_in, testbed, ADDRESS)):
            await asyncio.sleep(0.05)


def test_a_mailbox_that_is_numbered_anew_loses_nothing_and_doubles_nothing(testbed: Testbed, settings: Path) -> None:
    """Without its index Dovecot gives the messages other UIDs, and the folder another UIDVALIDITY."""

    async def story() -> None:
        async with running_agent(settings) as agent:
            before = await agent.send("direct")
            assert (await agent.concluded(before, within=60)).outcome == "delivered"
            numbering = await _validity(agent)
            async with stopped(testbed.dovecot):
                waiting = await agent.send("direct")
                await until(lambda: not mailbox(agent).up)
                for index in testbed.maildir(ADDRESS).glob("dovecot*"):
                    index.unlink()
            await asyncio.to_thread(deliver_now, testbed)
            assert (await agent.concluded(waiting, within=60)).outcome == "delivered"
            assert await agent.outcome_of("direct", within=60) == "delivered"
            assert await _validity(agent) != numbering
            assert (await agent.row(before)).sightings == 1
            for counted in ("canaries_duplicates", "canaries_recovered"):
                assert await agent.total(counted) == 0

    asyncio.run(story())


async def _validity(agent: RunningAgent) -> str:
    cursor, _ = await agent.ledger.cursor("inbox", "INBOX")
    return str(cursor).partition(":")[0]


def test_a_login_that_postfix_cannot_check_is_deferred_and_no_refusal(testbed: Testbed, settings: Path) -> None:
    """Postfix asks Dovecot about passwords: when that is down the fault is not the password's."""

    async def story() -> None:
        async with running_agent(settings) as agent:
            async with stopped(testbed.dovecot):
                canary = await agent.send("submission")
                row = await agent.concluded(canary)
                said = dialogue(await transcript_of(agent, canary))
                assert (row.outcome, row.verdict) == ("deferred", "fail"), (row.reasons, said)
            assert await agent.outcome_of("submission", within=60) == "delivered"

    asyncio.run(story())


def test_a_stopped_postfix_is_unreachable_and_is_used_again_when_it_is_back(testbed: Testbed, settings: Path) -> None:
    async def story() -> None:
        async with running_agent(settings) as agent:
            async with stopped(testbed.postfix):
                for check in ("direct", "submission"):
                    row = await agent.concluded(await agent.send(check))
                    assert (row.outcome, row.verdict) == ("unreachable", "fail"), row.reasons
            assert [await agent.outcome_of(check) for check in ("direct", "submission")] == ["delivered"] * 2

    asyncio.run(story())


def test_when_no_server_answers_the_fault_may_be_ours_and_nobody_is_paged(testbed: Testbed, settings: Path) -> None:
    async def story() -> None:
        async with running_agent(settings) as agent, stopped(testbed.postfix, testbed.dovecot):
            await until(lambda: not mailbox(agent).up)
            row = await agent.concluded(await agent.send("direct"))
            assert (row.outcome, row.verdict) == ("local_fault", "unknown"), row.reasons

    asyncio.run(story())


def test_a_kept_session_carries_several_canaries_and_is_replaced_after_a_restart(
    testbed: Testbed, settings: Path
) -> None:
    """No canary pays for the restart: the dead connection is noticed before MAIL, and another one made."""

    async def story() -> list[str]:
        async with running_agent(settings) as agent:
            sent = [await agent.send("kept") for _ in range(3)]
            async with stopped(testbed.postfix):
                pass
            sent += [await agent.send("kept") for _ in range(2)]
            rows = [await agent.concluded(canary, within=60) for canary in sent]
            assert [row.outcome for row in rows] == ["delivered"] * 5
            return [dialogue(await transcript_of(agent, canary)) for canary in sent]

    first, second, third, anew, again = asyncio.run(story())
    for opening in (first, anew):
        assert "-: connected to " in opening
        assert "C: STARTTLS" in opening
    for going_on in (second, third, again):
        assert "-: connected to " not in going_on
        assert "C: RSET" in going_on
    assert "-: the kept connection is gone: opening a new one" in anew
