"""Prune a ledger from outside the agent, beside it or while there is none."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from agent.ledger import connect, copying, hold
from agent.ledger.errors import LedgerError, LedgerInUse
from agent.ledger.retention import Retention, count_old, prune
from agent.ledger.schema import canaries, runs
from agent.ledger.versions import versions

_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """What is to go: `canaries` and pieces of `evidence`. `alone` tells whether no agent uses the ledger."""

    url: str
    alone: bool
    canaries: int
    evidence: int
    _engine: Engine
    _reading: Engine
    _now: float
    _keep: Retention

    def step(self) -> int:
        """Delete a little, in a transaction so short that an agent does not notice; return how much, 0 at the end.

        Raises:
            LedgerError: the database says no.
        """
        try:
            with self._engine.begin() as connection:
                return prune(connection, now=self._now, keep=self._keep, limit=_AT_ONCE)
        except SQLAlchemyError as error:
            raise LedgerError.of(error) from None

    def left(self) -> int:
        """Count the canaries that are on record.

        Raises:
            LedgerError: the database says no.
        """
        try:
            with self._reading.connect() as connection:
                return int(connection.execute(select(func.count()).select_from(canaries)).scalar_one())
        except SQLAlchemyError as error:
            raise LedgerError.of(error) from None

    def compact(self) -> None:
        """Write the file anew without the room that was freed, which is otherwise used again by what comes.

        Raises:
            LedgerInUse: an agent is at work with the ledger: it could not write meanwhile.
            LedgerError: it is no SQLite ledger, or there is no room for the new file.
        """
        file = connect.sqlite_file(self.url)
        if file is None:
            raise LedgerError("only a SQLite ledger is compacted in this way: use the tools of the database")
        if not self.alone:
            raise LedgerInUse("an agent is at work with the ledger, and could not write meanwhile: stop it to compact")
        copying.need_room(file, file.resolve().parent, 2, "compacting the ledger")
        try:
            with closing(sqlite3.connect(file)) as connection:
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise LedgerError.of(error) from None


@contextmanager
def pruning(url: str, *, wall: float, keep: Retention) -> Iterator[Pruning]:
    """Open a ledger to let go of what is older than *keep* at *wall*, in Unix time.

    Raises:
        LedgerError: there is no such ledger, it is not ours, of another version, or cannot be written.
    """
    file = connect.sqlite_file(url)
    if file is not None and not file.is_file():
        raise LedgerError(f"there is no ledger at {file}: has the agent run yet?")
    with ExitStack() as stack:
        try:
            stack.enter_context(hold.exclusively(url))
            alone = file is not None
        except LedgerInUse:
            alone = False
        reading = connect.readers(url)  # counting takes a while, and must not keep an agent from writing
        stack.callback(reading.dispose)
        try:
            now, (rows, pieces) = _look(reading, wall, keep)
        except SQLAlchemyError as error:
            raise LedgerError.of(error) from None
        engine = connect.connect(url)
        stack.callback(engine.dispose)
        yield Pruning(
            url=url, alone=alone, canaries=rows, evidence=pieces, _engine=engine, _reading=reading, _now=now, _keep=keep
        )


def _look(engine: Engine, wall: float, keep: Retention) -> tuple[float, tuple[int, int]]:
    """Tell the present on the steady timeline of the ledger, and how much is older than *keep*."""
    with engine.connect() as connection:
        version, head = versions(connection)
        if version != head:
            message = f"the ledger has version {version}, and this agent needs version {head}"
            raise LedgerError(f"{message}: `relaycanary ledger upgrade` brings it up to date")
        newest = select(runs.c.began_wall - runs.c.began_at).where(~runs.c.simulated).order_by(runs.c.id.desc())
        offset = float(connection.execute(newest.limit(1)).scalar() or 0.0)
        now = wall - offset
        return now, count_old(connection, now=now, keep=keep)
