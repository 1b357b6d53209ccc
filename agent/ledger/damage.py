"""A SQLite ledger that is damaged is put aside, whole and under another name, so that the agent can go on."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from agent.ledger import connect
from agent.ledger.copying import BESIDE
from agent.ledger.errors import LedgerError

_HEADER = b"SQLite format 3\0"  # https://www.sqlite.org/fileformat2.html#magic_header_string
_STEPS = 10_000  # of SQLite's virtual machine, between two looks at how much was done
_MOST_CALLS = 5_000  # a few seconds: a start shall not wait for the examination of a ledger of many gigabytes
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """What was found, and where the ledger lies now."""

    found: str
    file: Path


def set_aside_if_damaged(url: str) -> Damaged | None:
    """Examine a SQLite ledger that nobody uses, as far as a few seconds go; rename it and its journals if it is broken.

    A file that never was a database is left alone: whoever opens it is told so.

    Raises:
        LedgerError: it is damaged and cannot be renamed.
    """
    file = connect.sqlite_file(url)
    if file is None or not file.is_file() or (found := _damage(file)) is None:
        return None
    real = file.resolve()
    aside = free_name(real, "damaged")
    rename(real, aside)
    return Damaged(found=found, file=aside)


def free_name(file: Path, word: str) -> Path:
    """Find a name that neither a ledger nor a file beside one has: `ledger.db.WORD-1`, or a higher number."""
    names = (file.with_name(f"{file.name}.{word}-{number}") for number in itertools.count(1))
    return next(name for name in names if not any(Path(f"{name}{ending}").exists() for ending in BESIDE))


def rename(file: Path, aside: Path, endings: Sequence[str] = BESIDE) -> None:
    """Rename a ledger and the files beside it, its journals first.

    Raises:
        LedgerError: the system says no.
    """
    try:
        for ending in reversed(endings):
            if (part := Path(f"{file}{ending}")).exists():
                part.rename(f"{aside}{ending}")
    except OSError as error:
        raise LedgerError(f"cannot rename {file} to {aside}: {error.strerror}") from None


def _damage(file: Path) -> str | None:
    try:
        with file.open("rb") as content:
            header = content.read(len(_HEADER))
    except OSError:
        return None  # opening it will tell
    if not header or (header != _HEADER and header.strip(b"\0")):
        return None
    calls = itertools.count(1)
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            connection.set_progress_handler(lambda: next(calls) > _MOST_CALLS, _STEPS)
            return next(_defects(connection), None)
    except sqlite3.Error as error:
        return str(error) if error.sqlite_errorcode & 0xFF in _DAMAGE else None


def _defects(connection: sqlite3.Connection) -> Iterator[str]:
    for (line,) in connection.execute("PRAGMA quick_check(1)"):
        if line != "ok":
            yield line.splitlines()[-1]
