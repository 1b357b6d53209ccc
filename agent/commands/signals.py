"""What SIGTERM, SIGINT and SIGHUP mean to a command that runs until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any


def on_signals(reactions: dict[str, Callable[[], object]]) -> None:
    """Have the event loop call each reaction when its signal comes; signals that the system lacks are passed over."""
    loop = asyncio.get_running_loop()
    for name, react in reactions.items():
        number = getattr(signal, name, None)  # there is no SIGHUP on Windows
        if number is not None:
            with contextlib.suppress(NotImplementedError):  # nor handlers in its loop: Ctrl-C raises there
                loop.add_signal_handler(number, react)


async def until_told_to_stop(work: Coroutine[Any, Any, None], *, until_eof: bool = False) -> None:
    """Run *work* until it ends or SIGTERM or SIGINT comes, or standard input ends; what it raises is raised."""
    task = asyncio.ensure_future(work)
    on_signals({"SIGTERM": task.cancel, "SIGINT": task.cancel})
    if until_eof:
        loop = asyncio.get_running_loop()
        threading.Thread(target=_tell_at_eof, args=(loop, task.cancel), daemon=True).start()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _tell_at_eof(loop: asyncio.AbstractEventLoop, tell: Callable[[], object]) -> None:
    """Wait for the end of standard input in a thread: pipes cannot be watched by every system's event loop.

    Not by `sys.stdin`: a thread that waits there holds its lock, for want of which the interpreter aborts at its end.
    """
    while os.read(sys.stdin.fileno(), 4096):
        continue
    with contextlib.suppress(RuntimeError):  # the loop has ended by itself
        loop.call_soon_threadsafe(tell)
