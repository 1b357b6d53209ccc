"""Put a copy of the ledger in the place of the one that is there, and mark the moment."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from agent.ledger import beginning, connect, copying, hold, verify
from agent.ledger.beginning import Beginning
from agent.ledger.copying import BESIDE
from agent.ledger.damage import free_name, rename
from agent.ledger.errors import LedgerError
from agent.ledger.schema import canaries
from agent.ledger.upgrade import upgrade
from agent.ledger.versions import versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """How many canaries the ledger has now, how many of them are on their way, and where the one before it lies."""

    canaries: int
    in_flight: int
    set_aside: Path | None


def restore(url: str, file: Path, *, wall: float, tell: Callable[[str], None]) -> Restored:
    """Make the ledger in *file*, a backup, the one at *url*; *wall* is the Unix time, *tell* hears what is done.

    The copy is examined, brought up to date and its books are checked before anything is touched; *file* stays as it
    is. At any moment there is a whole ledger at its place, this one or the one before.

    Raises:
        LedgerInUse: an agent is at work with the ledger.
        LedgerError: *file* is no whole ledger, is too new, or cannot be put there.
    """
    place = connect.sqlite_file(url)
    if place is None:
        raise LedgerError("only a SQLite ledger is restored in this way: use the tools of the database")
    if not file.is_file():
        raise LedgerError(f"there is no backup at {file}")
    if place.exists() and place.samefile(file):
        raise LedgerError(f"{file} is the ledger itself")
    with hold.exclusively(url):
        real = place.resolve()
        copying.need_room(file, real.parent, 2, "restoring it")
        with copying.new_file(real) as unfinished:
            tell(f"copying {file}")
            copied = copying.copy(f"sqlite:///{file}", unfinished, _is_a_ledger)
            tell("holding its books against the rows")
            in_flight = _begin_anew(f"sqlite:///{unfinished}", wall)
            aside = _keep_the_old(real)
    return Restored(canaries=copied, in_flight=in_flight, set_aside=aside)


def _is_a_ledger(connection: Connection) -> None:
    found, _ = versions(connection)
    if found is None:
        raise LedgerError("this is not a ledger of relaycanary: it has no tables")


def _begin_anew(url: str, wall: float) -> int:
    """Bring the copy up to date and mark the moment in it; return how many canaries are on their way."""
    engine = connect.connect(url)
    try:
        upgrade(engine)
        with engine.begin() as connection:
            _right(connection)
            at = max(wall, beginning.newest_moment(connection))
            beginning.begin_anew(connection, Beginning(at=at, wall=wall))
            _right(connection)
            in_flight = connection.execute(select(func.count()).where(canaries.c.outcome.is_(None))).scalar_one()
    except SQLAlchemyError as error:
        raise LedgerError.of(error) from None
    finally:
        engine.dispose()
    _in_one_file(Path(url.removeprefix("sqlite:///")))
    return int(in_flight)


def _right(connection: Connection) -> None:
    if problems := verify.problems(connection):
        raise LedgerError(f"the books of the backup are not right, and it is not restored: {problems[0]}")


def _keep_the_old(ledger: Path) -> Path | None:
    """Give the ledger that is there a second name, which it keeps when the new one takes its own."""
    if not ledger.exists():
        return None
    with suppress(LedgerError):  # a damaged one cannot be tidied, and is put aside with its journals
        _in_one_file(ledger)
    aside = free_name(ledger, "before-restore")
    rename(ledger, aside, BESIDE[1:])
    try:
        os.link(ledger, aside)
    except OSError:  # not every file system has links
        rename(ledger, aside)
    return aside


def _in_one_file(ledger: Path) -> None:
    """Have SQLite write what is in its journals into the file itself."""
    try:
        with closing(sqlite3.connect(ledger)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise LedgerError.of(error) from None
