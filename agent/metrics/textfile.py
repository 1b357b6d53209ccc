"""The metrics in a file, for the node exporter's textfile collector, where the agent itself cannot be scraped.

The rules of that collector: the name ends in ``.prom``, the file has no timestamps, it appears whole (a rename within
its folder), and its reader may read it. It goes away with the agent: what was said last would read as news. Of an agent
that was killed it stays, which ``node_textfile_mtime_seconds`` shows.
Source: node_exporter, README, "Textfile Collector".
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from checks.ports import Clock

_log = structlog.get_logger("textfile")
_SOON = 1.0
_READABLE = 0o644  # the node exporter is another user
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # Windows has no such thing


class Textfile:
    """Writes the file anew every so often, in seconds; *metrics* tells them, or None while there is nothing to tell."""

    def __init__(
        self, file: Path, every: float, metrics: Callable[[], Awaitable[Sequence[bytes] | None]], clock: Clock
    ) -> None:
        self._file = file
        self._every = every
        self._metrics = metrics
        self._clock = clock
        self._problem = ""

    async def run(self) -> None:
        """Write until it is cancelled; then the file is removed."""
        self._remove()  # an agent that was killed left it
        try:
            while True:
                metrics = await self._metrics()
                if metrics is not None:
                    await self._write(metrics)
                await self._clock.sleep(self._every if metrics is not None else min(self._every, _SOON))
        finally:
            self._remove()

    async def _write(self, metrics: Sequence[bytes]) -> None:
        problem = ""
        writing = asyncio.ensure_future(asyncio.to_thread(_replace, self._file, metrics))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            # the thread goes on, and would put the file in its place after it was removed
            with suppress(OSError):
                await writing
            raise
        except OSError as error:
            problem = error.strerror or type(error).__name__
        if problem and problem != self._problem:
            _log.error("textfile.not_written", file=str(self._file), why=problem)
        elif self._problem and not problem:
            _log.info("textfile.written", file=str(self._file))
        self._problem = problem

    def _remove(self) -> None:
        with suppress(OSError):  # it is not there, or its folder is not ours: writing says so
            self._file.unlink()


def _replace(file: Path, blocks: Sequence[bytes]) -> None:
    """Put a new file in the place of the old one, so that nobody ever reads half of it."""
    beside = file.with_name(f".{file.name}.new")
    with suppress(FileNotFoundError):
        beside.unlink()
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, _READABLE)
    with os.fdopen(handle, "wb") as stream:
        beside.chmod(_READABLE)  # whatever the umask has taken away
        stream.writelines(blocks)
    beside.replace(file)
