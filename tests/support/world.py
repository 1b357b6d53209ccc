"""The stages of the agent on the real ledger, with a simulated tenant and simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import select

from agent.judge import Judge
from agent.ledger.schema import canaries
from agent.ledger.snapshot import Snapshot
from agent.online import Online
from agent.probe import Probe, SigningKey, may_arrive
from agent.watch import Cleaner, Interpreter, Watcher, look_every
from checks.core.model import Attempt, Canary, Check
from support.make import a_check
from support.simulation import PatientLedger, SimulatedClock, SimulatedLoop, simulate
from support.tenant import SimulatedPath, SimulatedReader, Tenant

T = TypeVar("T")
KEY = SigningKey("k1", b"0123456789abcdef0123456789abcdef")
KEEP = 7200.0  # long enough for every story but those of cleaning up


class World:
    """One check, one path, one mailbox; `crash` leaves everything lying as kill -9 would."""

    def __init__(self, clock: SimulatedClock, ledger: PatientLedger, tenant: Tenant, check: Check) -> None:
        self.clock = clock
        self.ledger = ledger
        self.tenant = tenant
        self.check = check
        self.path = SimulatedPath(tenant)
        self.reader = SimulatedReader(tenant)
        self.online = Online(clock, [])
        self.key = KEY
        self.account = ""
        self.sent_items = False
        self._tasks: list[asyncio.Task[Any]] = []

    async def start(self, *, mailbox: str = "inbox", others: Sequence[str] = ()) -> None:
        """Start the stages on *mailbox*; the settings have *others*, which nobody looks into, beside it."""
        await self.ledger.begin_run(
            site="test", version="0", began_at=self.clock.steady(), began_wall=self.clock.now().timestamp()
        )
        await self.ledger.configure(
            watched={name: list(self.reader.folders) for name in (mailbox, *others)},
            thresholds=[self.check.limits.late_after, self.check.limits.lost_after],
            at=self.clock.steady(),
            accounts={mailbox: self.account, **dict.fromkeys(others, "another mailbox")},
        )
        interpreter = Interpreter(
            mailbox=mailbox,
            addresses=[self.check.recipient],
            secrets={self.key.id: self.key.secret},
            keep=KEEP,
            ledger=self.ledger,
            reader=self.reader,
            clears_sent=self.sent_items,
        )
        cleaner = Cleaner(
            mailbox=mailbox,
            reader=self.reader,
            ledger=self.ledger,
            clock=self.clock,
            interpreter=interpreter,
            keep=KEEP,
        )
        self.judge = Judge(clock=self.clock, ledger=self.ledger, wants_look=lambda _: self.watcher.want_look())
        self.watcher = Watcher(
            name=mailbox,
            reader=self.reader,
            ledger=self.ledger,
            clock=self.clock,
            interpreter=interpreter,
            cleaner=cleaner,
            look_every=look_every([self.check.limits.late_after]),
            news=self.judge.wake,
            connected=self.online.connected,
            account=self.account,
        )
        self.probe = Probe(
            clock=self.clock,
            ledger=self.ledger,
            online=self.online,
            paths={self.check.path: self.path},
            key=self.key,
            handed_over=self._handed_over,
            written=self.judge.wake,
        )
        self._tasks = [asyncio.ensure_future(part) for part in (self.watcher.run(), self.judge.run())]

    async def send(self, check: Check | None = None) -> Canary:
        sent = await self.probe.send(check or self.check, 0)
        assert sent is not None
        return sent.canary

    async def send_and_wait(self, seconds: float = 30.0) -> str:
        """Send one canary, let time pass, and tell its outcome ("" while it is in flight)."""
        canary = await self.send()
        await self.clock.sleep(seconds)
        return await self.outcome(canary)

    async def outcome(self, canary: Canary) -> str:
        row = await self.row(canary)
        return row.outcome or ""

    async def row(self, canary: Canary) -> Any:
        return await self.ledger.read(
            lambda connection: connection.execute(select(canaries).where(canaries.c.id == canary.id)).one()
        )

    async def snapshot(self) -> Snapshot:
        return await self.ledger.snapshot()

    async def total(self, metric: str, **labels: str) -> float:
        picture = await self.snapshot()
        return sum(
            total.value
            for total in picture.totals
            if total.metric == metric and labels.items() <= dict(total.labels).items()
        )

    async def crash(self) -> None:
        """Stop the agent's stages where they are."""
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
        self._tasks = []

    def _handed_over(self, canary: Canary, attempt: Attempt) -> None:
        if may_arrive(attempt):
            self.watcher.expect(canary, attempt)


@asynccontextmanager
async def a_world(folder: Path, clock: SimulatedClock, check: Check | None = None) -> AsyncIterator[World]:
    with PatientLedger(f"sqlite:///{folder / 'ledger.db'}") as ledger:
        world = World(clock, ledger, Tenant(clock), check or a_check())
        await world.start()
        try:
            yield world
        finally:
            await world.crash()
            assert await ledger.verify() == []


def in_a_world(folder: Path, story: Callable[[World], Awaitable[T]], check: Check | None = None) -> T:
    """Tell *story* in a fresh world, in simulated time; afterwards the books must be right."""
    loop = SimulatedLoop()
    clock = SimulatedClock(loop)

    async def told() -> T:
        async with a_world(folder, clock, check) as world:
            return await story(world)

    return simulate(told(), loop)
