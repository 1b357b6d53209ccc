"""Silences: somebody said who is not to be woken, why, and until when. Moments are Unix time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from agent.ledger.schema import silences


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A time in which nobody is told of what fails at a check, a path or a site; what is None fits everything.

    `ended_by` is who ended it before its time; its end has been moved to that moment.
    """

    id: str
    author: str
    reason: str
    created_wall: float
    starts_wall: float
    ends_wall: float
    check: str | None = None
    path: str | None = None
    site: str | None = None
    ended_by: str | None = None

    def holds(self, now: float) -> bool:
        """Tell whether it is in force at *now*."""
        return self.starts_wall <= now < self.ends_wall

    def fits(self, *, check: str, path: str, site: str) -> bool:
        """Tell whether it is about this check."""
        wanted = ((self.check, check), (self.path, path), (self.site, site))
        return all(want is None or want == found for want, found in wanted)


def create(connection: Connection, silence: Silence) -> None:
    """Write a silence down."""
    connection.execute(insert(silences).values(**asdict(silence)))


def end(connection: Connection, name: str, *, author: str, at: float) -> Silence | None:
    """End a silence now, or take back one that has not begun; None if none of that id is in force or to come."""
    one = silences.c.id == name
    row = connection.execute(select(silences).where(one, silences.c.ends_wall > at)).one_or_none()
    if row is None:
        return None
    starts = min(row.starts_wall, at)
    connection.execute(update(silences).where(one).values(starts_wall=starts, ends_wall=at, ended_by=author))
    return find(connection, name)


def find(connection: Connection, name: str) -> Silence | None:
    """Read one silence; None if there is none of that id."""
    row = connection.execute(select(silences).where(silences.c.id == name)).one_or_none()
    return None if row is None else _silence(row)


def listed(connection: Connection, *, ending_after: float) -> Sequence[Silence]:
    """Read the silences that end after a moment, in the order of their beginning."""
    rows = select(silences).where(silences.c.ends_wall > ending_after).order_by(silences.c.starts_wall, silences.c.id)
    return [_silence(row) for row in connection.execute(rows)]


def prune(connection: Connection, *, before: float) -> int:
    """Delete the silences that ended before a moment; return how many went."""
    return connection.execute(delete(silences).where(silences.c.ends_wall < before)).rowcount


def _silence(row: Row[Any]) -> Silence:
    return Silence(**row._asdict())
