"""What happens to a canary, as statements: one function a fact, each run inside the writing transaction."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy import Connection, bindparam, insert, select, update

from agent.ledger import records, servers, streaks
from agent.ledger.schema import canaries, evidence, runs, specs, standings
from agent.ledger.writer import Transaction
from checks.core import lifecycle, refusal, verdict
from checks.core.lifecycle import Event, State
from checks.core.model import Accepted, Attempt, Canary, Cause, Check, Conclusion, Outcome, Pending, Refused, Untried
from checks.core.servers import ServerTimes

_log = structlog.get_logger("ledger")
_NEVER = 1e18  # a moment that does not come: nothing is due until a fact arrives
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")

# What every canary needs is built once: building a statement takes several times as long as SQLite takes to run it.
_START = insert(canaries)
_TRANSCRIPT = insert(evidence)
_OF_CANARY = canaries.c.id == bindparam("canary")
_FROM = canaries.c.state.in_(bindparam("sources", expanding=True))
_ATTEMPTED = update(canaries).where(_OF_CANARY, _FROM).values(facts=canaries.c.facts + 1)
_CONCLUDE = update(canaries).where(_OF_CANARY, _FROM, canaries.c.facts == bindparam("judged"))
_CHECK = (
    select(canaries.c.seq, canaries.c.name, specs.c.check).join(specs, specs.c.id == canaries.c.spec).where(_OF_CANARY)
)
_SPEC = select(specs.c.id).where(specs.c.digest == bindparam("digest"))
_STANDING = (
    select(standings, specs.c.check)
    .outerjoin(canaries, canaries.c.id == standings.c.canary)
    .outerjoin(specs, specs.c.id == canaries.c.spec)
    .where(standings.c.name == bindparam("name"))
)
_SEEN_LATER = (
    select(canaries.c.seq)
    .where(
        canaries.c.name == bindparam("check"),
        canaries.c.seq > bindparam("after"),
        canaries.c.end_to_end.is_not(None),
        canaries.c.outcome.in_(sorted(verdict.SEEN)),
    )
    .limit(1)
)
_UNSEEN = dict.fromkeys(("end_to_end", "observation_gap", "scl", "servers"))
_STAND = update(standings).where(standings.c.name == bindparam("check"))


def begin_run(transaction: Transaction, *, site: str, version: str, began_at: float, began_wall: float) -> int:
    """Open a run. What an earlier one left between plan and attempt is in doubt from now on."""
    result = transaction.connection.execute(
        insert(runs).values(site=site, version=version, began_at=began_at, began_wall=began_wall)
    )
    (run,) = result.inserted_primary_key or (0,)
    transaction.connection.execute(
        update(canaries)
        .where(canaries.c.state == State.STARTED, canaries.c.run != run)
        .values(state=lifecycle.target(Event.DOUBT), due_at=began_at)
    )
    transaction.connection.execute(
        update(canaries).where(canaries.c.state.in_(lifecycle.OPEN - {State.STARTED})).values(due_at=began_at)
    )
    return int(run)


def end_run(transaction: Transaction, run: int, *, at: float) -> None:
    """Write down that a run was stopped."""
    transaction.connection.execute(update(runs).where(runs.c.id == run).values(ended_at=at))


def start(transaction: Transaction, canary: Canary, run: int) -> None:
    """Write a canary down before its first byte is sent."""
    check = canary.check
    limits = check.limits
    row = {
        "id": canary.id,
        "spec": _spec(transaction.connection, check),
        "run": run,
        "name": check.name,
        "mailbox": check.mailbox,
        "slot": canary.slot,
        "started_at": canary.started_at,
        "started_wall": canary.started.timestamp(),
        "key": canary.key or None,
        "signature": canary.signature or None,
        "state": State.STARTED,
        "late_at": canary.started_at + limits.late_after,
        "deadline_at": canary.started_at + limits.lost_after,
        "due_at": _NEVER,
        "facts": 0,
        "online": True,
        "sightings": 0,
    }
    transaction.connection.execute(_START, row)
    transaction.changes.count(check.name, "canaries_started", {"method": check.method})


def attempted(transaction: Transaction, canary: Canary, attempt: Attempt, *, online: bool, at: float) -> None:
    """Write down how the hand-over went; from now on the canary can be judged."""
    event = _event(attempt)
    values: dict[str, Any] = {
        **records.dump_attempt(attempt),
        "state": lifecycle.target(event),
        "online": online,
        "due_at": at,
    }
    this = {"canary": canary.id, "sources": sorted(lifecycle.sources(event))}
    changed = transaction.connection.execute(_ATTEMPTED, {**this, **values})
    if not changed.rowcount:
        _log.error("canary.attempt_not_written", check=canary.check.name, canary=canary.id, attempt=event)
    if not changed.rowcount or isinstance(attempt, Untried):
        return
    content = records.dump_transcript(attempt.transcript)
    transaction.connection.execute(
        _TRANSCRIPT, {"canary": canary.id, "kind": "transcript", "at": at, "content": content}
    )
    _count_attempt(transaction, canary.check, attempt)


def conclude(transaction: Transaction, conclusion: Conclusion, *, facts: int, at: float) -> bool:
    """Write down the final verdict, unless there is one already: a canary is concluded exactly once.

    Nor if there are more facts than the *facts* that were judged: a canary that was seen meanwhile is not lost. It
    is due again then. Tell whether the verdict stands.
    """
    connection = transaction.connection
    this = {"canary": conclusion.canary, "sources": sorted(lifecycle.sources(Event.CONCLUDE)), "judged": facts}
    values = {
        "state": lifecycle.target(Event.CONCLUDE),
        "outcome": conclusion.outcome,
        "verdict": conclusion.verdict,
        "reasons": json.dumps(list(conclusion.reasons)),
        "concluded_at": at,
        "submission": conclusion.submission,
        "delivery": conclusion.delivery,
        "end_to_end": conclusion.end_to_end,
        "observation_gap": conclusion.observation_gap,
    }
    if not connection.execute(_CONCLUDE, {**this, **values}).rowcount:
        return False
    row = connection.execute(_CHECK, {"canary": conclusion.canary}).one()
    check = records.load_check(row.check)
    labels = {"method": check.method, "outcome": conclusion.outcome, "verdict": conclusion.verdict}
    transaction.changes.count(row.name, "canaries", labels)
    if conclusion.outcome in verdict.SEEN:
        _observe(transaction, row.name, check.method, conclusion)
    _stand(connection, check, row.seq, conclusion, at)
    return True


def postpone(connection: Connection, canary: str, pending: Pending, *, facts: int, now: float) -> None:
    """Note when time alone may bring a verdict, unless there are more facts than the *facts* that were judged.

    Never at once again: that would judge for ever.
    """
    again = pending.again_at if pending.again_at > now else _NEVER
    connection.execute(
        update(canaries)
        .where(canaries.c.id == canary, canaries.c.outcome.is_(None), canaries.c.facts == facts)
        .values(due_at=again, deadline_at=pending.deadline_at)
    )


def recover(transaction: Transaction, ids: Sequence[str], *, at: float) -> None:
    """Count canaries that are seen after they were concluded as something else; each once."""
    unseen = [outcome for outcome in Outcome if outcome not in verdict.SEEN]
    for row in transaction.connection.execute(
        select(canaries.c.id, canaries.c.name, specs.c.check)
        .join(specs, specs.c.id == canaries.c.spec)
        .where(
            canaries.c.id.in_(ids),
            canaries.c.state.in_(lifecycle.sources(Event.SIGHT)),
            canaries.c.outcome.in_(unseen),
        )
    ).all():
        transaction.connection.execute(
            update(canaries).where(canaries.c.id == row.id).values(state=lifecycle.target(Event.SIGHT), recovered_at=at)
        )
        transaction.changes.count(row.name, "canaries_recovered", {"method": records.load_check(row.check).method})


def _event(attempt: Attempt) -> Event:
    match attempt:
        case Accepted():
            return Event.ACCEPT
        case Refused() as refused if refusal.in_doubt(refused):
            return Event.DOUBT
        case _:
            return Event.REFUSE


def _spec(connection: Connection, check: Check) -> int:
    digest, text = records.dump_check(check)
    known = connection.execute(_SPEC, {"digest": digest}).scalar()
    if known is not None:
        return int(known)
    result = connection.execute(insert(specs).values(digest=digest, check=text))
    (created,) = result.inserted_primary_key or (0,)
    return int(created)


def _count_attempt(transaction: Transaction, check: Check, attempt: Accepted | Refused) -> None:
    changes = transaction.changes
    for timing in attempt.transcript.stages:
        labels = {"method": check.method, "stage": timing.stage}
        changes.count(check.name, "stage_seconds_sum", labels, timing.seconds)
        changes.count(check.name, "stage_seconds_count", labels)
    if isinstance(attempt, Accepted):
        seconds = attempt.transcript.ended_at - attempt.transcript.began_at
        changes.observe(check.name, check.method, "submission", seconds)
    elif attempt.cause is Cause.REPLY and attempt.reply is not None:
        enhanced = attempt.reply.enhanced or ""
        labels = {
            "method": check.method,
            "stage": attempt.stage,
            "code": str(attempt.reply.code),
            "enhanced": enhanced if _ENHANCED.fullmatch(enhanced) else "",
        }
        changes.count(check.name, "smtp_replies", labels)


def _observe(transaction: Transaction, name: str, method: str, conclusion: Conclusion) -> None:
    """Count latencies of mail that was seen. One seen before the reply counts as 0 here; the row keeps it raw."""
    if conclusion.delivery is not None:
        transaction.changes.observe(name, method, "delivery", max(0.0, conclusion.delivery))
    if conclusion.end_to_end is not None:
        transaction.changes.observe(name, method, "end_to_end", max(0.0, conclusion.end_to_end))


def _stand(connection: Connection, check: Check, seq: int, conclusion: Conclusion, at: float) -> None:
    """Move the standing of *check*, as it was when the canary started.

    Outcome and verdict are those of the newest-started concluded canary, latencies and what servers say those of the
    newest-started one that was seen. What stood of another check by the same name ends with the first canary of this
    one that concludes; what the other's canaries come to later changes nothing.
    """
    row = connection.execute(_STANDING, {"name": check.name}).one_or_none()
    newest = row is None or seq > row.seq
    goes_on = row is not None and (row.check is None or verdict.proves(records.load_check(row.check), check))
    if not newest and not goes_on:
        return
    values: dict[str, Any] = {}
    if row is not None and not goes_on:
        values |= {**_UNSEEN, "passed_at": None, **streaks.anew(connection, check, after=row.seq, before=seq)}
    known = values if row is None else {**row._asdict(), **values}
    values |= streaks.move(connection, check, seq, conclusion.verdict, known)
    if conclusion.verdict == "pass":
        values["passed_at"] = at
    seen = conclusion.end_to_end is not None and conclusion.outcome in verdict.SEEN
    if seen and (newest or not _seen_later(connection, check.name, seq)):
        values |= {"end_to_end": conclusion.end_to_end, "observation_gap": conclusion.observation_gap}
        told = servers.read(connection, conclusion.canary)
        values["scl"] = told[1] if told else None
        values["servers"] = records.dump(ServerTimes, told[0]) if told else None
    if newest:
        same = goes_on and row is not None and row.verdict == conclusion.verdict
        values |= {
            "seq": seq,
            "canary": conclusion.canary,
            "outcome": conclusion.outcome,
            "verdict": conclusion.verdict,
            "reasons": json.dumps(list(conclusion.reasons)),
            "concluded_at": at,
            "since_at": row.since_at if row is not None and same else at,
        }
    if row is None:
        connection.execute(insert(standings).values(name=check.name, **values))
    elif values:
        connection.execute(_STAND, {"check": check.name, **values})


def _seen_later(connection: Connection, name: str, seq: int) -> bool:
    """Tell whether a canary of check *name* that was started after number *seq* was seen."""
    return connection.execute(_SEEN_LATER, {"check": name, "after": seq}).first() is not None
