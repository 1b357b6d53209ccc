"""What is on record of a span of time, for reports: every figure comes from the canaries' own rows.

A canary belongs to the span in which it was started, by the wall clock. Moments that are returned are Unix time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Row, Select, cast, func, literal, select, union_all

from agent.ledger import records
from agent.ledger.schema import blind, canaries, runs, specs
from checks.core import verdict
from checks.core.model import Check, Verdict

_PAGE = 20_000
_HOUR = 3600
_SEEN = [outcome.value for outcome in verdict.SEEN]
_WELL = [Verdict.PASS.value, Verdict.WARN.value]


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` up to, but without, `until`: Unix time in seconds."""

    since: float
    until: float


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One start of an agent; `offset` turns moments of its steady timeline into Unix time."""

    site: str
    version: str
    began: float
    offset: float


@dataclass(frozen=True, slots=True)
class BlindRecord:
    """A time in which nobody looked into one folder, in Unix time."""

    mailbox: str
    folder: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """How many canaries of one specification ended in one way; `outcome` is None for those still on their way."""

    spec: int
    outcome: str | None
    verdict: str | None
    n: int


@dataclass(frozen=True, slots=True)
class LatencyCount:
    """How many canaries of a path that were started in one hour took about `seconds` (three digits) to be seen."""

    path: str
    hour: int
    seconds: float
    n: int


@dataclass(frozen=True, slots=True)
class History:
    """Questions about the past, all answered from one transaction."""

    connection: Connection

    def specifications(self, span: Span) -> Mapping[int, Check]:
        """Read the checks as they were when the canaries of *span* started, by the number of their specification."""
        used = select(canaries.c.spec).where(_started_in(span)).distinct()
        rows = self.connection.execute(select(specs).where(specs.c.id.in_(used))).all()
        return {row.id: records.load_check(row.check) for row in rows}

    def canaries(self, span: Span) -> Iterator[Sequence[Row[Any]]]:
        """Walk through the canaries of *span* in order of their start, a page at a time; never all in memory."""
        query: Select[Any] = (
            select(
                canaries.c.id,
                canaries.c.spec,
                canaries.c.started_wall,
                canaries.c.started_at,
                canaries.c.concluded_at,
                canaries.c.outcome,
                canaries.c.verdict,
                canaries.c.reasons,
                canaries.c.end_to_end,
                canaries.c.observation_gap,
                canaries.c.attempt,
            )
            .where(_started_in(span))
            .order_by(canaries.c.started_wall, canaries.c.seq)
        )
        streaming = {"stream_results": True, "max_row_buffer": _PAGE}
        with self.connection.execute(query, execution_options=streaming) as result:
            yield from result.partitions(_PAGE)

    def count(self, span: Span) -> int:
        """Count the canaries of *span*."""
        return int(self.connection.execute(select(func.count()).where(_started_in(span))).scalar_one())

    def outcome_counts(self, span: Span) -> Sequence[OutcomeCount]:
        """Count the canaries of *span* by specification, outcome and verdict; the database does the counting."""
        ways = (canaries.c.spec, canaries.c.outcome, canaries.c.verdict)
        rows = self.connection.execute(select(*ways, func.count()).where(_started_in(span)).group_by(*ways))
        return [OutcomeCount(*row) for row in rows]

    def latency_counts(self, span: Span, paths: Mapping[int, str]) -> Sequence[LatencyCount]:
        """Count the canaries of *span* that were seen, by path, hour and end-to-end latency to three digits.

        *paths* tells the path of each specification. What the digits leave out is 0.5 % of a latency at most.
        """
        if not paths:
            return []
        pairs = (select(literal(spec).label("spec"), literal(path).label("path")) for spec, path in paths.items())
        of = union_all(*pairs).cte("paths")
        hour = cast((canaries.c.started_wall - span.since) / _HOUR, Integer).label("hour")
        digits = func.printf("%.2e", canaries.c.end_to_end).label("digits")
        rows = self.connection.execute(
            select(of.c.path, hour, digits, func.count())
            .join(canaries, canaries.c.spec == of.c.spec)
            .where(_started_in(span), canaries.c.outcome.in_(_SEEN))
            .group_by(of.c.path, hour, digits)
        )
        return [LatencyCount(row[0], row[1], float(row[2]), row[3]) for row in rows]

    def failing_since(self, check: str, moment: float) -> float | None:
        """Tell since when *check* had been failing at *moment*: the start of the first failing canary of that run.

        None if it was not: unknown verdicts neither begin nor end a run.
        """
        mine = (canaries.c.name == check) & (canaries.c.started_wall < moment)
        newest = (
            select(canaries.c.verdict)
            .where(mine, canaries.c.verdict.in_([*_WELL, Verdict.FAIL.value]))
            .order_by(canaries.c.seq.desc())
            .limit(1)
        )
        if self.connection.execute(newest).scalar() != Verdict.FAIL:
            return None
        well = (
            select(canaries.c.seq).where(mine, canaries.c.verdict.in_(_WELL)).order_by(canaries.c.seq.desc()).limit(1)
        )
        last_well = self.connection.execute(well).scalar() or 0
        first = (
            select(canaries.c.started_wall)
            .where(mine, canaries.c.seq > last_well, canaries.c.verdict == Verdict.FAIL.value)
            .order_by(canaries.c.seq)
            .limit(1)
        )
        return self.connection.execute(first).scalar()

    def runs(self, until: float) -> Sequence[RunRecord]:
        """List the real starts of the agent before *until*, oldest first."""
        rows = self.connection.execute(
            select(runs).where(runs.c.began_wall < until, ~runs.c.simulated).order_by(runs.c.id)
        ).all()
        return [RunRecord(row.site, row.version, row.began_wall, row.began_wall - row.began_at) for row in rows]

    def blind_spans(self, span: Span, offset: float) -> Sequence[BlindRecord]:
        """List the times within *span* in which a folder was not looked into; *offset* is that of the last run."""
        found = self.connection.execute(
            select(blind)
            .where(blind.c.ended_at > span.since - offset, blind.c.began_at < span.until - offset)
            .order_by(blind.c.began_at)
        )
        return [
            BlindRecord(
                row.mailbox, row.folder, max(span.since, row.began_at + offset), min(span.until, row.ended_at + offset)
            )
            for row in found
        ]

    def simulated(self, span: Span) -> bool:
        """Tell whether *span* has canaries of a made-up past."""
        if self.connection.execute(select(runs.c.id).where(runs.c.simulated).limit(1)).first() is None:
            return False
        made_up = select(canaries.c.seq).where(_started_in(span), canaries.c.seq < 0).limit(1)
        return self.connection.execute(made_up).first() is not None

    def first_run(self) -> float | None:
        """Tell when the first run on this ledger began (Unix time), since when it counts; None if there was none."""
        began = select(func.min(runs.c.began_wall)).where(~runs.c.simulated)
        return self.connection.execute(began).scalar()

    def first_started(self) -> float | None:
        """Tell when the oldest canary on record was started; None if there is none."""
        return self.connection.execute(select(func.min(canaries.c.started_wall))).scalar()


def _started_in(span: Span) -> ColumnElement[bool]:
    return (canaries.c.started_wall >= span.since) & (canaries.c.started_wall < span.until)
