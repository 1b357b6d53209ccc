"""Bring the tables of a ledger up to date; what a SQLite ledger was before stays beside it as a copy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from agent.ledger import connect, copying
from agent.ledger.errors import LedgerError
from agent.ledger.versions import MIGRATIONS, versions

_ROOM = 3  # times its size: the copy, and tables that a migration writes anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgraded:
    """The versions before (None for an empty database) and after, and the copy that was kept, if there is one."""

    before: str | None
    after: str
    copy: Path | None = None


def upgrade(engine: Engine, kept: str | None = None) -> Upgraded:
    """Bring the tables up to date of the ledger that *engine* may write; with its URL *kept*, keep a copy.

    The copy is `ledger.db.version-NNNN`, beside the ledger; of several upgrades from one version, the last one's.

    Raises:
        LedgerError: as `versions`, there is no room for the copy, or the database says no.
    """
    try:
        with engine.connect() as connection:
            before, head = versions(connection)
            if before == head:
                return Upgraded(before=before, after=head)
            copy = _keep(kept, before) if kept and before else None
            config = Config()
            config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except SQLAlchemyError as error:
        raise LedgerError.of(error) from None
    return Upgraded(before=before, after=head, copy=copy)


def _keep(url: str, version: str) -> Path | None:
    ledger = connect.sqlite_file(url)
    if ledger is None:
        return None  # whoever runs a database server has its backups
    copying.need_room(ledger, ledger.resolve().parent, _ROOM, "bringing the ledger up to date, with a copy of it kept,")
    copy = ledger.with_name(f"{ledger.name}.version-{version}")
    with copying.new_file(copy) as unfinished:
        copying.copy(url, unfinished, versions)
    return copy
