"""Pruning takes nothing away that a canary in flight is judged by."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import func, select
from support.make import T0, a_canary, a_check, accepted

from agent.ledger import Judgement, Ledger, LookRecord, Retention
from agent.ledger.schema import blind
from checks.core import verdict
from checks.core.model import Limits, Outcome, Pending

RETURN = T0 + 7200  # for two hours before it, nobody has looked
FIVE_MINUTES = Retention(rows=300.0)


def a_look(at: float) -> LookRecord:
    return LookRecord(
        mailbox="inbox", folder="INBOX", cursor="1:1", complete=True, began_at=at, answered_at=at, blind_after=65.0
    )


async def look_every_minute(ledger: Ledger, *, minutes: range) -> None:
    for minute in minutes:
        await ledger.looked(a_look(RETURN + 60 * minute))


async def prune_and_judge(ledger: Ledger, at: float) -> Outcome | None:
    """Judge the one canary there is after the old was let go of; None while it is waited for."""
    await ledger.prune(now=at, keep=FIVE_MINUTES)
    (due,) = await ledger.due(at)
    result = verdict.judge(due.facts, at)
    await ledger.judged([Judgement(due=due, result=result)], at=at)
    return None if isinstance(result, Pending) else result.outcome


async def times_without_looks(ledger: Ledger) -> int:
    return await ledger.read(lambda connection: connection.execute(select(func.count(blind.c.seq))).scalar_one())


def test_a_time_without_looks_is_kept_as_long_as_a_canary_in_flight_has_seen_it(tmp_path: Path) -> None:
    async def story() -> None:
        with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
            await ledger.begin_run(site="test", version="0", began_at=T0, began_wall=T0)
            await ledger.configure(watched={"inbox": ["INBOX"]}, thresholds=(), at=T0)
            await ledger.looked(a_look(T0))
            canary = a_canary(a_check(limits=Limits(every=60, late_after=60, lost_after=600)), at=T0 + 1)
            await ledger.start(canary)
            await ledger.attempted(canary, accepted(T0 + 1), online=True, at=T0 + 2)

            await look_every_minute(ledger, minutes=range(9))
            assert await prune_and_judge(ledger, RETURN + 500) is None
            assert await times_without_looks(ledger) == 1

            await look_every_minute(ledger, minutes=range(9, 12))
            assert await prune_and_judge(ledger, RETURN + 700) is Outcome.LOST
            await ledger.prune(now=RETURN + 700, keep=FIVE_MINUTES)
            assert await times_without_looks(ledger) == 0

    asyncio.run(story())
