"""Every way to read a mailbox, through the whole agent and Dovecot; and logins that change while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from interop.settings import Setup
from mailservers.testbed import Testbed
from support.running import RunningAgent, running_agent

from agent.metrics import Picture
from checks.core.model import Verdict

pytestmark = pytest.mark.servers

WAYS = [(tls, login) for tls in ("implicit", "starttls") for login in ("password", "token")]
BRISK = {"every": "1s", "late_after": "1s", "lost_after": "3s"}


def _named(way: tuple[str, str]) -> str:
    return "-".join(way)


def _mailbox(agent: RunningAgent, name: str) -> Any:
    return next(one.status for one in agent.pipeline.view().mailboxes if one.name == name)


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.02)


async def _current(agent: RunningAgent, check: str) -> Verdict:
    picture = Picture(agent.pipeline.view(), await agent.ledger.snapshot())
    return picture.verdict(next(one for one in picture.checks if one.name == check))


@pytest.fixture
def setup(testbed: Testbed, tmp_path: Path) -> Setup:
    made = Setup(testbed, tmp_path)
    made.path("direct", "direct_send", testbed.ports.mx)
    return made


def test_each_way_to_read_finds_the_canary(testbed: Testbed, setup: Setup) -> None:
    for tls, login in WAYS:
        address = f"reads-by-{tls}-{login}@corp.test"
        token = testbed.issue_token(address)
        credential = setup.password(address) if login == "password" else setup.token(address, token)
        port = testbed.ports.imaps if tls == "implicit" else testbed.ports.imap
        name = setup.mailbox(_named((tls, login)), address, tls=tls, port=port, credential=credential)
        setup.check(name, "direct", name)

    async def story() -> list[str]:
        async with running_agent(setup.write()) as agent:
            return await asyncio.gather(*(agent.outcome_of(_named(way), within=60) for way in WAYS))

    assert asyncio.run(story()) == ["delivered"] * len(WAYS)


@contextmanager
def _restarted(testbed: Testbed) -> Iterator[None]:
    """Stop Dovecot, so that everybody has to log in anew, and start it again after the body."""
    testbed.dovecot.stop()
    try:
        yield
    finally:
        testbed.dovecot.start()


def test_a_revoked_token_blinds_its_mailbox_only_and_a_new_one_is_taken_from_its_file(
    testbed: Testbed, setup: Setup, tmp_path: Path
) -> None:
    """While the mailbox cannot be read the check is unknown; nothing is called lost, and nothing is lost."""
    reading, beside = "reads-revoked@corp.test", "reads-beside@corp.test"
    token = testbed.issue_token(reading)
    setup.mailbox("revoked", reading, credential=setup.token(reading, token))
    setup.mailbox("beside", beside)
    for name in ("revoked", "beside"):
        setup.check(name, "direct", name, **BRISK)
    [file] = [one for one in tmp_path.glob("secret-*") if one.read_text() == token]

    def revoke() -> None:
        with _restarted(testbed):
            testbed.revoke_token(token)

    async def story() -> None:
        async with running_agent(setup.write()) as agent:
            assert await agent.outcome_of("revoked") == "delivered"
            await asyncio.to_thread(revoke)
            await _until(lambda: _mailbox(agent, "revoked").reason == "login" and _mailbox(agent, "beside").up)
            assert token not in _mailbox(agent, "revoked").detail
            waiting = await agent.send("revoked")
            assert await agent.outcome_of("beside", within=60) == "delivered"
            async with asyncio.timeout(20):
                while await _current(agent, "revoked") is not Verdict.UNKNOWN:
                    await asyncio.sleep(0.05)
            assert (await agent.row(waiting)).outcome is None
            file.write_text(testbed.issue_token(reading))
            assert (await agent.concluded(waiting, within=60)).outcome == "delivered"

    asyncio.run(story())
