"""The outbox of pages: what waits for a channel, and what became of it. Sent at least once, and given up aloud."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, case, delete, func, insert, select, update

from agent.ledger.notified import IS_WAITING, NOTIFICATIONS, count, succeeded
from agent.ledger.schema import channels, incidents, meta, pages, totals
from agent.ledger.writer import Transaction

_LONGEST_PROBLEM = 300
_RENAMED = "channels_renamed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingPage:
    """A page that is to be sent. `attempts` counts those that failed; `written_wall` is Unix time."""

    seq: int
    incident: str
    channel: str
    event: str
    content: str
    written_wall: float
    attempts: int


def next_page(
    connection: Connection, channel: str, now: float, *, but: Collection[int] = ()
) -> tuple[WaitingPage | None, float | None]:
    """Return the page for *channel* that is due and most urgent; or, where none is, when the next one will be due.

    Of the pages with the numbers in *but* nothing is known here yet: they are passed over.
    """
    mine = (pages.c.channel == channel) & IS_WAITING & pages.c.seq.not_in(list(but))
    urgency = case({"critical": 0, "warning": 1}, value=pages.c.severity, else_=2)
    row = connection.execute(
        select(*(pages.c[name] for name in WaitingPage.__dataclass_fields__))
        .where(mine, pages.c.due_at <= now)
        .order_by(urgency, pages.c.seq)
        .limit(1)
    ).one_or_none()
    if row is not None:
        return WaitingPage(**row._asdict()), None
    return None, connection.execute(select(func.min(pages.c.due_at)).where(mine)).scalar()


def retry_all(transaction: Transaction, channel: str, *, at: float) -> None:
    """Make everything that waits for *channel* due: its settings may be right now, or the agent was away."""
    connection = transaction.connection
    connection.execute(update(pages).where(pages.c.channel == channel, IS_WAITING).values(due_at=at))


def sent(transaction: Transaction, page: WaitingPage, *, wall: float) -> None:
    """Write down that a channel took a page, superseded meanwhile or not."""
    values = {"state": "sent", "sent_wall": wall, "attempts": page.attempts + 1, "problem": None}
    transaction.connection.execute(update(pages).where(pages.c.seq == page.seq).values(**values))
    succeeded(transaction, page.channel, wall)


def not_sent(transaction: Transaction, page: WaitingPage, why: str, *, due_at: float | None) -> None:
    """Write down that a channel did not take a page; it is tried again at *due_at*, or given up where that is None."""
    values = {"attempts": page.attempts + 1, "problem": why[:_LONGEST_PROBLEM]}
    this = pages.c.seq == page.seq
    transaction.connection.execute(update(pages).where(this).values(**values))
    count(transaction, page.channel, "failed")
    if due_at is not None:
        transaction.connection.execute(update(pages).where(this, IS_WAITING).values(due_at=due_at))
    elif transaction.connection.execute(update(pages).where(this, IS_WAITING).values(state="abandoned")).rowcount:
        count(transaction, page.channel, "abandoned")


def abandon(transaction: Transaction, kept: Collection[str]) -> dict[str, int]:
    """Give up what waits for channels that are no longer among those *kept*; return how many pages, by channel."""
    connection = transaction.connection
    foreign = pages.c.channel.not_in(list(kept)) & IS_WAITING
    rows = connection.execute(select(pages.c.channel, func.count()).where(foreign).group_by(pages.c.channel)).all()
    connection.execute(update(pages).where(foreign).values(state="abandoned"))
    for channel, number in rows:
        count(transaction, channel, "abandoned", number)
    return {row[0]: row[1] for row in rows}


def take_back(transaction: Transaction, channel: str, severities: Collection[str], *, end: str) -> int:
    """Take back what waits for a channel that is not told of these *severities* any more; return how many pages.

    Whoever was told that something began is told of its *end*, whatever the severity.
    """
    one = pages.alias()
    told = select(one.c.seq).where(
        one.c.incident == pages.c.incident, one.c.channel == pages.c.channel, one.c.state == "sent"
    )
    unwanted = (pages.c.channel == channel) & IS_WAITING & pages.c.severity.in_(list(severities))
    unwanted &= (pages.c.event != end) | ~told.exists()
    number = transaction.connection.execute(update(pages).where(unwanted).values(state="taken_back")).rowcount
    if number:
        count(transaction, channel, "superseded", number)
    return number


def rename(transaction: Transaction, names: Mapping[str, str]) -> None:
    """Give channels that an earlier version called otherwise their new names, once in the life of a ledger.

    Earlier versions called channels without a name by their places: what they were told, they were told.
    """
    connection = transaction.connection
    if connection.execute(select(meta.c.value).where(meta.c.name == _RENAMED)).first() is not None:
        return
    connection.execute(insert(meta).values(name=_RENAMED, value=json.dumps(dict(names))))
    for former, name in names.items():
        connection.execute(update(pages).where(pages.c.channel == former).values(channel=name))
        connection.execute(update(channels).where(channels.c.name == former).values(name=name))
        mine = (totals.c.owner == former) & (totals.c.metric == NOTIFICATIONS)
        connection.execute(update(totals).where(mine).values(owner=name))


def untold_since(connection: Connection) -> float | None:
    """Tell since when (Unix time) an open incident has been untold to everybody; None if none is.

    A page that took the place of another does not begin anew: what waits for a channel counts from the first. What was
    taken back, and what that page had taken the place of, is owed to nobody.
    """
    one, waiting, later = pages.alias(), pages.alias(), pages.alias()
    told = select(one.c.seq).where(one.c.incident == incidents.c.id, one.c.state == "sent").exists()
    owed = (
        select(waiting.c.seq)
        .where(waiting.c.incident == pages.c.incident, waiting.c.channel == pages.c.channel)
        .where(waiting.c.state == "waiting")
        .exists()
    )
    settled = (
        select(later.c.seq)
        .where(later.c.incident == pages.c.incident, later.c.channel == pages.c.channel)
        .where(later.c.state == "taken_back", later.c.seq > pages.c.seq)
        .exists()
    )
    found = (
        select(func.min(pages.c.written_wall))
        .join(incidents, incidents.c.id == pages.c.incident)
        .where(incidents.c.closed_wall.is_(None), pages.c.state.in_(("waiting", "superseded")))
        .where(owed, ~told, ~settled)
    )
    return connection.execute(found).scalar()


def prune(connection: Connection, *, before: float, limit: int) -> int:
    """Delete incidents that were closed before a moment (Unix time), with their pages; return how many went."""
    old = select(incidents.c.id).where(incidents.c.closed_wall < before).limit(limit)
    return connection.execute(delete(incidents).where(incidents.c.id.in_(old))).rowcount
