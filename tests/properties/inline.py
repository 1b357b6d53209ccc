"""The real ledger without its threads, able to fail on demand, and heard by the witness."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from properties.witness import Witness
from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from agent.ledger import Judgement, Ledger, LookRecord
from agent.ledger.writer import Transaction
from checks.core.model import Attempt, Canary, Conclusion

T = TypeVar("T")
LEDGER_FILE = "ledger.db"


@dataclass(slots=True)
class _Request:
    work: Callable[[Transaction], Any]
    future: asyncio.Future[Any]
    committed: Callable[[Any], None] | None

    def settle(self, result: Any, error: BaseException | None) -> None:
        if error is None and self.committed is not None:
            self.committed(result)
        self.future.get_loop().call_soon(self._tell, result, error)

    def _tell(self, result: Any, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class InlineLedger(Ledger):
    """The real ledger in the thread of the event loop, so that a history runs the same way twice.

    The group commit stays: what is asked for in one round of the loop is committed together at its end. `trouble`
    makes the database fail when a transaction begins ("locked") or when it is committed ("full").
    """

    def __init__(self, folder: Path, witness: Witness) -> None:
        super().__init__(f"sqlite:///{folder / LEDGER_FILE}")
        self.file = folder / LEDGER_FILE
        self.trouble = ""
        self._witness = witness
        self._asked: list[_Request] = []
        self._hears: Callable[[Any], None] | None = None  # is told when what is asked for next is committed

    def __enter__(self) -> InlineLedger:
        super().__enter__()
        engine = self._writer._engine
        event.listen(engine, "connect", _without_syncing)
        engine.dispose()  # of the connection that brought the tables up to date
        event.listen(engine, "begin", self._at_begin, insert=True)
        event.listen(engine, "commit", self._at_commit)
        self._writer.do = self._do  # type: ignore[method-assign,assignment]
        return self

    async def read(self, query: Callable[[Connection], T]) -> T:
        await asyncio.sleep(0)
        answer = self._read(query)
        await asyncio.sleep(0)
        return answer

    async def configure(self, *, thresholds: Sequence[float], **known: Any) -> None:
        self._hears = lambda _: self._witness.bounded(thresholds)
        await super().configure(thresholds=thresholds, **known)

    async def start(self, canary: Canary) -> None:
        self._hears = lambda _: self._witness.started(canary)
        await super().start(canary)

    async def attempted(self, canary: Canary, attempt: Attempt, *, online: bool, at: float) -> None:
        self._hears = lambda _: self._witness.attempted(canary.id)
        await super().attempted(canary, attempt, online=online, at=at)

    async def looked(self, look: LookRecord) -> bool:
        self._hears = lambda _: self._witness.looked(look)
        return await super().looked(look)

    async def judged(self, judgements: Sequence[Judgement], *, at: float) -> list[Conclusion]:
        self._hears = self._witness.concluded
        return await super().judged(judgements, at=at)

    async def _do(self, work: Callable[[Transaction], T]) -> T:
        loop = asyncio.get_running_loop()
        request = _Request(work, loop.create_future(), self._hears)
        self._hears = None
        if not self._asked:
            loop.call_soon(self.flush)
        self._asked.append(request)
        return await request.future

    def flush(self) -> None:
        """Commit what was asked for."""
        together, self._asked = self._asked, []
        if together:
            self._witness.commits += 1
            self._writer._commit(together)  # type: ignore[arg-type]

    def forget(self) -> None:
        """Lose what was asked for and is not committed."""
        self._asked = []

    def _at_begin(self, _connection: Connection) -> None:
        if self.trouble == "locked":
            raise OperationalError("BEGIN IMMEDIATE", {}, sqlite3.OperationalError("database is locked"))

    def _at_commit(self, _connection: Connection) -> None:
        if self.trouble == "full":
            raise OperationalError("COMMIT", {}, sqlite3.OperationalError("database or disk is full"))


def _without_syncing(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")  # kill -9 loses nothing that was written; power cuts are not simulated
