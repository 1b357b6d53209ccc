"""What alerts rest on, read together: how the checks stand, what is open, what was told, who wants quiet."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, case, func, insert, select, update

from agent.ledger import silences, streaks
from agent.ledger.notified import IS_WAITING, count
from agent.ledger.schema import incidents, pages
from agent.ledger.silences import Silence
from agent.ledger.snapshot import Snapshot, take_standings
from agent.ledger.writer import Transaction
from checks.core.model import Verdict

_IS_OPEN = incidents.c.closed_wall.is_(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredIncident:
    """One incident; `state` is what `agent.alerts` keeps of it, as JSON. Moments are Unix time."""

    id: str
    state: str
    opened_wall: float
    closed_wall: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The newest page of an incident for one channel that it took, or that waits for it. Others tell it nothing.

    `sent` tells whether the channel ever took one of them.
    """

    incident: str
    channel: str
    event: str
    severity: str
    gist: str
    written_wall: float
    sent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPage:
    """A page to be sent: `content` is what it says, as JSON; those before it that still wait are superseded."""

    incident: str
    channel: str
    event: str
    severity: str
    gist: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Everything that alerts rest on, from one transaction.

    `began` is when the streaks began (Unix time), by kind and check; `better` how many canaries were better since,
    for the checks of open incidents, by check and kind.
    """

    snapshot: Snapshot
    began: Mapping[Verdict, Mapping[str, float]]
    better: Mapping[tuple[str, Verdict], int]
    told: Sequence[Told]
    silences: Sequence[Silence]


def read(connection: Connection, *, troubled: Collection[str], enough: int, now: float) -> Reading:
    """Read what alerts rest on.

    Args:
        connection: in a reading transaction.
        troubled: the checks of open incidents.
        enough: how far to count canaries that were better.
        now: Unix time, for the silences.
    """
    ids = connection.execute(select(incidents.c.id).where(_IS_OPEN)).scalars().all()
    return Reading(
        snapshot=take_standings(connection),
        began={kind: streaks.began(connection, kind) for kind in streaks.MEMBERS},
        better={
            (name, kind): streaks.better(connection, name, kind, enough)
            for name in sorted(troubled)
            for kind in streaks.MEMBERS
        },
        told=[one for incident in ids for one in _told(connection, incident)],
        silences=[one for one in silences.listed(connection, ending_after=now) if one.holds(now)],
    )


def open_states(connection: Connection) -> Sequence[str]:
    """Read the states of the open incidents, oldest first."""
    rows = select(incidents.c.state).where(_IS_OPEN).order_by(incidents.c.opened_wall)
    return connection.execute(rows).scalars().all()


def write(
    transaction: Transaction, changed: Sequence[StoredIncident], new: Sequence[NewPage], *, at: float, wall: float
) -> None:
    """Write down how incidents changed, together with the pages that tell of it."""
    connection = transaction.connection
    for one in changed:
        values = {"state": one.state, "opened_wall": one.opened_wall, "closed_wall": one.closed_wall}
        if not connection.execute(update(incidents).where(incidents.c.id == one.id).values(**values)).rowcount:
            connection.execute(insert(incidents).values(id=one.id, **values))
    for page in new:
        earlier = (pages.c.incident == page.incident) & (pages.c.channel == page.channel) & IS_WAITING
        gone = connection.execute(update(pages).where(earlier).values(state="superseded")).rowcount
        if gone:
            count(transaction, page.channel, "superseded", gone)
        connection.execute(
            insert(pages).values(
                incident=page.incident,
                channel=page.channel,
                event=page.event,
                severity=page.severity,
                gist=page.gist,
                content=page.content,
                written_wall=wall,
                state="waiting",
                attempts=0,
                due_at=at,
            )
        )


def _told(connection: Connection, incident: str) -> Sequence[Told]:
    counts = case((pages.c.state.in_(("waiting", "sent")), pages.c.seq))
    newest = (
        select(func.max(counts).label("seq"), func.max(pages.c.sent_wall).label("sent"))
        .where(pages.c.incident == incident)
        .group_by(pages.c.channel)
        .subquery()
    )
    columns = (pages.c[name] for name in ("incident", "channel", "event", "severity", "gist", "written_wall"))
    rows = connection.execute(select(*columns, newest.c.sent).join(newest, newest.c.seq == pages.c.seq))
    return [Told(**{**row._asdict(), "sent": row.sent is not None}) for row in rows]
