"""What can go wrong with the ledger."""

from __future__ import annotations

import sqlite3

_CODE = 0xFF  # what is above it says more about it (https://www.sqlite.org/rescode.html)
_DAMAGED = ": it is damaged; put a backup in its place with `relaycanary ledger restore`"


class LedgerError(Exception):
    """The ledger cannot be read or written, in one sentence for the operator."""

    @classmethod
    def of(cls, error: BaseException) -> LedgerError:
        """Say what the database said, without the statement and its values."""
        original = getattr(error, "orig", None) or error
        said = (str(original).strip() or type(error).__name__).splitlines()[0]
        damaged = getattr(original, "sqlite_errorcode", 0) & _CODE == sqlite3.SQLITE_CORRUPT
        return cls(f"the ledger cannot be used: {said}{_DAMAGED if damaged else ''}")


class LedgerInUse(LedgerError):
    """Another agent works with the same SQLite ledger."""


class LedgerTooNew(LedgerError):
    """The ledger was written by a later version."""
