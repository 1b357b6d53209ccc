"""Let go of what nobody will ask for: evidence of successes early, of failures late, rows last. Totals stay."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Delete, Select, delete, func, insert, select, update

from agent.ledger import outbox, silences
from agent.ledger.schema import blind, canaries, evidence, meta

_DAY = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long things are kept, in seconds."""

    passed_evidence: float = _DAY
    other_evidence: float = 35 * _DAY
    rows: float = 400 * _DAY


def prune(connection: Connection, *, now: float, keep: Retention, limit: int = 500) -> int:
    """Delete at most *limit* things of each kind; return how many went, so that the caller can go on later."""
    gone = 0
    for old in _old_evidence(now, keep):
        gone += connection.execute(delete(evidence).where(evidence.c.canary.in_(old.limit(limit)))).rowcount
    rows = _old_rows(now, keep).limit(limit)
    pruned = connection.execute(delete(canaries).where(canaries.c.id.in_(rows))).rowcount
    if pruned:
        changed = connection.execute(update(meta).where(meta.c.name == "pruned_at").values(value=str(now)))
        if not changed.rowcount:
            connection.execute(insert(meta).values(name="pruned_at", value=str(now)))
    gone += connection.execute(_old_blindness(now, keep)).rowcount
    gone += silences.prune(connection, before=now - keep.rows)
    gone += outbox.prune(connection, before=now - keep.rows, limit=limit)
    return gone + pruned


def count_old(connection: Connection, *, now: float, keep: Retention) -> tuple[int, int]:
    """Count the canaries that may go, and the pieces of evidence of those and of others."""
    rows = connection.execute(select(func.count()).select_from(_old_rows(now, keep).subquery())).scalar_one()
    pieces = (select(func.count()).select_from(old.subquery()) for old in _old_evidence(now, keep))
    return int(rows), sum(int(connection.execute(one).scalar_one()) for one in pieces)


def _old_rows(now: float, keep: Retention) -> Select[tuple[str]]:
    return select(canaries.c.id).where(canaries.c.concluded_at < now - keep.rows)


def _old_blindness(now: float, keep: Retention) -> Delete:
    """Pass over times without looks that a canary in flight has seen: its deadline was moved by them."""
    oldest = (
        select(canaries.c.mailbox, func.min(canaries.c.started_at).label("started_at"))
        .where(canaries.c.outcome.is_(None))
        .group_by(canaries.c.mailbox)
        .subquery()
    )
    counts = (blind.c.mailbox == oldest.c.mailbox) & (blind.c.ended_at >= oldest.c.started_at)
    needed = select(blind.c.seq).join(oldest, counts)
    return delete(blind).where(blind.c.ended_at < now - keep.rows, blind.c.seq.not_in(needed))


def _old_evidence(now: float, keep: Retention) -> list[Select[tuple[str]]]:
    return [
        select(evidence.c.canary)
        .join(canaries, canaries.c.id == evidence.c.canary)
        .where(evidence.c.at < now - age, (canaries.c.verdict == "pass") == passed, canaries.c.outcome.is_not(None))
        for passed, age in ((True, keep.passed_evidence), (False, keep.other_evidence))
    ]
