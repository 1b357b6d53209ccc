"""The whole agent in this process, from a settings file, against real servers: what `relaycanary run` puts together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import select

from agent.clock import SystemClock
from agent.commands.run import make_parts
from agent.config.load import load
from agent.ledger import Ledger
from agent.ledger.schema import canaries
from agent.pipeline import Pipeline
from checks.core.model import Canary


class RunningAgent:
    """A running agent. Its schedule is left alone: tests fire canaries by `send`."""

    def __init__(self, pipeline: Pipeline, ledger: Ledger, clock: SystemClock) -> None:
        self.pipeline = pipeline
        self.ledger = ledger
        self.clock = clock

    async def send(self, check: str) -> Canary:
        """Send one canary of *check*, as a slot would; return when the hand-over is on record."""
        running = self.pipeline._running
        assert running is not None
        sent = await running.probe.send(running.parts.checks[check], 0)
        assert sent is not None
        return sent.canary

    async def concluded(self, canary: Canary, *, within: float = 60.0) -> Any:
        """Wait for the conclusion of *canary*; return its row."""
        async with asyncio.timeout(within):
            while (row := await self.row(canary)).outcome is None:
                await asyncio.sleep(0.02)
        return row

    async def outcome_of(self, check: str, *, within: float = 60.0) -> str:
        """Send one canary and tell its outcome."""
        row = await self.concluded(await self.send(check), within=within)
        return str(row.outcome)

    async def row(self, canary: Canary) -> Any:
        """Return what is on record of *canary*."""
        return await self.ledger.read(
            lambda connection: connection.execute(select(canaries).where(canaries.c.id == canary.id)).one()
        )

    async def total(self, metric: str, **labels: str) -> float:
        """Sum the totals of one metric over all labels that are not named."""
        picture = await self.ledger.snapshot()
        return sum(
            one.value for one in picture.totals if one.metric == metric and labels.items() <= dict(one.labels).items()
        )


@asynccontextmanager
async def running_agent(settings: Path) -> AsyncIterator[RunningAgent]:
    """Run the agent with *settings*; at the end it is stopped and its books must be right."""
    known = load(settings)
    with Ledger(known.agent.ledger) as ledger:
        clock = SystemClock(not_before=ledger.newest_moment())
        pipeline = Pipeline(clock=clock, ledger=ledger)
        pipeline._schedule.start = lambda _checks: pipeline._schedule._scheduler.start()  # type: ignore[method-assign]
        stop = asyncio.Event()
        running = asyncio.ensure_future(pipeline.run(make_parts(known, clock), stop))
        try:
            async with asyncio.timeout(60):
                while not (pipeline._running and all(one.status.up for one in pipeline.view().mailboxes)):
                    assert not running.done(), running.exception()
                    await asyncio.sleep(0.01)
            yield RunningAgent(pipeline, ledger, clock)
        finally:
            stop.set()
            await running
            assert await ledger.verify() == []
