"""Open the database, with the settings that make it durable."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url

from agent.ledger.errors import LedgerError

_BUSY_MS = 10_000


def sqlite_file(url: str) -> Path | None:
    """Tell the file of a SQLite ledger; None for any other database."""
    parsed = make_url(url)
    if not parsed.drivername.startswith("sqlite") or not parsed.database:
        return None
    return Path(parsed.database)


def connect(url: str, *, read_only: bool = False) -> Engine:
    """Make an engine.

    Raises:
        LedgerError: there is no such ledger, or its folder cannot be made.
    """
    path = sqlite_file(url)
    if path is None:
        return create_engine(url, pool_pre_ping=True)
    if read_only:
        if not path.exists():
            raise LedgerError(f"there is no ledger at {path}: has the agent run yet?")
        engine = create_engine(f"sqlite:///file:{path.absolute()}?mode=ro&uri=true")
    else:
        make_folder(path)
        make_private(path)
        engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_reading if read_only else _begin_writing)
    return engine


def readers(url: str) -> Engine:
    """Make an engine for reading beside a writer of the same process: its transactions never wait for a lock."""
    path = sqlite_file(url)
    if path is None:
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_reading)
    return engine


def make_folder(path: Path) -> None:
    """Make the folder that the ledger at *path* lies in.

    Raises:
        LedgerError: it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise LedgerError(f"cannot make the folder of the ledger: {path.parent}: {error.strerror}") from None


def make_private(path: Path) -> None:
    """Make an empty file that only its owner may read; SQLite gives the files beside it the same rights.

    Raises:
        LedgerError: it cannot be made.
    """
    if not path.exists():
        try:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            hand_over(path)
        except OSError as error:
            raise LedgerError(f"cannot make {path}: {error.strerror}") from None


def hand_over(path: Path) -> None:
    """Give a file that root has made to the owner of its folder: what root runs must not shut the agent out."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # there is no such thing on Windows
        folder = path.parent.stat()
        with suppress(PermissionError):  # root may not on every file system
            os.chown(path, folder.st_uid, folder.st_gid)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver shall not begin transactions of its own: see _begin_*
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_BUSY_MS}"):
        try:
            cursor.execute(f"PRAGMA {pragma}")
        except connection.OperationalError:  # a read-only file cannot change its journal: it need not
            continue
    cursor.close()


def _begin_reading(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN")


def _begin_writing(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
