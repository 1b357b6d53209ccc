"""The agent's clock in one life."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from support.simulation import SimulatedLoop


class Timeline:
    """The agent's clock in one life, built as `agent.clock.SystemClock` builds its own from the wall clock."""

    def __init__(self, loop: SimulatedLoop, wall: Callable[[], float], *, not_before: float) -> None:
        self._loop = loop
        self._wall = wall
        self.began = loop.time()
        self._origin = max(wall(), not_before) - self.began

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._wall(), UTC)

    def steady(self) -> float:
        return self.at(self._loop.time())

    def at(self, true_time: float) -> float:
        """Turn true time into a moment on the steady timeline of this life."""
        return self._origin + true_time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))
