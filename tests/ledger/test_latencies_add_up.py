"""The books know how many latencies the histograms have to hold, whatever happened since they began."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from support.make import T0, a_canary, a_sighting, accepted, refused

from agent.ledger import Judgement, Ledger, LookRecord, Retention
from agent.ledger.beginning import Beginning, begin_anew
from checks.core import verdict
from checks.core.model import Attempt, Cause, Stage


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'ledger.db'}"


async def run_begins(ledger: Ledger, *thresholds: float) -> None:
    await ledger.begin_run(site="test", version="0", began_at=T0, began_wall=T0)
    await configure(ledger, *thresholds)


async def configure(ledger: Ledger, *thresholds: float) -> None:
    await ledger.configure(watched={"inbox": ["INBOX"]}, thresholds=thresholds, at=T0)


async def arrive(ledger: Ledger, at: float, attempt: Attempt | None = None) -> None:
    canary = a_canary(at=at)
    await ledger.start(canary)
    await ledger.attempted(canary, attempt or accepted(at), online=True, at=at + 1)
    sighting = a_sighting(canary, at + 2)
    look = {"mailbox": "inbox", "folder": "INBOX", "cursor": "1:1", "complete": True, "blind_after": 120.0}
    await ledger.looked(LookRecord(**look, began_at=at + 2, answered_at=at + 2, sightings=[sighting]))
    await judge(ledger, at + 3)


async def judge(ledger: Ledger, at: float) -> None:
    due = await ledger.due(at)
    await ledger.judged([Judgement(due=one, result=verdict.judge(one.facts, at)) for one in due], at=at)


def no_answer(at: float) -> Attempt:
    """It may have been sent: when it was handed over is not known."""
    return refused(Stage.DATA, cause=Cause.DROPPED, sent=True, at=at)


def change(folder: Path, statement: str, *values: str) -> None:
    with sqlite3.connect(folder / "ledger.db") as other:
        assert other.execute(statement, values).rowcount > 0
    other.close()


@pytest.mark.parametrize("family", ["end_to_end", "delivery"])
@pytest.mark.parametrize("pruned", [False, True], ids=["with all rows", "with some pruned"])
def test_latencies_that_vanish_are_a_problem(family: str, pruned: bool, tmp_path: Path) -> None:
    async def story() -> list[str]:
        with Ledger(url(tmp_path)) as ledger:
            await run_begins(ledger)
            await arrive(ledger, T0)
            await arrive(ledger, T0 + 100)
            if pruned:
                assert await ledger.prune(now=T0 + 150, keep=Retention(rows=100.0))
            assert await ledger.verify() == []
            change(tmp_path, "delete from histograms where family = ?", family)
            return await ledger.verify()

    problems = asyncio.run(story())
    assert problems
    assert all("check relay: 0 " in one or "of 0 that" in one for one in problems)


@pytest.mark.parametrize("family", ["end_to_end", "delivery"])
def test_a_latency_too_many_is_a_problem(family: str, tmp_path: Path) -> None:
    async def story() -> list[str]:
        with Ledger(url(tmp_path)) as ledger:
            await run_begins(ledger)
            await arrive(ledger, T0)
            change(tmp_path, "update histograms set counts = '[2]' where family = ?", family)
            return await ledger.verify()

    assert asyncio.run(story())


def test_a_canary_whose_hand_over_was_not_answered_has_no_delivery_time_and_is_not_missed(tmp_path: Path) -> None:
    async def story() -> None:
        with Ledger(url(tmp_path)) as ledger:
            await run_begins(ledger)
            await arrive(ledger, T0)
            await arrive(ledger, T0 + 100, no_answer(T0 + 100))
            assert await ledger.verify() == []
            change(tmp_path, "update histograms set counts = '[2]' where family = 'delivery'")
            assert await ledger.verify()

    asyncio.run(story())


def test_histograms_that_begin_anew_with_other_thresholds_miss_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        with Ledger(url(tmp_path)) as ledger:
            await run_begins(ledger)
            await arrive(ledger, T0)
            await configure(ledger, 45.0)
            assert await ledger.verify() == []
            await arrive(ledger, T0 + 100)
            assert await ledger.verify() == []
            await configure(ledger, 45.0)
            assert await ledger.verify() == []
            change(tmp_path, "delete from histograms where family = 'end_to_end'")
            assert await ledger.verify()

    asyncio.run(story())


@pytest.mark.parametrize("first", ["the conclusion", "the change"])
def test_a_conclusion_in_the_transaction_that_changes_the_thresholds_is_no_problem(first: str, tmp_path: Path) -> None:
    async def story() -> None:
        with Ledger(url(tmp_path)) as ledger:
            await run_begins(ledger)
            canary = a_canary()
            await ledger.start(canary)
            await ledger.attempted(canary, accepted(), online=True, at=T0 + 1)
            look = {"mailbox": "inbox", "folder": "INBOX", "cursor": "1:1", "complete": True, "blind_after": 120.0}
            sighting = a_sighting(canary, T0 + 2)
            await ledger.looked(LookRecord(**look, began_at=T0 + 2, answered_at=T0 + 2, sightings=[sighting]))
            (due,) = await ledger.due(T0 + 3)
            judged = Judgement(due=due, result=verdict.judge(due.facts, T0 + 3))
            both = [ledger.judged([judged], at=T0 + 3), configure(ledger, 45.0)]
            await asyncio.gather(*(both if first == "the conclusion" else reversed(both)))
            assert await ledger.verify() == []
            await arrive(ledger, T0 + 100)
            assert await ledger.verify() == []

    asyncio.run(story())


def test_a_ledger_of_an_earlier_version_is_held_against_its_rows_from_its_next_start_on(tmp_path: Path) -> None:
    async def before() -> None:
        with Ledger(url(tmp_path)) as ledger:
            await run_begins(ledger, 45.0)
            await arrive(ledger, T0)
            await configure(ledger)
            await arrive(ledger, T0 + 100)

    async def after() -> None:
        with Ledger(url(tmp_path)) as ledger:
            assert await ledger.verify() == []
            await run_begins(ledger)
            assert await ledger.verify() == []
            await arrive(ledger, T0 + 200)
            assert await ledger.verify() == []
            change(tmp_path, "delete from histograms where family = 'end_to_end'")
            assert await ledger.verify()

    asyncio.run(before())
    change(tmp_path, "delete from meta where name = 'histograms_since'")
    asyncio.run(after())


def test_thresholds_that_an_earlier_version_changed_meanwhile_are_no_problem(tmp_path: Path) -> None:
    async def with_(*thresholds: float, at: float) -> list[str]:
        with Ledger(url(tmp_path)) as ledger:
            await run_begins(ledger, *thresholds)
            await arrive(ledger, at)
            return await ledger.verify()

    assert asyncio.run(with_(at=T0)) == []
    change(tmp_path, "update meta set value = '[1.0]' where name = 'buckets'")
    change(tmp_path, "delete from histograms")
    assert asyncio.run(with_(at=T0 + 100)) == []


def test_a_restored_ledger_begins_with_its_counters(tmp_path: Path) -> None:
    async def arrives(at: float) -> list[str]:
        with Ledger(url(tmp_path)) as ledger:
            found = await ledger.verify()
            await run_begins(ledger, 45.0)
            await arrive(ledger, at)
            return [*found, *await ledger.verify()]

    assert asyncio.run(arrives(T0)) == []
    engine = create_engine(url(tmp_path))
    with engine.begin() as connection:
        begin_anew(connection, Beginning(at=T0 + 50, wall=T0 + 50))
    engine.dispose()
    assert asyncio.run(arrives(T0 + 100)) == []
