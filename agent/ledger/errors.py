"""What can go wrong with the ledger."""

from __future__ import annotations


class LedgerError(Exception):
    """The ledger cannot be read or written, in one sentence for the operator."""

    @classmethod
    def of(cls, error: BaseException) -> LedgerError:
        """Say what the database said, without the statement and its values."""
        said = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
        return cls(f"the ledger cannot be used: {said.splitlines()[0]}")


class LedgerInUse(LedgerError):
    """Another agent works with the same SQLite ledger."""


class LedgerTooNew(LedgerError):
    """The ledger was written by a later version."""
