"""What is on record of a span of time, for reports: every figure comes from the canaries' own rows.

A canary belongs to the span in which it was started, by the wall clock. Moments that are returned are Unix time. What
many rows have in common is counted by the database, which also takes JSON apart: it does so ten times as fast.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Select, case, cast, func, literal, select, true, union_all

from agent.ledger import records, streaks
from agent.ledger.past import (
    BlindRecord,
    CanaryRow,
    HeaderCount,
    LatencyCount,
    OutcomeCount,
    RefusalCount,
    RunRecord,
    Span,
    TurnRecord,
    UnknownCount,
)
from agent.ledger.schema import blind, canaries, evidence, failed, folders, runs, sightings, specs, standings
from checks.core import verdict
from checks.core.findings import MAX_HOPS
from checks.core.model import Check, Outcome, Stage, Verdict

_PAGE = 20_000
_HOUR = 3600
_SEEN = [outcome.value for outcome in verdict.SEEN]
_WELL = [Verdict.PASS.value, Verdict.WARN.value]
_STAGES = range(len(Stage))
_TAKEN = [*_SEEN, Outcome.LOST.value, Outcome.BOUNCED.value]
"""How canaries end that no server refused."""


@dataclass(frozen=True, slots=True)
class History:
    """Questions about the past, all answered from one transaction."""

    connection: Connection

    def specifications(self) -> Mapping[int, Check]:
        """Read the checks as they were when their canaries started, by the number of their specification."""
        return {row.id: records.load_check(row.check) for row in self.connection.execute(select(specs))}

    def canaries(self, span: Span, share: float = 1.0) -> Iterator[Sequence[CanaryRow]]:
        """Walk through the canaries of *span* in order of their start, a page at a time; never all in memory.

        With a *share* below 1, only through as many of them, drawn by their numbers and always the same.
        """
        seen, accepted = canaries.c.outcome.in_(_SEEN), canaries.c.attempt_kind == "accepted"
        query: Select[Any] = (
            select(
                canaries.c.spec,
                canaries.c.started_wall,
                canaries.c.outcome,
                canaries.c.verdict,
                case((seen, canaries.c.end_to_end)),
                case((seen, func.coalesce(canaries.c.observation_gap, 0.0))),
                case((accepted, _of_stages("stage"))),
                case((accepted, _of_stages("seconds"))),
            )
            .where(_started_in(span), _drawn(share))
            .order_by(canaries.c.started_wall)
        )
        streaming = {"stream_results": True, "max_row_buffer": _PAGE}
        with self.connection.execute(query, execution_options=streaming) as result:
            yield from result.partitions(_PAGE)

    def count(self, span: Span) -> int:
        """Count the canaries of *span*."""
        return int(self.connection.execute(select(func.count()).where(_started_in(span))).scalar_one())

    def outcome_counts(self, span: Span) -> Sequence[OutcomeCount]:
        """Count the canaries of *span* by specification, outcome and verdict."""
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

    def header_counts(self, span: Span, *, hops: bool, share: float = 1.0) -> Sequence[HeaderCount]:
        """Count the canaries of *span* whose headers were read, by what stands in them.

        Delays and the hour are told only with *hops*; for *share*, see `canaries`.
        """
        places = [f"$.hops[{place}].delay" for place in range(1, MAX_HOPS)]
        delays = func.json_extract(sightings.c.findings, *places) if hops else literal("[]")
        results = func.json_extract(sightings.c.findings, "$.results")
        scl = func.json_extract(sightings.c.findings, "$.scl").label("scl")
        marked = func.json_extract(sightings.c.findings, "$.marked_junk").is_not(None).label("marked")
        inner = sightings.alias()
        first = select(func.min(inner.c.seq)).where(inner.c.canary == canaries.c.id).scalar_subquery()
        rows = self.connection.execute(
            select(
                canaries.c.spec.label("spec"),
                results.label("results"),
                delays.label("delays"),
                (cast((canaries.c.started_wall - span.since) / _HOUR, Integer) if hops else literal(0)).label("hour"),
                scl,
                marked,
                func.count(),
            )
            .select_from(canaries.join(sightings, sightings.c.seq == first))
            .where(_started_in(span), _drawn(share), sightings.c.findings.is_not(None))
            .group_by("spec", "results", "delays", "hour", "scl", "marked")
        )
        return [
            HeaderCount(spec, json.loads(stamped or "{}"), json.loads(late), hour, level, bool(junk), n)
            for spec, stamped, late, hour, level, junk, n in rows
        ]

    def newest_hosts(self, span: Span) -> Mapping[int, Sequence[str | None]]:
        """Name, by specification, the hosts that the newest canary of *span* passed, from the sender on."""
        newest = (
            select(func.max(canaries.c.seq)).where(_started_in(span), canaries.c.outcome.in_(_SEEN)).group_by("spec")
        )
        rows = self.connection.execute(
            select(canaries.c.spec, sightings.c.findings)
            .select_from(canaries.join(sightings, sightings.c.canary == canaries.c.id))
            .where(canaries.c.seq.in_(newest), sightings.c.findings.is_not(None))
            .order_by(sightings.c.seq.desc())
        )
        return {spec: [hop.get("by") for hop in json.loads(found).get("hops", ())] for spec, found in rows}

    def unknown_counts(self, span: Span) -> Sequence[UnknownCount]:
        """Count the canaries of *span* whose fate is unknown, by why."""
        ways = (canaries.c.spec, canaries.c.outcome, canaries.c.reasons)
        unknown = canaries.c.verdict == Verdict.UNKNOWN.value
        rows = self.connection.execute(select(*ways, func.count()).where(_started_in(span), unknown).group_by(*ways))
        return [UnknownCount(spec, outcome, json.loads(reasons or "[]"), n) for spec, outcome, reasons, n in rows]

    def refusal_counts(self, span: Span) -> Sequence[RefusalCount]:
        """Count the failing canaries of *span* that were not taken, by the reply of the server."""
        refused = canaries.c.attempt_kind == "refused"

        def said(place: str) -> ColumnElement[Any]:
            return case((refused, func.json_extract(canaries.c.attempt, place)))

        ways = (
            canaries.c.spec.label("spec"),
            said("$.stage").label("stage"),
            said("$.reply.code").label("code"),
            said("$.reply.enhanced").label("enhanced"),
        )
        counted = (
            select(
                *ways,
                func.count().label("n"),
                func.min(canaries.c.started_wall).label("first"),
                func.max(canaries.c.started_wall).label("last"),
                func.max(canaries.c.seq).label("newest"),
            )
            .where(failed, _started_in(span), refused | canaries.c.outcome.not_in(_TAKEN))
            .group_by(*(way.name for way in ways))
            .subquery()
        )
        newest = counted.join(canaries, canaries.c.seq == counted.c.newest)
        rows = self.connection.execute(select(counted, canaries.c.id, canaries.c.attempt).select_from(newest))
        return [
            RefusalCount(
                spec=row.spec,
                stage=row.stage,
                code=row.code,
                enhanced=row.enhanced,
                n=row.n,
                first=row.first,
                last=row.last,
                canary=row.id,
                attempt=json.loads(row.attempt or "{}"),
            )
            for row in rows
        ]

    def turns(self, span: Span) -> Iterator[TurnRecord]:
        """Walk through the failures of *span*, and the first decided canary after each run of them, by check.

        The failures of a check on one path are a run, whatever it did on another before.
        """
        after = canaries.alias()
        turned = after.c.verdict.in_(_WELL) | (after.c.spec != canaries.c.spec)
        ended = (after.c.seq == streaks.next_decided()) & turned & (after.c.started_wall < span.until)
        rows = self.connection.execute(
            select(canaries.c.spec, after.c.spec, *_turn(canaries), *_turn(after))
            .select_from(canaries.outerjoin(after, ended))
            .where(failed, _started_in(span))
            .order_by(canaries.c.name, canaries.c.seq)
        )
        paths = {number: check.path for number, check in self.specifications().items()}
        for spec, later, *values in rows:
            half = len(values) // 2
            yield _turned(paths[spec], values[:half])
            if later is None:
                continue
            turn = _turned(paths[spec], values[half:], moved=paths[later] != paths[spec])
            if turn.moved or turn.verdict in _WELL:
                yield turn

    def failing_since(self, check: str, path: str, before: int) -> float | None:
        """Tell since when *check* had been failing on *path* when its canary number *before* was started.

        That is the start of the first failing canary of that run. None if it was not failing: unknown verdicts neither
        begin nor end a run.
        """
        specifications = self.specifications().items()
        elsewhere = [number for number, then in specifications if then.name == check and then.path != path]
        return streaks.failing_since(self.connection, check, elsewhere, before)

    def runs(self, until: float) -> Sequence[RunRecord]:
        """List the real starts of the agent before *until*, oldest first."""
        rows = self.connection.execute(
            select(runs).where(runs.c.began_wall < until, ~runs.c.simulated).order_by(runs.c.id)
        ).all()
        return [RunRecord(row.site, row.version, row.began_wall) for row in rows]

    def offset(self, until: float) -> float:
        """Tell what turned moments of the steady timeline into Unix time when *until* (Unix time) came.

        The wall clock may be set at any time, as by NTP after a start: so the newest canary tells, or a newer start of
        the agent.
        """
        real = (canaries.c.started_wall < until) & (canaries.c.seq > 0)
        started = select(canaries.c.started_at, canaries.c.started_wall).where(real).order_by(canaries.c.seq.desc())
        began = select(runs.c.began_at, runs.c.began_wall).where(runs.c.began_wall < until, ~runs.c.simulated)
        newest = (started, began.order_by(runs.c.id.desc()))
        found = [row for query in newest for row in self.connection.execute(query.limit(1)).all()]
        at, wall = max(found, default=(0.0, 0.0))
        return float(wall - at)

    def blind_spans(self, span: Span, offset: float, *, usual: float) -> Sequence[BlindRecord]:
        """List the times within *span* in which a folder was not looked into; *offset* is that at its end.

        What lasts until the end of *span* may have no row of its own yet: the look that ends it writes that. It is
        told if it is longer than *usual* seconds.
        """
        since, until = span.since - offset, span.until - offset
        ended = select(blind.c.mailbox, blind.c.folder, blind.c.began_at, blind.c.ended_at).where(
            blind.c.ended_at > since, blind.c.began_at < until
        )
        began = func.coalesce(folders.c.looked_at, folders.c.watched_at)
        lasting = select(folders.c.mailbox, folders.c.folder, began, literal(until)).where(began < until - usual)
        found = [tuple(row) for query in (ended, lasting) for row in self.connection.execute(query)]
        return [
            BlindRecord(mailbox, folder, max(span.since, began_at + offset), min(span.until, ended_at + offset))
            for mailbox, folder, began_at, ended_at in sorted(found, key=itemgetter(2))
        ]

    def server_certificates(self) -> Mapping[str, datetime]:
        """Tell, by path, when the certificate ends that its server showed to the newest concluded canary."""
        rows = self.connection.execute(
            select(specs.c.check, evidence.c.content)
            .select_from(standings.join(canaries, canaries.c.id == standings.c.canary))
            .join(specs, specs.c.id == canaries.c.spec)
            .join(evidence, (evidence.c.canary == canaries.c.id) & (evidence.c.kind == "transcript"))
            .order_by(canaries.c.seq)
        )
        found = {}
        for row in rows:
            tls = records.load_transcript(row.content).tls
            if tls is not None and tls.chain:
                found[records.load_check(row.check).path] = tls.chain[0].not_after
        return found

    def simulated(self, span: Span) -> int:
        """Count the canaries of *span* that are those of a made-up past."""
        if self.connection.execute(select(runs.c.id).where(runs.c.simulated).limit(1)).first() is None:
            return 0
        made_up = select(func.count()).where(_started_in(span), canaries.c.seq < 0)
        return int(self.connection.execute(made_up).scalar_one())

    def simulated_site(self) -> str:
        """Name the site of the made-up past; empty where there is none."""
        made_up = select(runs.c.site).where(runs.c.simulated).limit(1)
        return str(self.connection.execute(made_up).scalar() or "")

    def first_run(self) -> float | None:
        """Tell when the first run on this ledger began (Unix time), since when it counts; None if there was none."""
        began = select(func.min(runs.c.began_wall)).where(~runs.c.simulated)
        return self.connection.execute(began).scalar()

    def first_started(self) -> float | None:
        """Tell when the oldest canary on record was started; None if there is none."""
        return self.connection.execute(select(func.min(canaries.c.started_wall))).scalar()


def _started_in(span: Span) -> ColumnElement[bool]:
    return (canaries.c.started_wall >= span.since) & (canaries.c.started_wall < span.until)


def _drawn(share: float) -> ColumnElement[bool]:
    """Draw canaries by their numbers, multiplied so that neighbours come apart (Knuth's multiplicative hash)."""
    if share >= 1.0:
        return true()
    return (func.abs(canaries.c.seq) * 2_654_435_761) % 2**32 < int(share * 2**32)


def _of_stages(field: str) -> ColumnElement[Any]:
    """Read one field of every stage of an attempt, as a JSON array with null for the stages that there were not."""
    return func.json_extract(canaries.c.attempt, *(f"$.transcript.stages[{place}].{field}" for place in _STAGES))


def _turn(of: Any) -> Sequence[ColumnElement[Any]]:
    concluded = of.c.started_wall + of.c.concluded_at - of.c.started_at
    return [of.c.seq, of.c.name, of.c.id, of.c.started_wall, concluded, of.c.verdict, of.c.outcome, of.c.reasons]


def _turned(path: str, values: Sequence[Any], *, moved: bool = False) -> TurnRecord:
    seq, name, canary, started, concluded, judged, outcome, reasons = values
    return TurnRecord(name, path, seq, canary, started, concluded, judged, outcome, json.loads(reasons or "[]"), moved)
