"""Simulated time: an event loop whose clock jumps to the next timer as soon as nothing is left to do.

Threads of the ledger work in real time; while one is asked, the simulated clock stands still.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from agent.ledger import Ledger

T = TypeVar("T")
EPOCH = 1_700_000_000.0


class _JumpingSelector:
    """Never sleeps: says that the time was slept, and moves the loop's clock by it."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._real = selectors.DefaultSelector()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        events = self._real.select(0)
        if events or timeout == 0:
            return events
        if self._loop.outside or timeout is None:
            return self._real.select(None if timeout is None else 0.05)
        self._loop.passed += timeout
        return []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """`outside` counts the answers that threads owe us."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.outside = 0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self.passed


class SimulatedClock:
    """`checks.ports.Clock` on a simulated loop. `step` sets the wall clock, as an administrator may."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self._stepped = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.steady(), UTC) + timedelta(seconds=self._stepped)

    def steady(self) -> float:
        return EPOCH + self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    def step(self, seconds: float) -> None:
        self._stepped += seconds

    def suspend(self, seconds: float) -> None:
        """Let time pass with nobody running."""
        self._loop.passed += seconds


class PatientLedger(Ledger):
    """The real ledger; while it is asked, simulated time stands still."""

    def __enter__(self) -> PatientLedger:
        super().__enter__()
        do = self._writer.do

        async def counted(work: Any) -> Any:
            loop = asyncio.get_running_loop()
            loop.outside += 1
            try:
                return await do(work)
            finally:
                loop.outside -= 1

        self._writer.do = counted
        return self

    async def read(self, query: Any) -> Any:
        loop = asyncio.get_running_loop()
        loop.outside += 1
        try:
            return await super().read(query)
        finally:
            loop.outside -= 1


def simulate(main: Coroutine[Any, Any, T], loop: SimulatedLoop) -> T:
    """Run *main* to its end on *loop*."""
    try:
        return loop.run_until_complete(main)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
            loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
