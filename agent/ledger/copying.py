"""One file that is what a SQLite ledger is at one moment: made while others write, examined, and whole or not there."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from agent.ledger import connect
from agent.ledger.errors import LedgerError

BESIDE = ("", "-wal", "-shm", "-journal")
"""What is appended to the name of a SQLite file for each of the files that it may consist of."""

_MEGABYTE = 1_000_000


@contextmanager
def new_file(file: Path) -> Iterator[Path]:
    """Give a file beside *file* to write into; it takes the name *file* at the end, once it is on the disk.

    Only its owner may read it. Where the body raises, nothing is left of it.

    Raises:
        LedgerError: it cannot be written.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # mode 600
        os.close(descriptor)
    except OSError as error:
        raise LedgerError(f"cannot write into {file.parent}: {error.strerror}") from None
    unfinished = Path(name)
    try:
        yield unfinished
        connect.hand_over(unfinished)
        _put_on_disk(unfinished, os.O_RDWR)
        unfinished.replace(file)
        with suppress(PermissionError):  # Windows opens no folders
            _put_on_disk(file.parent, os.O_RDONLY)
    except OSError as error:
        raise LedgerError(f"cannot write {file}: {error.strerror}") from None
    finally:
        for ending in BESIDE:
            Path(f"{name}{ending}").unlink(missing_ok=True)


def copy(url: str, to: Path, allowed: Callable[[Connection], object]) -> int:
    """Write the ledger at *url* into the empty file *to*; return the number of its canaries.

    Neither an agent nor its writing is held up (https://www.sqlite.org/backup.html). *allowed* raises where the
    ledger is not one to copy.

    Raises:
        LedgerError: it is not ours or damaged, or there is no room.
    """
    engine = connect.connect(url, read_only=True)
    try:
        with engine.connect() as connection, closing(sqlite3.connect(to)) as target:
            allowed(connection)
            driver: Any = connection.connection.driver_connection
            # All pages in one step: between steps, the agent's writing would make it begin again and again.
            driver.backup(target, pages=-1)
            target.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it that could be forgotten
            _examine(target)
            has_canaries = target.execute("SELECT 1 FROM sqlite_master WHERE name = 'canaries'").fetchone()
            (count,) = target.execute("SELECT count(*) FROM canaries").fetchone() if has_canaries else (0,)
            return int(count)
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise LedgerError.of(error) from None
    finally:
        engine.dispose()


def need_room(file: Path, folder: Path, times: int, why: str) -> None:
    """Refuse to begin what needs *times* the room of the ledger in *file* where *folder* has less.

    Raises:
        LedgerError: there is too little room.
    """
    needed = times * sum(one.stat().st_size for ending in BESIDE if (one := Path(f"{file}{ending}")).is_file())
    free = shutil.disk_usage(folder).free
    if free < needed:
        room = f"{needed / _MEGABYTE:,.1f} MB in {folder}, where {free / _MEGABYTE:,.1f} MB are free"
        raise LedgerError(f"{why} needs {room}; nothing was changed")


def _examine(target: sqlite3.Connection) -> None:
    found = [line for (line,) in target.execute("PRAGMA integrity_check(1)") if line != "ok"]
    if found:
        raise LedgerError(f"the ledger is damaged, and so was the copy, which is not kept: {found[0].splitlines()[0]}")


def _put_on_disk(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
