"""A copy of the ledger, made while the agent goes on writing."""

from __future__ import annotations

from pathlib import Path

from agent.ledger import connect, copying
from agent.ledger.errors import LedgerError
from agent.ledger.versions import versions


def backup(url: str, file: Path) -> int:
    """Copy the SQLite ledger at *url* to *file*, as it is at one moment; return the number of canaries in the copy.

    The copy is one file that only its owner may read, has been examined, and appears under its name when it is whole
    and on the disk.

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
    with copying.new_file(file) as unfinished:
        return copying.copy(url, unfinished, versions)
