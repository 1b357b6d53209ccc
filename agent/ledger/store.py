"""The ledger as the agent sees it: one method per fact that is written and per question that is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import SQLAlchemyError

from agent.ledger import beginning, canaries, cleanup, connect, damage, facts, hold, looks, retention, silences, verify
from agent.ledger import snapshot as pictures
from agent.ledger.beginning import Beginning
from agent.ledger.cleanup import Stored
from agent.ledger.damage import Damaged
from agent.ledger.errors import LedgerError
from agent.ledger.facts import Due
from agent.ledger.history import History
from agent.ledger.looks import LookRecord
from agent.ledger.pages import Questions
from agent.ledger.retention import Retention
from agent.ledger.schema import folders
from agent.ledger.silences import Silence
from agent.ledger.snapshot import Snapshot
from agent.ledger.totals import adopt_buckets, buckets
from agent.ledger.upgrade import Upgraded, upgrade
from agent.ledger.writer import Transaction, Work, Writer
from checks.core.model import Attempt, Canary, Conclusion, Pending

T = TypeVar("T")
_READERS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What came of judging one due canary."""

    due: Due
    result: Conclusion | Pending


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What it took to open a ledger: the upgrade of its tables, and the damaged one that was set aside for it."""

    upgraded: Upgraded | None = None
    set_aside: Damaged | None = None


class Ledger:
    """The durable record. Use as a context manager; one writer, some readers, nothing blocks the event loop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stack = ExitStack()
        self._run = 0
        self.opening = Opening()
        self.began_anew: Beginning | None = None

    def __enter__(self) -> Self:
        """Take hold of the ledger and bring its tables up to date; `opening` tells what that took.

        A damaged SQLite ledger is set aside, and a new one begun.

        Raises:
            LedgerError: it is in use, too new, or cannot be opened.
        """
        self._hold = self._stack.enter_context(hold.exclusively(self._url))
        try:
            aside = damage.set_aside_if_damaged(self._url)
            engine = self._engine(connect.connect(self._url))
            self.opening = Opening(upgraded=upgrade(engine, self._url), set_aside=aside)
            self._reading = self._engine(connect.readers(self._url))
            self._writer = Writer(engine, buckets(()), self._hold.check)
            self._stack.callback(self._writer.close)
            self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="ledger-reader")
            self._stack.callback(self._pool.shutdown)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish writing, and let go."""
        self._stack.close()

    @property
    def write_errors(self) -> int:
        """How often something could not be written since the start."""
        return self._writer.errors

    def check_hold(self) -> None:
        """Make sure that the ledger is still this agent's alone.

        Raises:
            LedgerInUse: another one may be at work with it; nothing is written any more.
        """
        self._hold.check()

    def newest_moment(self) -> float:
        """Tell the newest moment on record, so that the steady timeline never runs behind it.

        Raises:
            LedgerError: the database says no.
        """
        return self._read(beginning.newest_moment)

    async def begin_run(self, *, site: str, version: str, began_at: float, began_wall: float) -> None:
        """Open a run: what an earlier one left unfinished is in doubt from now on."""
        now = Beginning(at=began_at, wall=began_wall)

        def work(transaction: Transaction) -> int:
            if self.opening.set_aside is not None:
                beginning.mark(transaction.connection, now)
            return canaries.begin_run(transaction, site=site, version=version, began_at=began_at, began_wall=began_wall)

        self._run = await self._writer.do(work)
        self.began_anew = await self.read(beginning.began_anew)

    async def end_run(self, *, at: float) -> None:
        """Close the run: it was stopped, and did not end by itself."""
        run = self._run
        await self._writer.do(lambda transaction: canaries.end_run(transaction, run, at=at))

    async def configure(
        self,
        *,
        watched: Mapping[str, Sequence[str]],
        thresholds: Sequence[float],
        at: float,
        accounts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Take over what the settings decide: which folders are watched, and the thresholds among the buckets.

        *accounts* tells, for each mailbox, which one it is, so that another one by the same name is not taken for it.
        """
        bounds = buckets(thresholds)

        def work(transaction: Transaction) -> None:
            looks.watch_only(transaction.connection, watched, accounts, at=at)
            adopt_buckets(transaction.connection, bounds)
            transaction.changes.buckets = bounds

        await self._writer.do(work)

    async def start(self, canary: Canary) -> None:
        """Write a canary down; when this returns it is on the disk, and may be sent."""
        await self._writer.do(lambda transaction: canaries.start(transaction, canary, self._run))

    async def attempted(self, canary: Canary, attempt: Attempt, *, online: bool, at: float) -> None:
        """Write down how the hand-over went."""
        await self._writer.do(
            lambda transaction: canaries.attempted(transaction, canary, attempt, online=online, at=at)
        )

    async def looked(self, look: LookRecord) -> bool:
        """Write down what a look showed, and how far it came, together; tell whether a canary may be judged now."""
        return await self._writer.do(lambda transaction: looks.record(transaction, look))

    async def judged(self, judgements: Sequence[Judgement], *, at: float) -> list[Conclusion]:
        """Write conclusions down, put the others off; return the conclusions that are new."""

        def work(transaction: Transaction) -> list[Conclusion]:
            new = []
            for one in judgements:
                if isinstance(one.result, Pending):
                    canary = one.due.facts.canary.id
                    canaries.postpone(transaction.connection, canary, one.result, facts=one.due.version, now=at)
                elif canaries.conclude(transaction, one.result, facts=one.due.version, at=at):
                    new.append(one.result)
            return new

        return await self._writer.do(work)

    async def due(self, now: float, *, limit: int = 500) -> list[Due]:
        """Read the facts of the canaries that are due for judging."""
        return await self.read(lambda connection: facts.due(connection, now, limit))

    async def next_due(self) -> float | None:
        """Tell when the next canary is due."""
        return await self.read(facts.next_due)

    async def oldest_in_flight(self) -> float | None:
        """Tell when the oldest of the canaries in flight was started; None if none is. It goes through all of them."""
        return await self.read(facts.oldest_in_flight)

    async def cursor(self, mailbox: str, folder: str) -> tuple[str | None, float | None]:
        """Tell where the last look into a folder stopped, and when its last complete look began."""

        def query(connection: Connection) -> tuple[str | None, float | None]:
            row = connection.execute(
                select(folders.c.cursor, folders.c.looked_at).where(
                    folders.c.mailbox == mailbox, folders.c.folder == folder
                )
            ).one_or_none()
            return (None, None) if row is None else (row.cursor, row.looked_at)

        return await self.read(query)

    async def known(self, ids: Sequence[str]) -> Mapping[str, cleanup.KnownCanary]:
        """Tell which of these canaries are on record, and what recognition must hold against them."""
        return await self.read(lambda connection: cleanup.known(connection, ids))

    async def deletable(self, mailbox: str, *, before: float, limit: int = 200) -> list[Stored]:
        """List messages of our own in a mailbox that were seen before *before* and are still there."""
        return await self.read(lambda connection: cleanup.deletable(connection, mailbox, before, limit))

    async def deleted(self, stored: Sequence[Stored], *, at: float) -> None:
        """Write down that these messages are gone."""
        await self._writer.do(lambda transaction: cleanup.deleted(transaction, stored, at=at))

    async def silence(self, silence: Silence) -> None:
        """Write a silence down."""
        await self._writer.do(lambda transaction: silences.create(transaction.connection, silence))

    async def end_silence(self, name: str, *, author: str, at: float) -> Silence | None:
        """End a silence at *at* (Unix time); None if none of that id is in force or to come."""
        return await self._writer.do(
            lambda transaction: silences.end(transaction.connection, name, author=author, at=at)
        )

    async def silences(self, *, ending_after: float) -> Sequence[Silence]:
        """List the silences that end after *ending_after* (Unix time), in the order of their beginning."""
        return await self.read(lambda connection: silences.listed(connection, ending_after=ending_after))

    async def snapshot(self) -> Snapshot:
        """Take one consistent picture."""
        return await self.read(pictures.take)

    async def verify(self) -> list[str]:
        """List what does not add up in the books."""
        return await self.read(verify.problems)

    async def prune(self, *, now: float, keep: Retention) -> int:
        """Let go of old evidence and rows, a little at a time; return how many went."""
        return await self._writer.do(lambda transaction: retention.prune(transaction.connection, now=now, keep=keep))

    async def past(self, query: Callable[[History], T]) -> T:
        """Ask about the past, in a thread, all from one transaction.

        Raises:
            LedgerError: the database says no.
        """
        return await self.read(lambda connection: query(History(connection)))

    async def ask(self, query: Callable[[Questions], T]) -> T:
        """Ask what a page shows, in a thread, all from one transaction.

        Raises:
            LedgerError: the database says no.
        """
        return await self.read(lambda connection: query(Questions(connection)))

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run *query* in a reading transaction, in a thread.

        Raises:
            LedgerError: the database says no.
        """
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, query)

    async def write(self, work: Work[T]) -> T:
        """Run *work* in the writing thread; when this returns, it is on the disk.

        Raises:
            LedgerError: it could not be written; nothing of it was.
        """
        return await self._writer.do(work)

    def _read(self, query: Callable[[Connection], T]) -> T:
        try:
            with self._reading.begin() as connection:
                return query(connection)
        except SQLAlchemyError as error:
            raise LedgerError.of(error) from None

    def _engine(self, engine: Engine) -> Engine:
        self._stack.callback(engine.dispose)
        return engine
