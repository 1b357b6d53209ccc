"""Look into a ledger from outside the agent, whether or not one is at work with it; bring an idle one up to date."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlalchemy.exc import SQLAlchemyError

from agent.ledger import connect, export, hold, records, servers, snapshot, verify
from agent.ledger.beginning import newest_moment
from agent.ledger.errors import LedgerError
from agent.ledger.facts import ATTRIBUTED
from agent.ledger.history import History
from agent.ledger.schema import canaries, evidence, runs, sightings, standings, totals
from agent.ledger.snapshot import Snapshot
from agent.ledger.upgrade import Upgraded
from agent.ledger.upgrade import upgrade as bring_up_to_date
from agent.ledger.versions import versions
from checks.core.model import Attempt, Conclusion, Outcome, Verdict
from checks.core.servers import ServerTimes

_MOST_DEFECTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One start of an agent. `began_at` is on its steady timeline, `began_wall` the same moment as Unix time.

    `ended_at` is when it was stopped; None while it runs, and where it ended in another way.
    """

    site: str
    version: str
    began_at: float
    began_wall: float
    ended_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What the ledger knows at one moment; `run` is the newest one, None before the first.

    `sign_at` is the newest moment on record: the last sign of life of an agent.

    `attempts` has, by check, how the canary of a standing that is no pass was handed over.
    """

    snapshot: Snapshot
    run: Run | None
    attempts: Mapping[str, Attempt]
    sign_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """How many canaries are on record, and everything that does not add up, in words."""

    canaries: int
    problems: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """How many canaries are on record, and each of them, oldest first."""

    number: int
    canaries: Iterator[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is on record of one canary: its verdict once there is one, where it was first seen, its headers there.

    `servers` is what the servers' clocks say of its way, `token` what its message is known by.
    """

    canary: str
    conclusion: Conclusion | None
    folder: str | None
    headers: bytes | None
    servers: ServerTimes | None = None
    token: str = ""


def picture(url: str) -> Picture:
    """Read how everything stands, from one transaction; nothing is locked and nothing changed.

    Raises:
        LedgerError: there is no such ledger, it is not ours, of another version, or cannot be read.
    """
    with _reading(url) as connection:
        newest = select(runs).where(~runs.c.simulated).order_by(runs.c.id.desc()).limit(1)
        row = connection.execute(newest).one_or_none()
        run = None
        if row is not None:
            run = Run(
                site=row.site,
                version=row.version,
                began_at=row.began_at,
                began_wall=row.began_wall,
                ended_at=row.ended_at,
            )
        return Picture(
            snapshot=snapshot.take(connection),
            run=run,
            attempts=_attempts(connection),
            sign_at=newest_moment(connection),
        )


def audit(url: str, tell: Callable[[str], None]) -> Audit:
    """Examine the file and the books, from one transaction; *tell* is called with each thing that is looked at.

    Raises:
        LedgerError: as `picture`.
    """
    with _reading(url) as connection:
        tell("the tables")
        defects = _defects(connection)
        tell("the books")
        problems = [*defects, *verify.problems(connection)]
        return Audit(canaries=verify.count_canaries(connection), problems=problems)


def attributed_canaries(url: str, check: str) -> int:
    """Count the sightings of *check* that carried the header of the tenant's connector.

    Raises:
        LedgerError: as `picture`.
    """
    of_check = (totals.c.owner == check) & (totals.c.metric == ATTRIBUTED)
    with _reading(url) as connection:
        return sum(int(value) for value in connection.execute(select(totals.c.value).where(of_check)).scalars())


@contextmanager
def history(url: str) -> Iterator[History]:
    """Open the past of a ledger for reading, all of it from one transaction.

    Raises:
        LedgerError: as `picture`.
    """
    with _reading(url) as connection:
        yield History(connection)


