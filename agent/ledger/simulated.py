"""Write a made-up past into a ledger: marked as simulated, older than all that is real, and never counted.

The rows have numbers below zero, so that in the order of canaries they come before every real one; their run is
marked; totals, histograms and standings do not know them. An agent may be at work with the ledger meanwhile: the
past is written in short transactions.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from agent.ledger import connect, hold, records
from agent.ledger.errors import LedgerError, LedgerInUse
from agent.ledger.schema import blind, canaries, meta, runs, sightings, specs
from agent.ledger.upgrade import upgrade
from checks.core import token
from checks.core.lifecycle import State
from checks.core.model import Attempt, Check, Findings, Outcome, Verdict

_PAGE = 2000
_DONE = "simulated_past"


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCanary:
    """One concluded canary of the made-up past. Moments are Unix time, durations seconds.

    `findings` is what its headers say, if it was seen; canaries that say the same may share it.
    """

    check: Check
    slot: int
    started: float
    concluded: float
    attempt: Attempt
    outcome: Outcome
    verdict: Verdict
    reasons: Sequence[str]
    submission: float | None
    delivery: float | None
    gap: float | None
    findings: Findings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A made-up past: its canaries, oldest first and `most` at the most, and when which folders were not looked into.

    `began` is Unix time, as are the moments in `blind`: (mailbox, folder, began, ended).
    """

    site: str
    began: float
    most: int
    canaries: Iterable[PastCanary]
    blind: Sequence[tuple[str, str, float, float]] = ()


def fill(url: str, past: Past, tell: Callable[[int], None] = lambda _written: None) -> int:
    """Write *past* into the ledger, once; *tell* hears how many canaries are written. Return how many were.

    A past whose writing was interrupted is written anew.

    Raises:
        LedgerError: the ledger cannot be written.
    """
    with suppress(LedgerInUse), hold.exclusively(url):  # an agent that uses it has brought it up to date
        engine = connect.connect(url)
        upgrade(engine, url)
        engine.dispose()
    engine = connect.connect(url)
    try:
        return _fill(engine, past, tell)
    except SQLAlchemyError as error:
        raise LedgerError.of(error) from None
    finally:
        engine.dispose()


def _fill(engine: Engine, past: Past, tell: Callable[[int], None]) -> int:
    with engine.begin() as connection:
        if connection.execute(select(meta.c.value).where(meta.c.name == _DONE)).first() is not None:
            return 0
        offset = _begin_anew(connection)
        run = _open_run(connection, past, offset)
        for mailbox, folder, began, ended in past.blind:
            row = {"mailbox": mailbox, "folder": folder, "began_at": began - offset, "ended_at": ended - offset}
            connection.execute(insert(blind).values(row))
    numbers: dict[str, int] = {}
    texts: dict[int, tuple[Findings, str]] = {}
    written = 0
    for page in _pages(past.canaries):
        with engine.begin() as connection:
            rows = [
                _row(one, _spec(connection, one.check, numbers), run, written + place - past.most, offset)
                for place, one in enumerate(page)
            ]
            connection.execute(insert(canaries), rows)
            seen = [_sighting(one, row, texts) for one, row in zip(page, rows, strict=True) if row["sightings"]]
            if seen:
                connection.execute(insert(sightings), seen)
        written += len(page)
        tell(written)
    with engine.begin() as connection:
        connection.execute(insert(meta).values(name=_DONE, value=str(written)))
    return written


def _begin_anew(connection: Connection) -> float:
    """Take away what an interrupted writing left; return what turns moments of the steady timeline into Unix time."""
    connection.execute(delete(canaries).where(canaries.c.seq < 0))
    connection.execute(delete(runs).where(runs.c.simulated))
    real = select(runs.c.began_wall - runs.c.began_at).where(~runs.c.simulated).order_by(runs.c.id.desc()).limit(1)
    return float(connection.execute(real).scalar() or 0.0)


def _open_run(connection: Connection, past: Past, offset: float) -> int:
    row = {"site": past.site, "version": "simulated", "began_at": past.began - offset, "began_wall": past.began}
    result = connection.execute(insert(runs).values(**row, simulated=True))
    (run,) = result.inserted_primary_key or (0,)
    return int(run)


def _pages(past: Iterable[PastCanary]) -> Iterator[Sequence[PastCanary]]:
    walk = iter(past)
    while page := list(itertools.islice(walk, _PAGE)):
        yield page


def _row(one: PastCanary, spec: int, run: int, seq: int, offset: float) -> dict[str, Any]:
    seen = one.delivery is not None and one.submission is not None
    started_at = one.started - offset
    return {
        "seq": seq,
        "id": token.canary_id(hashlib.sha256(f"simulated {seq}".encode()).digest()[: token.ID_BYTES]),
        "spec": spec,
        "run": run,
        "name": one.check.name,
        "mailbox": one.check.mailbox,
        "slot": one.slot,
        "started_at": started_at,
        "started_wall": one.started,
        "state": State.CONCLUDED,
        "late_at": started_at + one.check.limits.late_after,
        "deadline_at": started_at + one.check.limits.lost_after,
        "due_at": started_at,
        "facts": 1,
        **records.dump_attempt(one.attempt),
        "online": True,
        "outcome": one.outcome,
        "verdict": one.verdict,
        "reasons": json.dumps(list(one.reasons)),
        "concluded_at": one.concluded - offset,
        "submission": one.submission,
        "delivery": one.delivery,
        "end_to_end": (one.submission or 0.0) + (one.delivery or 0.0) if seen else None,
        "observation_gap": one.gap,
        "sightings": int(seen),
    }


def _sighting(one: PastCanary, row: dict[str, Any], texts: dict[int, tuple[Findings, str]]) -> dict[str, Any]:
    """Make the row of a sighting that is cleaned up already: there is nothing in the mailbox.

    *texts* keeps findings as they are written, with each a hold on itself, so that its number stays its own.
    """
    text = None
    if one.findings is not None:
        if id(one.findings) not in texts:
            texts[id(one.findings)] = (one.findings, records.dump_findings(one.findings) or "")
        text = texts[id(one.findings)][1]
    seen_at = row["started_at"] + row["end_to_end"]
    junk = one.outcome is Outcome.JUNK
    return {
        "canary": row["id"],
        "mailbox": row["mailbox"],
        "folder": "Junk Email" if junk else "INBOX",
        "validity": "simulated",
        "uid": str(row["seq"]),
        "seen_at": seen_at,
        "after_at": seen_at - (one.gap or 0.0),
        "junk": junk,
        "findings": text,
        "deleted_at": seen_at,
    }


def _spec(connection: Connection, check: Check, numbers: dict[str, int]) -> int:
    number = numbers.get(check.name)
    if number is None:
        digest, text = records.dump_check(check)
        number = connection.execute(select(specs.c.id).where(specs.c.digest == digest)).scalar()
        if number is None:
            result = connection.execute(insert(specs).values(digest=digest, check=text))
            (number,) = result.inserted_primary_key or (0,)
        numbers[check.name] = int(number)
    return int(number)
