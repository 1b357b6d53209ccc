"""Keep one part running: a defect in it stops it alone, loudly, and it is started again after a pause."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from agent import cancelled
from checks.ports import Clock

_log = structlog.get_logger("supervise")
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_HEALTHY_AFTER = 300.0


async def supervise(name: str, part: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Run *part* again and again; the pause grows while it keeps failing. Ends only by being cancelled itself."""
    pause = _FIRST_PAUSE
    while True:
        began = clock.steady()
        try:
            await part()
        except (Exception, asyncio.CancelledError) as defect:  # it must not take others down
            if cancelled.is_wanted(defect):
                raise
            _log.exception("part.failed", part=name, again_in=pause)
        else:
            _log.error("part.ended", part=name, again_in=pause)
        if clock.steady() - began > _HEALTHY_AFTER:
            pause = _FIRST_PAUSE
        await clock.sleep(pause)
        pause = min(_LONGEST_PAUSE, pause * 2)
