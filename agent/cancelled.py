"""Tell whose wish a cancellation was."""

from __future__ import annotations

import asyncio


def is_wanted(error: BaseException) -> bool:
    """Tell, where *error* was caught, whether it is somebody's wish that the running task should end.

    A CancelledError that nobody wished for came from within: what was awaited had itself awaited something that was
    cancelled. That is a defect like any other, and must not end us in silence.
    """
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling() > 0)
