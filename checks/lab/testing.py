"""The lab for tests: in a thread of its own, so that blocking clients and coroutines may both talk to it."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from checks.lab.control import Control
from checks.lab.service import FREE_PORTS, LabInfo, serve

_PATIENCE = 30.0  # seconds to start or stop


class Lab(Control):
    """A running lab on free ports, as ``with Lab() as lab`` or ``async with Lab() as lab``.

    Mail is delivered at once (`transit` 0) and the submission rate is not limited, unless told otherwise. With a
    *directory*, mail and secrets are found again by the next lab there; without one, they go with the lab.
    """

    def __init__(
        self, directory: Path | None = None, *, transit: float = 0.0, messages_per_minute: int = 1_000_000
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="lab-") if directory is None else None
        self.directory = Path(self._temporary.name) if self._temporary else directory or Path()
        super().__init__(self.directory)
        self._serve = partial(serve, ports=FREE_PORTS, transit=transit, messages_per_minute=messages_per_minute)
        self._ready: Future[LabInfo] = Future()
        self._thread = threading.Thread(target=self._run, name="lab", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def info(self) -> LabInfo:
        """Where it is."""
        return self._ready.result(timeout=0)

    def port(self, name: str) -> int:
        """Return the port of a path or mailbox."""
        return self.info.ports[name]

    def start(self) -> None:
        """Start, and wait until all ports are open.

        Raises:
            LabError: as `serve`.
        """
        self._thread.start()
        try:
            self._ready.result(timeout=_PATIENCE)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop, and wait for it."""
        if self._loop is not None and self._task is not None:
            with suppress(RuntimeError):  # it has ended by itself, and its loop is closed
                self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(timeout=_PATIENCE)
        if self._temporary is not None:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _run(self) -> None:
        with suppress(asyncio.CancelledError):
            asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        try:
            await self._serve(self.directory, on_ready=self._ready.set_result)
        except Exception as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)