@contextmanager
def exported(url: str) -> Iterator[Export]:
    """Open the canaries of a ledger for reading, all of them from one transaction; see `export.rows`.

    Raises:
        LedgerError: as `picture`.
    """
    with _reading(url) as connection:
        yield Export(number=verify.count_canaries(connection), canaries=export.rows(connection))


def upgrade(url: str) -> Upgraded:
    """Bring the tables of a ledger that no agent uses up to date.

    Raises:
        LedgerInUse: an agent is at work with it.
        LedgerError: there is no such ledger, it is not ours, too new, or cannot be written.
    """
    _find(url)
    with hold.exclusively(url):
        engine = connect.connect(url)
        try:
            return bring_up_to_date(engine, url)
        finally:
            engine.dispose()


def newest_case(connection: Connection, check: str) -> Case | None:
    """Read what is on record of the newest canary of *check*; None if there is none."""
    row = connection.execute(
        select(canaries).where(canaries.c.name == check).order_by(canaries.c.seq.desc()).limit(1)
    ).one_or_none()
    if row is None:
        return None
    seen = sightings.c.canary == row.id
    folder = connection.execute(select(sightings.c.folder).where(seen).order_by(sightings.c.seen_at).limit(1)).scalar()
    about = (evidence.c.canary == row.id) & (evidence.c.kind == "headers")
    headers = connection.execute(select(evidence.c.content).where(about)).scalar()
    told = servers.read(connection, row.id)
    return Case(
        canary=row.id,
        conclusion=None if row.outcome is None else _conclusion(row),
        folder=folder,
        headers=None if headers is None else records.unpack(headers),
        servers=told[0] if told else None,
        token=records.token_of(row),
    )


def _attempts(connection: Connection) -> dict[str, Attempt]:
    rows = connection.execute(
        select(standings.c.name, canaries.c.attempt_kind, canaries.c.attempt)
        .join(canaries, canaries.c.id == standings.c.canary)
        .where(standings.c.verdict != Verdict.PASS.value)
    )
    read = {row.name: records.load_attempt(row.attempt_kind, row.attempt) for row in rows}
    return {name: attempt for name, attempt in read.items() if attempt is not None}


def _conclusion(row: Row[tuple[object, ...]]) -> Conclusion:
    return Conclusion(
        canary=row.id,
        outcome=Outcome(row.outcome),
        verdict=Verdict(row.verdict),
        reasons=tuple(json.loads(row.reasons)),
        submission=row.submission,
        delivery=row.delivery,
        end_to_end=row.end_to_end,
        observation_gap=row.observation_gap,
    )


@contextmanager
def _reading(url: str) -> Iterator[Connection]:
    """Open a transaction on an up-to-date ledger that cannot write."""
    _find(url)
    engine = connect.connect(url, read_only=True)
    try:
        with _translated(), engine.begin() as connection:
            version, head = versions(connection)
            if version != head:
                found = "no tables yet" if version is None else f"version {version}"
                message = f"the ledger has {found}, and this agent needs version {head}"
                raise LedgerError(f"{message}: `relaycanary ledger upgrade` brings it up to date")
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise LedgerError.of(error) from None


def _find(url: str) -> None:
    """Refuse a ledger that is not there: opening it would make one."""
    path = connect.sqlite_file(url)
    if path is not None and not path.is_file():
        raise LedgerError(f"there is no ledger at {path}: has the agent run yet?")


def _defects(connection: Connection) -> list[str]:
    """Have SQLite examine its file; any other database looks after its own."""
    if connection.dialect.name != "sqlite":
        return []
    found = connection.exec_driver_sql(f"PRAGMA integrity_check({_MOST_DEFECTS})").scalars().all()
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(_MOST_DEFECTS)
    return [
        *(f"the file is damaged: {line}" for line in found if line != "ok"),
        *(
            f"the table {table} has a row {row} that belongs to nothing in {parent}"
            for table, row, parent, _ in orphans
        ),
    ]
