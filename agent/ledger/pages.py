"""What pages ask of the ledger: every question is answered through an index, whatever the length of the history.

Moments that are returned are Unix time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select

from agent.ledger import cases, records, silences, streaks
from agent.ledger.cases import CanaryRecord, CaseFile
from agent.ledger.schema import canaries, failed, runs, specs, standings
from agent.ledger.silences import Silence
from agent.ledger.snapshot import Snapshot, take_standings

_LOWEST = -(2**62)


class Point(NamedTuple):
    """One canary as a chart shows it: how it ended, and after how many seconds it was seen; None while unknown."""

    started: float
    verdict: str | None
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The next decided canary of the same check after a failure; the check may have moved to another path meanwhile."""

    path: str
    seq: int
    canary: str
    started: float
    concluded: float
    verdict: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failing canary, and what came `after` it; None while nothing has."""

    check: str
    path: str
    method: str
    seq: int
    canary: str
    started: float
    concluded: float
    outcome: str
    reasons: Sequence[str]
    after: Turn | None


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions of pages, all answered from one transaction."""

    connection: Connection

    def standings(self) -> Snapshot:
        """Take the picture of how every check stands."""
        return take_standings(self.connection)

    def canaries(self, check: str | None, *, before: int | None = None, limit: int) -> Sequence[CanaryRecord]:
        """Read the newest canaries of *check* (of all, if None), newest first, from *before* on."""
        return cases.newest(self.connection, check, before, limit)

    def sampled(self, check: str, since: float) -> Sequence[CanaryRecord]:
        """Read a bounded sample of the canaries of *check* from *since* (Unix time) on, newest first."""
        return cases.sampled(self.connection, check, since)

    def silences(self, ending_after: float) -> Sequence[Silence]:
        """Read the silences that are in force or to come, in the order of their beginning."""
        return silences.listed(self.connection, ending_after=ending_after)

    def case(self, canary: str) -> CaseFile | None:
        """Read everything about one canary; None if there is none of that id."""
        return cases.one(self.connection, canary)

    def newest_points(self, each: int) -> Mapping[str, Sequence[Point]]:
        """Read the newest *each* canaries of every check that has concluded one, oldest first."""
        inner = canaries.alias()
        oldest = (
            select(inner.c.seq)
            .where(inner.c.name == standings.c.name)
            .order_by(inner.c.seq.desc())
            .limit(1)
            .offset(each - 1)
            .scalar_subquery()
        )
        # SQLite shall go from the few standings to their canaries, by index: without the expression, and with an order,
        # it walks through the whole table the other way round.
        of_standing = canaries.c.name == standings.c.name.concat("")
        rows = self.connection.execute(
            select(canaries.c.seq, canaries.c.name, canaries.c.started_wall, canaries.c.verdict, canaries.c.end_to_end)
            .select_from(standings.join(canaries, of_standing))
            .where(canaries.c.seq >= func.coalesce(oldest, _LOWEST))
        ).all()
        found: dict[str, list[Point]] = {}
        for _, name, started, verdict, seconds in sorted(rows, key=itemgetter(0)):
            found.setdefault(name, []).append(Point(started, verdict, seconds))
        return found

    def newest_failures(self, since: float, limit: int) -> Sequence[Failure]:
        """Read the failing canaries that were started after *since* (Unix time), the newest *limit*, oldest first."""
        after, moved = canaries.alias(), specs.alias()
        columns = (after.c.id, after.c.started_wall, after.c.started_at, after.c.concluded_at, after.c.verdict)
        rows = self.connection.execute(
            select(
                canaries.c.name,
                canaries.c.seq,
                canaries.c.id,
                canaries.c.started_wall,
                (canaries.c.concluded_at - canaries.c.started_at).label("took"),
                canaries.c.outcome,
                canaries.c.reasons,
                specs.c.check,
                moved.c.check.label("after_check"),
                after.c.seq.label("after_seq"),
                after.c.outcome.label("after_outcome"),
                *(column.label(f"after_{column.name}") for column in columns),
            )
            .join(specs, specs.c.id == canaries.c.spec)
            .outerjoin(after, after.c.seq == streaks.next_decided())
            .outerjoin(moved, moved.c.id == after.c.spec)
            .where(failed, canaries.c.started_wall >= since)
            .order_by(canaries.c.started_wall.desc())
            .limit(limit)
        ).all()
        return [_failure(row) for row in reversed(rows)]

    def failing_since(self, failures: Sequence[Failure]) -> Mapping[tuple[str, str], float]:
        """Tell, for each check and path of which the oldest of *failures* goes on with a run, when that had begun.

        Args:
            failures: as `newest_failures` reads them.
        """
        oldest: dict[tuple[str, str], int] = {}
        for one in failures:
            oldest.setdefault((one.check, one.path), one.seq)
        known: dict[str, list[tuple[int, str]]] = {}
        for number, check in self.connection.execute(select(specs.c.id, specs.c.check)) if oldest else ():
            then = records.load_check(check)
            known.setdefault(then.name, []).append((number, then.path))
        found: dict[tuple[str, str], float] = {}
        for (name, path), seq in oldest.items():
            elsewhere = [number for number, other in known[name] if other != path]
            since = streaks.failing_since(self.connection, name, elsewhere, seq)
            found |= {} if since is None else {(name, path): since}
        return found

    def has_simulated(self) -> bool:
        """Tell whether the ledger has a made-up past."""
        return self.connection.execute(select(runs.c.id).where(runs.c.simulated).limit(1)).first() is not None


def _failure(row: Row[Any]) -> Failure:
    check, after = records.load_check(row.check), None
    if row.after_seq is not None:
        after = Turn(
            path=records.load_check(row.after_check).path,
            seq=row.after_seq,
            canary=row.after_id,
            started=row.after_started_wall,
            concluded=row.after_started_wall + row.after_concluded_at - row.after_started_at,
            verdict=row.after_verdict,
            outcome=row.after_outcome,
        )
    return Failure(
        check=row.name,
        path=check.path,
        method=check.method,
        seq=row.seq,
        canary=row.id,
        started=row.started_wall,
        concluded=row.started_wall + row.took,
        outcome=row.outcome,
        reasons=json.loads(row.reasons),
        after=after,
    )
