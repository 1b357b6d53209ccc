"""The lives of one agent: each has a clock, a ledger file and a pipeline, and ends with a stop or with kill -9."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

from properties.inline import LEDGER_FILE, InlineLedger
from properties.post import Fate, Post
from properties.setups import KEEP, Setup
from properties.timeline import Timeline
from properties.wire import SimulatedPath, SimulatedReader
from properties.witness import Witness
from support.simulation import EPOCH, SimulatedLoop

from agent.ledger import LedgerError
from agent.pipeline import Parts, Pipeline
from agent.probe import SigningKey

KEY = SigningKey("k1", b"0123456789abcdef0123456789abcdef")


class Agent:
    """The agent over all its lives. `next_fate` tells what becomes of the next canary of a check."""

    def __init__(self, loop: SimulatedLoop, folder: Path, post: Post, next_fate: Callable[[str], Fate]) -> None:
        self.loop = loop
        self.post = post
        self.wall_step = 0.0
        self.setup = Setup.usual()
        self.witness = Witness(post, self.setup)
        self.books: InlineLedger | None = None
        self.pipeline: Pipeline | None = None
        self._next_fate = next_fate
        self._folder = folder
        self._lives = 0
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()

    @property
    def file(self) -> Path:
        """The ledger's file of this life, or, between two, of the next."""
        return self._folder / str(self._lives) / LEDGER_FILE

    def wall(self) -> float:
        """Tell what the wall clock shows, in Unix time."""
        return EPOCH + self.loop.time() + self.wall_step

    async def start(self) -> None:
        """Begin a life, from whatever the last one left on the disk."""
        self.file.parent.mkdir(exist_ok=True)
        books = InlineLedger(self.file.parent, self.witness).__enter__()
        clock = Timeline(self.loop, self.wall, not_before=books.newest_moment())
        self.witness.born(clock, self.setup)
        self.books, self.pipeline = books, Pipeline(clock=clock, ledger=books)
        schedule = self.pipeline._schedule
        schedule.start = lambda _checks: schedule._scheduler.start(paused=True)  # type: ignore[method-assign]
        self._stop = asyncio.Event()
        self._task = asyncio.ensure_future(self.pipeline.run(self._parts(clock), self._stop))
        await asyncio.sleep(1)

    async def fire(self, check: str) -> None:
        """Let a slot of a check come."""
        assert self.pipeline is not None
        self.pipeline._fire(self.setup.checks[check], 0)

    async def reload(self, setup: Setup) -> None:
        """Take over other settings, as SIGHUP does; if the ledger refuses, the old ones stay."""
        assert self.pipeline is not None
        before, self.setup = self.setup, setup
        try:
            await self.pipeline.apply(self._parts(self.witness.clock))
        except LedgerError:
            self.setup = before
        else:
            self.witness.configured(setup)

    async def stop(self) -> None:
        """End a life as SIGTERM does."""
        assert self._task is not None
        self._stop.set()
        await self._task
        self._bury()

    async def kill(self, *, committed: bool) -> None:
        """End a life as kill -9 does: what is on the disk stays, with what was just asked for or without it."""
        assert self.books is not None
        if committed:
            self.books.flush()
        self.books.forget()
        following = self._folder / str(self._lives + 1)
        following.mkdir()
        for name in (LEDGER_FILE, f"{LEDGER_FILE}-wal"):
            if (self.file.parent / name).exists():
                shutil.copy(self.file.parent / name, following / name)
        tasks = asyncio.all_tasks(self.loop) - {asyncio.current_task(self.loop)}
        for task in tasks:
            task.cancel()
        self.books.forget()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._bury()
        self._lives += 1

    def _bury(self) -> None:
        assert self.books is not None
        self.books.forget()
        self.books.__exit__(None, None, None)
        self.books = self.pipeline = self._task = None
        self.post.wishes.clear()
        self.witness.died()

    def trouble(self, what: str) -> None:
        """Let the ledger fail from now on: "locked", "full", or not at all ("")."""
        if self.books is not None:
            self.books.trouble = what

    async def verify(self) -> list[str]:
        """Ask the ledger itself what does not add up."""
        assert self.books is not None
        return await self.books.verify()

    def defect(self) -> BaseException | None:
        """Tell what ended the agent by itself, if anything did."""
        if self._task is None or not self._task.done():
            return None
        return self._task.exception()

    def _parts(self, clock: Timeline) -> Parts:
        setup, post = self.setup, self.post
        paths = {
            check.path: SimulatedPath(post, clock, check.mailbox, self._next_fate) for check in setup.checks.values()
        }
        return Parts(
            site="test",
            keep=KEEP,
            ledger_keep=400 * 86400.0,
            checks=setup.checks,
            paths=paths,
            methods=dict.fromkeys(paths, "relay"),
            mailboxes={name: SimulatedReader(post, clock, name, folders) for name, folders in setup.folders.items()},
            kinds=dict.fromkeys(setup.folders, "simulated"),
            addresses={name: [f"{name}@contoso.example"] for name in setup.folders},
            keys=[KEY],
        )
