"""What became of the pages of each channel: counted like everything else, in the transaction that changes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite

from agent.ledger.schema import channels, pages
from agent.ledger.writer import Transaction

NOTIFICATIONS = "notifications"
"""Running total of a channel, by `result`."""
RESULTS = ("sent", "failed", "superseded", "abandoned")
"""What can become of a page, or of an attempt to send it."""
BEATS = ("sent", "failed", "withheld")
"""What can become of a heartbeat."""

IS_WAITING = pages.c.state == literal_column("'waiting'")
"""The condition of the partial index, word for word: a bound value would not use it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """How a channel does: how many pages wait for it, and when it last took something (Unix time; None: never)."""

    waiting: int = 0
    success_wall: float | None = None


def count(transaction: Transaction, channel: str, result: str, by: int = 1) -> None:
    """Count what became of pages."""
    transaction.changes.count(channel, NOTIFICATIONS, {"result": result}, by)


def succeeded(transaction: Transaction, channel: str, wall: float) -> None:
    """Note that a channel took something, and count it."""
    dialect = postgresql if transaction.connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(channels).values(name=channel, success_wall=wall)
    transaction.connection.execute(
        statement.on_conflict_do_update(index_elements=[channels.c.name], set_={"success_wall": wall})
    )
    count(transaction, channel, "sent")


def outboxes(connection: Connection) -> Mapping[str, Outbox]:
    """Tell how every channel does that ever had something to do."""
    number = select(pages.c.channel, func.count()).where(IS_WAITING).group_by(pages.c.channel)
    waiting: dict[str, int] = {row[0]: row[1] for row in connection.execute(number)}
    success: dict[str, float] = {row.name: row.success_wall for row in connection.execute(select(channels))}
    return {
        name: Outbox(waiting=waiting.get(name, 0), success_wall=success.get(name))
        for name in sorted({*waiting, *success})
    }
