"""One thread that writes: what is asked for at the same time is committed together, and told once it is durable."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from agent.ledger.errors import LedgerError
from agent.ledger.totals import Changes, apply

_MOST_TOGETHER = 256


@dataclass(slots=True)
class Transaction:
    """What a piece of work may use: the connection, and totals that are added if it succeeds."""

    connection: Connection
    changes: Changes = field(default_factory=Changes)


T = TypeVar("T")
Work = Callable[[Transaction], T]


@dataclass(slots=True)
class _Request:
    work: Work[Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop

    def settle(self, result: Any, error: BaseException | None) -> None:
        """Hand the answer over to the event loop that waits for it, which may be gone."""
        try:
            self.loop.call_soon_threadsafe(self._tell, result, error)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return

    def _tell(self, result: Any, error: BaseException | None) -> None:
        if self.future.done():
            return
        if isinstance(error, StopIteration):  # a future does not take it, and whoever waits would do so for ever
            self.future.set_exception(RuntimeError("a piece of work ended with StopIteration"))
        elif error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class Writer:
    """Runs pieces of work in order, many to a transaction (group commit), each in a savepoint of its own.

    A piece of work that fails takes nothing from its neighbours, unless the database gave up the whole transaction:
    then all of them failed, and each is told so. *may_write* is asked in each transaction: it raises
    LedgerError if not.
    """

    def __init__(self, engine: Engine, bounds: Sequence[float], may_write: Callable[[], None]) -> None:
        self._engine = engine
        self._may_write = may_write
        self._bounds = bounds
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()
        self.errors = 0

    async def do(self, work: Work[T]) -> T:
        """Run *work* in the writing thread and return its result once it is committed.

        Raises:
            LedgerError: it could not be written; nothing of it was.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._requests.put(_Request(work, future, loop))
        return await future

    def close(self) -> None:
        """Finish what was asked for, then stop the thread."""
        self._requests.put(None)
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while (first := self._requests.get()) is not None:
            together, last = self._gather(first)
            self._commit(together)
            if last:
                return

    def _gather(self, first: _Request) -> tuple[list[_Request], bool]:
        """Take what else is waiting; tell whether the end was among it."""
        together = [first]
        while len(together) < _MOST_TOGETHER:
            try:
                request = self._requests.get_nowait()
            except queue.Empty:
                break
            if request is None:
                return together, True
            together.append(request)
        return together, False

    def _commit(self, together: Sequence[_Request]) -> None:
        answers: list[tuple[Any, BaseException | None]] = []
        changes = Changes()
        try:
            with self._engine.begin() as connection:
                self._may_write()  # whoever is let in from now on waits for this transaction
                answers = [self._one(connection, request.work, changes) for request in together]
                apply(connection, changes, self._bounds)
        except Exception as error:  # noqa: BLE001 - a defect must not end the thread that everybody waits for
            self.errors += 1
            failed = error if isinstance(error, LedgerError) else LedgerError.of(error)
            answers = [(None, failed)] * len(together)
        else:
            self._bounds = changes.buckets or self._bounds
        for request, (result, error_) in zip(together, answers, strict=True):
            request.settle(result, error_)

    def _one(self, connection: Connection, work: Work[Any], changes: Changes) -> tuple[Any, BaseException | None]:
        transaction = Transaction(connection)
        try:
            with connection.begin_nested():
                result = work(transaction)
        except SQLAlchemyError as error:
            if _given_up(connection):
                raise _first(error) from None
            self.errors += 1
            return None, LedgerError.of(error)
        except Exception as error:  # noqa: BLE001 - a defect in one piece of work is its caller's, not its neighbours'
            return None, error
        changes.merge(transaction.changes)
        return result, None


def _given_up(connection: Connection) -> bool:
    """Tell whether the transaction is gone, with everything in it.

    SQLite answers a full disk or a failed read that way ("Response To Errors Within A Transaction" in its manual): the
    savepoints vanish, and what is written next would be committed piece by piece.
    """
    return not getattr(connection.connection.dbapi_connection, "in_transaction", True)


def _first(error: SQLAlchemyError) -> SQLAlchemyError:
    """Find what went wrong first: going back to a savepoint that has vanished fails too, and says less."""
    first, link = error, error.__context__
    while link is not None:
        if isinstance(link, SQLAlchemyError):
            first = link
        link = link.__context__
    return first
