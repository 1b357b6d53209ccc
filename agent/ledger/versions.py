"""Which version the tables of a ledger have, and which one this agent needs."""

from __future__ import annotations

from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from agent.ledger.errors import LedgerError, LedgerTooNew

MIGRATIONS = Path(__file__).parent / "migrations"


def versions(connection: Connection) -> tuple[str | None, str]:
    """Tell the version of the tables (None for an empty database), and the one that this agent needs.

    Raises:
        LedgerTooNew: a later version of the agent wrote the ledger.
        LedgerError: the database holds something else.
    """
    script = ScriptDirectory(str(MIGRATIONS))
    head = script.get_current_head() or ""
    found = MigrationContext.configure(connection).get_current_revision()
    if found is None and inspect(connection).get_table_names():
        raise LedgerError("this is not a ledger of relaycanary: the database has tables of something else")
    if found is not None and found not in {revision.revision for revision in script.walk_revisions()}:
        message = f"the ledger has version {found}, which this agent does not know (it knows {head})"
        raise LedgerTooNew(f"{message}: upgrade the agent, or use a ledger of its own")
    return found, head
