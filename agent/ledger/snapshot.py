"""One consistent picture of the ledger, for metrics and pages: all of it from a single transaction."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, and_, bindparam, case, func, select

from agent.ledger import records, streaks
from agent.ledger.beginning import began_wall
from agent.ledger.notified import Outbox, outboxes
from agent.ledger.schema import blind, canaries, folders, histograms, meta, specs, standings, totals
from checks.core import verdict
from checks.core.model import Attempt, Check, Outcome, Verdict
from checks.core.servers import ServerTimes
from checks.core.verdict import Standing

_NEWEST_BLIND = (
    select(blind.c.began_at, blind.c.ended_at)
    .where(blind.c.mailbox == bindparam("mailbox"))
    .order_by(blind.c.ended_at.desc())
    .limit(20)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """One counter: whose, which, with what labels, how much."""

    owner: str
    metric: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """One histogram: counts per bucket (the last is everything above), and the sum in seconds."""

    owner: str
    method: str
    family: str
    counts: Sequence[int]
    sum: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A canary that did not pass, and how it was handed over. `seq` is its place in the order of start."""

    canary: str
    seq: int
    outcome: Outcome
    reasons: tuple[str, ...]
    concluded_at: float
    attempt: Attempt | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckStanding:
    """The newest-started concluded canary of a check, and what the newest-started one that was seen measured.

    The latter may be an older one: `end_to_end`, `observation_gap`, `scl` and `servers` stay while mail is lost.
    `streaks` tells how many canaries in a row, in order of start, were at least as bad as `warn` and `fail`; those
    with `unknown` have a row of their own. `problems` has the newest-started canary of each verdict but `pass`.
    `check` is the check as it was when that canary started; None where that is not on record any more. `seq` is the
    canary's place in the order of start.
    """

    canary: str
    outcome: str
    verdict: str
    reasons: Sequence[str]
    concluded_at: float
    since_at: float
    passed_at: float | None
    end_to_end: float | None
    observation_gap: float | None
    scl: int | None = None
    servers: str | None = None
    streaks: Mapping[Verdict, int] = field(default_factory=dict)
    problems: Mapping[Verdict, Problem] = field(default_factory=dict)
    check: Check | None = None
    seq: int = 0

    def server_times(self) -> ServerTimes | None:
        """Read what the servers' clocks say of the newest canary that was seen; None where nothing is known."""
        return None if self.servers is None else records.load(ServerTimes, self.servers)


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """What a check has on its way, of canaries that were started while it was as `check` says; None: as it is now."""

    count: int = 0
    oldest_at: float | None = None
    overdue: int = 0
    check: Check | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole picture. `looked_at` is, per mailbox, when its oldest folder was last looked into completely.

    `in_flight` has, by the name of the check, what is on its way, apart for each way in which the check was configured.
    `began_wall` is since when the ledger counts, as Unix time; None before the first run.
    `outboxes` tells how the channels of alerts do, by name. `blind` has, per mailbox, the newest times in which one of
    its folders was not looked into for longer than usual, as beginning and end, the newest first.
    """

    totals: Sequence[Total] = ()
    histograms: Sequence[Histogram] = ()
    bounds: Sequence[float] = ()
    standings: Mapping[str, CheckStanding] = field(default_factory=dict)
    in_flight: Mapping[str, Sequence[InFlight]] = field(default_factory=dict)
    looked_at: Mapping[str, float | None] = field(default_factory=dict)
    blind: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    began_wall: float | None = None
    outboxes: Mapping[str, Outbox] = field(default_factory=dict)

    def newest_of(self, check: Check) -> CheckStanding | None:
        """Return how *check* stood last; None where that was another check by the same name."""
        newest = self.standings.get(check.name)
        another = newest is not None and newest.check is not None and not verdict.proves(newest.check, check)
        return None if another else newest

    def in_flight_of(self, check: Check) -> InFlight:
        """Tell what *check* has on its way; what another check by the same name has says nothing about this one."""
        known = self.in_flight.get(check.name, ())
        mine = [one for one in known if one.check is None or verdict.proves(one.check, check)]
        return InFlight(
            count=sum(one.count for one in mine),
            oldest_at=min((one.oldest_at for one in mine if one.oldest_at is not None), default=None),
            overdue=sum(one.overdue for one in mine),
            check=check,
        )

    def standing_of(self, check: Check) -> Standing:
        """Put together what the current verdict of *check* depends on."""
        newest = self.newest_of(check)
        return Standing(
            newest=None if newest is None else Verdict(newest.verdict),
            concluded_at=None if newest is None else newest.concluded_at,
            looked_at=self.looked_at.get(check.mailbox),
            overdue=self.in_flight_of(check).overdue,
            every=check.limits.every,
            late_after=check.limits.late_after,
        )


def take(connection: Connection) -> Snapshot:
    """Read the picture; its cost grows with the number of checks, not with history."""
    bounds = connection.execute(select(meta.c.value).where(meta.c.name == "buckets")).scalar()
    return replace(
        take_standings(connection),
        totals=[
            Total(owner=row.owner, metric=row.metric, labels=json.loads(row.labels), value=row.value)
            for row in connection.execute(select(totals).order_by(totals.c.owner, totals.c.metric, totals.c.labels))
        ],
        histograms=[
            Histogram(owner=row.owner, method=row.method, family=row.family, counts=json.loads(row.counts), sum=row.sum)
            for row in connection.execute(select(histograms))
        ],
        bounds=json.loads(bounds) if bounds else (),
        began_wall=began_wall(connection),
        outboxes=outboxes(connection),
    )


def take_standings(connection: Connection) -> Snapshot:
    """Read the picture without its counters and histograms: how every check stands needs none of them."""
    looked = looked_at(connection)
    return Snapshot(
        standings=_standings(connection),
        in_flight=_in_flight(connection),
        looked_at=looked,
        blind={mailbox: _blind(connection, mailbox) for mailbox in looked},
    )


def _standings(connection: Connection) -> dict[str, CheckStanding]:
    rows = connection.execute(
        select(standings, specs.c.check)
        .outerjoin(canaries, canaries.c.id == standings.c.canary)
        .outerjoin(specs, specs.c.id == canaries.c.spec)
    ).all()
    checks = {row.name: records.load_check(row.check) for row in rows if row.check is not None}
    problems = _problems(connection, checks)
    return {
        row.name: CheckStanding(
            canary=row.canary,
            outcome=row.outcome,
            verdict=row.verdict,
            reasons=json.loads(row.reasons),
            concluded_at=row.concluded_at,
            since_at=row.since_at,
            passed_at=row.passed_at,
            end_to_end=row.end_to_end,
            observation_gap=row.observation_gap,
            scl=row.scl,
            streaks={kind: getattr(row, f"{kind}_streak") for kind in streaks.MEMBERS},
            problems=problems[row.name],
            servers=row.servers,
            check=checks.get(row.name),
            seq=row.seq,
        )
        for row in rows
    }


def _problems(connection: Connection, checks: Mapping[str, Check]) -> dict[str, dict[Verdict, Problem]]:
    """Read the newest problems of *checks*, each as it was when its newest canary started.

    Where a check began anew, the places in its row are of a canary of the one before: that is no problem of it.
    """
    found: dict[str, dict[Verdict, Problem]] = defaultdict(dict)
    for kind in streaks.MEMBERS:
        newest = (
            select(canaries, specs.c.check)
            .join(standings, standings.c[f"{kind}_newest"] == canaries.c.seq)
            .join(specs, specs.c.id == canaries.c.spec)
        )
        for row in connection.execute(newest):
            now = checks.get(row.name)
            if now is not None and not verdict.proves(records.load_check(row.check), now):
                continue
            found[row.name][kind] = Problem(
                canary=row.id,
                seq=row.seq,
                outcome=Outcome(row.outcome),
                reasons=tuple(json.loads(row.reasons)),
                concluded_at=row.concluded_at,
                attempt=records.load_attempt(row.attempt_kind, row.attempt),
            )
    return found


def _in_flight(connection: Connection) -> dict[str, list[InFlight]]:
    looked = (
        select(
            folders.c.mailbox,
            func.min(folders.c.looked_at).label("looked_at"),
            func.max(folders.c.since_at).label("since_at"),
        )
        .group_by(folders.c.mailbox)
        .having(func.count() == func.count(folders.c.looked_at))
        .subquery()
    )
    overdue = and_(canaries.c.late_at <= looked.c.looked_at, canaries.c.started_at >= looked.c.since_at)
    # Grouped by an expression: for the name itself SQLite walks through all canaries, not only those in flight.
    name = canaries.c.name.concat("").label("name")
    flying = (
        select(
            name,
            canaries.c.spec,
            func.count().label("number"),
            func.min(canaries.c.started_at).label("oldest_at"),
            func.sum(case((overdue, 1), else_=0)).label("overdue"),
        )
        .join(looked, looked.c.mailbox == canaries.c.mailbox, isouter=True)
        .where(canaries.c.outcome.is_(None))
        .group_by(name, canaries.c.spec)
        .subquery()
    )
    found: dict[str, list[InFlight]] = defaultdict(list)
    for row in connection.execute(select(flying, specs.c.check).join(specs, specs.c.id == flying.c.spec)):
        check = records.load_check(row.check)
        found[row.name].append(InFlight(count=row.number, oldest_at=row.oldest_at, overdue=row.overdue, check=check))
    return found


def _blind(connection: Connection, mailbox: str) -> Sequence[tuple[float, float]]:
    spans = connection.execute(_NEWEST_BLIND, {"mailbox": mailbox})
    return [(row.began_at, row.ended_at) for row in spans]


def looked_at(connection: Connection) -> dict[str, float | None]:
    """Tell when the last complete look into all folders of each mailbox began; None if there was none."""
    rows = connection.execute(
        select(
            folders.c.mailbox,
            func.min(folders.c.looked_at).label("looked_at"),
            (func.count() - func.count(folders.c.looked_at)).label("never"),
        ).group_by(folders.c.mailbox)
    )
    return {row.mailbox: None if row.never else row.looked_at for row in rows}
