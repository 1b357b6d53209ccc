"""An agent that stands still (suspended, starved) blames nobody for what it did not see."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
import yaml
from support.running import running_agent

from checks.lab import Lab

LIMIT = "800ms"
STANDSTILL = 2.5  # seconds, more than the limit of a stage and what is taken for a standstill


@pytest.fixture
def settings(lab: Lab, tmp_path: Path) -> Path:
    known = yaml.safe_load(lab.info.settings.read_text())
    known["agent"]["ledger"] = f"sqlite:///{tmp_path / 'ledger.db'}"
    limits = dict.fromkeys(("dns", "connect", "greeting", "starttls", "auth", "envelope", "data"), LIMIT)
    known["paths"]["relay"]["timeouts"] = limits
    limits = {"every": "1s", "late_after": "500ms", "lost_after": "1s"}
    known["checks"] = {"relay": {"path": "relay", "mailbox": "outside", **limits}}
    file = tmp_path / "relaycanary.yaml"
    file.write_text(yaml.safe_dump(known))
    return file


@pytest.mark.parametrize(
    ("silence", "outcome"),
    [
        pytest.param("hang", "local_fault", marks=pytest.mark.long),
        pytest.param("hang_ehlo", "local_fault", marks=pytest.mark.long),
        pytest.param("hang_starttls", "local_fault", marks=pytest.mark.long),
        ("hang_rcpt", "local_fault"),
        pytest.param("hang_data", "local_fault", marks=pytest.mark.long),
        pytest.param("hang_after_dot", None, marks=pytest.mark.long),  # the message is out: seen, or in doubt
    ],
)
def test_a_standstill_in_the_middle_of_a_handover_is_nobody_elses_fault(
    silence: str, outcome: str | None, lab: Lab, settings: Path
) -> None:
    async def story() -> None:
        async with running_agent(settings) as agent:
            await asyncio.to_thread(lab.break_, "relay", silence)
            asyncio.get_running_loop().call_later(0.4, time.sleep, STANDSTILL)
            try:
                record = await agent.concluded(await agent.send("relay"))
            finally:
                await asyncio.to_thread(lab.heal)

            if outcome is not None:
                assert record.outcome == outcome, record.reasons
            assert record.verdict != "fail", record.reasons

    asyncio.run(story())


@pytest.mark.long
def test_without_a_standstill_silence_is_the_servers(lab: Lab, settings: Path) -> None:
    async def story() -> None:
        async with running_agent(settings) as agent:
            await asyncio.to_thread(lab.break_, "relay", "hang_rcpt")
            try:
                record = await agent.concluded(await agent.send("relay"))
            finally:
                await asyncio.to_thread(lab.heal)

            assert (record.outcome, record.verdict) == ("deferred", "fail")

    asyncio.run(story())


def test_a_standstill_while_a_canary_is_awaited_does_not_lose_it(lab: Lab, settings: Path) -> None:
    """It arrives while nobody looks, and the time to give up comes: the first look after that decides."""

    async def story() -> None:
        async with running_agent(settings) as agent:
            await asyncio.to_thread(lab.break_, "relay", "delay=0.4")
            try:
                canary = await agent.send("relay")
                time.sleep(STANDSTILL)  # noqa: ASYNC251 - the fault itself
                record = await agent.concluded(canary)
            finally:
                await asyncio.to_thread(lab.heal)

            assert record.outcome in {"delivered", "late"}, record.reasons

    asyncio.run(story())
