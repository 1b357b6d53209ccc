"""A copy of the ledger, made while the agent goes on writing."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from agent.ledger import connect
from agent.ledger.errors import LedgerError

_MOST_DEFECTS = 20


def backup(url: str, file: Path) -> int:
    """Copy the SQLite ledger at *url* to *file*, as it is at one moment; return the number of canaries in the copy.

    Neither the agent nor its writing is held up (https://www.sqlite.org/backup.html). The copy is one file that only
    its owner may read, has been examined, and appears under its name when it is whole and on the disk.

    Raises:
        LedgerError: there is no such ledger, it is not ours or damaged, or the copy cannot be written.
    """
    source = connect.sqlite_file(url)
    if source is None:
        raise LedgerError("only a SQLite ledger is copied in this way: use the tools of the database")
    if not source.is_file():
        raise LedgerError(f"there is no ledger at {source}: has the agent run yet?")
    if file.exists():
        raise LedgerError(f"{file} is there already: a backup never replaces a file")
    try:
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # mode 600
        os.close(descriptor)
    except OSError as error:
        raise LedgerError(f"cannot write into {file.parent}: {error.strerror}") from None
    unfinished = Path(name)
    try:
        count = _copy(url, unfinished)
        _put_on_disk(unfinished, os.O_RDWR)
        unfinished.replace(file)
        with suppress(PermissionError):  # Windows opens no folders
            _put_on_disk(file.parent, os.O_RDONLY)
    except OSError as error:
        raise LedgerError(f"cannot write {file}: {error.strerror}") from None
    finally:
        for one in (unfinished, Path(f"{name}-journal"), Path(f"{name}-wal"), Path(f"{name}-shm")):
            one.unlink(missing_ok=True)
    return count


def _copy(url: str, to: Path) -> int:
    engine = connect.connect(url, read_only=True)
    try:
        with engine.connect() as connection, closing(sqlite3.connect(to)) as copy:
            connect.versions(connection)
            driver: Any = connection.connection.driver_connection
            # All pages in one step: between steps, the agent's writing would make it begin again and again.
            driver.backup(copy, pages=-1)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it that could be forgotten
            _examine(copy)
            (count,) = copy.execute("SELECT count(*) FROM canaries").fetchone()
            return int(count)
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise LedgerError.of(error) from None
    finally:
        engine.dispose()


def _examine(copy: sqlite3.Connection) -> None:
    found = [line for (line,) in copy.execute(f"PRAGMA integrity_check({_MOST_DEFECTS})") if line != "ok"]
    if found:
        raise LedgerError(f"the ledger is damaged, and so was the copy, which is not kept: {found[0].splitlines()[0]}")


def _put_on_disk(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
