"""Since when a ledger knows what it ought to know: it may have been restored from a copy, or begun anew.

Whatever the agent did between the copy and that moment is on nobody's record. Canaries from then may still arrive,
and the counters begin at zero as those of a process that was started.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from agent.ledger import counting, records
from agent.ledger.facts import ATTRIBUTED
from agent.ledger.schema import canaries, folders, histograms, meta, pages, runs, specs, totals
from agent.ledger.totals import Changes, apply

_NAME = "began_anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """One moment: `at` on the steady timeline, `wall` as Unix time."""

    at: float
    wall: float


def began_anew(connection: Connection) -> Beginning | None:
    """Tell when the ledger was restored, or begun in the place of a damaged one; None if neither ever happened."""
    found = connection.execute(select(meta.c.value).where(meta.c.name == _NAME)).scalar()
    return None if found is None else Beginning(**json.loads(found))


def began_wall(connection: Connection) -> float | None:
    """Tell since when the ledger counts, as Unix time; None before the first run."""
    anew = began_anew(connection)
    if anew is not None:
        return anew.wall
    first = connection.execute(select(func.min(runs.c.began_wall)).where(~runs.c.simulated)).scalar()
    return None if first is None else float(first)


def newest_moment(connection: Connection) -> float:
    """Tell the newest moment on record, so that the steady timeline never runs behind it."""
    looked = connection.execute(select(func.max(folders.c.looked_at))).scalar() or 0.0
    began = connection.execute(select(func.max(runs.c.began_at))).scalar() or 0.0
    newest = select(canaries.c.started_at).order_by(canaries.c.seq.desc()).limit(1)
    started = connection.execute(newest).scalar() or 0.0
    concluded = connection.execute(select(func.max(canaries.c.concluded_at))).scalar() or 0.0
    anew = began_anew(connection)
    return float(max(looked, began, started, concluded, anew.at if anew else 0.0))


def mark(connection: Connection, beginning: Beginning) -> None:
    """Write down that the ledger begins anew at this moment."""
    connection.execute(delete(meta).where(meta.c.name == _NAME))
    value = json.dumps({"at": beginning.at, "wall": beginning.wall})
    connection.execute(insert(meta).values(name=_NAME, value=value))


def begin_anew(connection: Connection, beginning: Beginning) -> None:
    """Make of a copy a ledger that goes on from *beginning*.

    Looks from now on prove nothing about canaries that were on their way when the copy was made: their messages may
    have been deleted since. Counters begin at zero, since a counter that goes back is taken for one that does: what
    was counted before would be counted again.
    Pages that waited to be sent then are of the past, and are not.
    """
    mark(connection, beginning)
    connection.execute(update(folders).values(since_at=beginning.at))
    connection.execute(update(pages).where(pages.c.state == "waiting").values(state="abandoned"))
    connection.execute(delete(histograms))
    connection.execute(delete(totals).where(totals.c.metric != ATTRIBUTED))  # what was learned of a tenant stays true
    counting.mark(connection, ())  # the agent will say with which buckets
    changes = Changes()
    on_their_way = (
        select(canaries.c.name, specs.c.check, func.count().label("number"))
        .join(specs, specs.c.id == canaries.c.spec)
        .where(canaries.c.outcome.is_(None))
        .group_by(canaries.c.name, specs.c.id)
    )
    for row in connection.execute(on_their_way):
        method = records.load_check(row.check).method
        changes.count(row.name, "canaries_started", {"method": method}, row.number)
    apply(connection, changes, ())
