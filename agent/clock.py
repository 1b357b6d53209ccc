"""The only place that reads the time or sleeps."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime


def _elapsed() -> float:
    """Seconds since some fixed moment, suspended time included where the system can tell (Linux)."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


async def news_or_time(news: asyncio.Event, seconds: float) -> None:
    """Wait until *news* is set, or *seconds* have passed, whichever comes first."""
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds)):
            await news.wait()


class SystemClock:
    """Wall-clock time, and a steady timeline that starts near it and is never set.

    `not_before` keeps the timeline ahead of what an earlier run has written down, even if the wall clock was
    set back in between.
    """

    def __init__(self, *, not_before: float = 0.0) -> None:
        self._origin = max(time.time(), not_before) - _elapsed()

    def now(self) -> datetime:
        """Tell the wall-clock time, in UTC."""
        return datetime.now(UTC)

    def steady(self) -> float:
        """Tell the seconds on the steady timeline."""
        return self._origin + _elapsed()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(max(0.0, seconds))
