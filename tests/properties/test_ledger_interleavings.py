"""The ledger under coroutines that start, attempt, look and judge at once, in any order that the loop allows."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError
from support.make import T0, a_canary, a_check, a_sighting, accepted, refused

from agent.ledger import Judgement, Ledger, LedgerError, LookRecord
from checks.core import verdict
from checks.core.model import Canary, Cause, Limits, Stage

LIMITS = Limits(every=60, late_after=60, lost_after=600, observe_within=900)


@dataclass(frozen=True)
class Life:
    """What happens to one canary, each with a number of turns that others get first."""

    answer: str
    turns: tuple[int, int, int]
    copies: int


lives = st.builds(
    Life,
    st.sampled_from(["taken", "refused", "doubt", "none"]),
    st.tuples(*[st.integers(0, 6)] * 3),
    st.integers(0, 3),
)


def a_look(at: float, **more) -> LookRecord:
    known = {"mailbox": "inbox", "folder": "INBOX", "cursor": "1:1", "complete": True}
    return LookRecord(**{**known, **more}, began_at=at, answered_at=at, blind_after=125.0)


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def live(ledger: Ledger, canary: Canary, life: Life) -> None:
    """Start, attempt, and be seen as often as there are copies."""
    await turns(life.turns[0])
    await ledger.start(canary)
    await asyncio.gather(attempt(ledger, canary, life), be_seen(ledger, canary, life))


async def attempt(ledger: Ledger, canary: Canary, life: Life) -> None:
    await turns(life.turns[1])
    answers = {
        "taken": accepted(),
        "refused": refused(Stage.RCPT, 550, "5.7.64"),
        "doubt": refused(Stage.DATA, cause=Cause.DROPPED, sent=True),
    }
    if life.answer in answers:
        for _ in range(2):  # told twice: the second changes nothing
            await ledger.attempted(canary, answers[life.answer], online=True, at=T0 + 1)


async def be_seen(ledger: Ledger, canary: Canary, life: Life) -> None:
    await turns(life.turns[2])
    for _ in range(life.copies):
        seen = a_sighting(canary, T0 + 3)
        for _ in range(2):  # shown twice, as after a look that was cut off
            await ledger.looked(a_look(T0 + 3, sightings=[seen]))


async def judge(ledger: Ledger, at: float, told: list[str], rounds: int) -> None:
    for _ in range(rounds):
        due = await ledger.due(at)
        judged = [Judgement(due=one, result=verdict.judge(one.facts, at)) for one in due]
        told.extend(conclusion.canary for conclusion in await ledger.judged(judged, at=at))


def expected(life: Life) -> set[str]:
    """Say which outcomes are true whatever the order was."""
    if life.answer == "refused":
        return {"rejected"}
    if life.copies:
        return {"delivered"}
    return {"lost"} if life.answer == "taken" else {"indeterminate"}


async def story(folder: str, known: list[Life], judges: int) -> None:
    check = a_check(limits=LIMITS)
    canaries = [(a_canary(check), life) for life in known]
    told: list[str] = []
    with Ledger(f"sqlite:///{folder}/ledger.db") as ledger:
        await ledger.begin_run(site="test", version="0", began_at=T0, began_wall=T0)
        await ledger.configure(watched={"inbox": ["INBOX"]}, thresholds=[60.0, 600.0], at=T0)
        async with asyncio.TaskGroup() as group:
            for canary, life in canaries:
                group.create_task(live(ledger, canary, life))
            for _ in range(judges):
                group.create_task(judge(ledger, T0 + 4, told, 6))
        await ledger.begin_run(site="test", version="0", began_at=T0 + 5, began_wall=T0 + 5)  # the other is gone
        for at in range(60, 660, 60):
            await ledger.looked(a_look(T0 + at))
        await asyncio.gather(*(judge(ledger, T0 + 610, told, 3) for _ in range(judges)))
        assert sorted(told) == sorted(canary.id for canary, _ in canaries)
        assert await ledger.verify() == []
        picture = await ledger.snapshot()
    by_outcome = [one.labels["outcome"] for one in picture.totals if one.metric == "canaries"]
    assert set(by_outcome) <= set().union(*(expected(life) for life in known))
    count = {one.metric: one.value for one in picture.totals}
    assert count["canaries_started"] == len(known)
    assert count.get("canaries_duplicates", 0) == sum(max(0, life.copies - 1) for life in known)


@given(st.lists(lives, min_size=1, max_size=6), st.integers(1, 3))
@settings(
    max_examples=200 if settings.get_current_profile_name() == "long" else 25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_in_whatever_order_facts_come_each_canary_is_told_once_and_the_books_are_right(known, judges):
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(story(folder, known, judges))


def test_a_sighting_that_is_committed_while_its_canary_is_called_lost_wins(tmp_path):
    """The judge read the facts before the sighting came, and writes after it: what it knew is out of date."""

    async def between_reading_and_writing() -> None:
        with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
            await ledger.begin_run(site="test", version="0", began_at=T0, began_wall=T0)
            await ledger.configure(watched={"inbox": ["INBOX"]}, thresholds=[60.0, 600.0], at=T0)
            canary = a_canary(a_check(limits=LIMITS))
            await ledger.start(canary)
            await ledger.attempted(canary, accepted(), online=True, at=T0 + 1)
            for at in range(60, 660, 60):
                await ledger.looked(a_look(T0 + at))
            (due,) = await ledger.due(T0 + 601)
            lost = Judgement(due=due, result=verdict.judge(due.facts, T0 + 601))
            await ledger.looked(a_look(T0 + 602, sightings=[a_sighting(canary, T0 + 602, after_at=T0 + 600)]))
            assert await ledger.judged([lost], at=T0 + 602) == []
            told: list[str] = []
            await judge(ledger, T0 + 603, told, 1)
            assert told == [canary.id]
            picture = await ledger.snapshot()
            assert [one.labels["outcome"] for one in picture.totals if one.metric == "canaries"] == ["late"]

    asyncio.run(between_reading_and_writing())


def test_thresholds_that_could_not_be_written_down_leave_the_histograms_as_they_are(tmp_path):
    """A disk that is full at the commit of a reload must not leave the writer with buckets that the ledger has not."""

    async def full_at_the_reload() -> None:
        with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
            await ledger.begin_run(site="test", version="0", began_at=T0, began_wall=T0)
            await ledger.configure(watched={"inbox": ["INBOX"]}, thresholds=[60.0, 600.0], at=T0)

            async def deliver(at: float) -> None:
                canary = a_canary(a_check(limits=LIMITS), at=at)
                await ledger.start(canary)
                await ledger.attempted(canary, accepted(at, 5000.0), online=True, at=at)

            await deliver(T0)
            with failing_commits(ledger):
                with_more = [1.5, 2.5, 3.5, 60.0, 600.0]
                failed = ledger.configure(watched={"inbox": ["INBOX"]}, thresholds=with_more, at=T0)
                (error,) = await asyncio.gather(failed, return_exceptions=True)
                assert isinstance(error, LedgerError)
            async with asyncio.timeout(10):
                await deliver(T0 + 10)
            picture = await ledger.snapshot()
            assert [(len(one.counts), sum(one.counts)) for one in picture.histograms] == [(len(picture.bounds) + 1, 2)]

    asyncio.run(full_at_the_reload())


@contextmanager
def failing_commits(ledger: Ledger) -> Iterator[None]:
    """Let every commit fail, as on a full disk."""

    def fail(_connection: Connection) -> None:
        raise OperationalError("COMMIT", {}, sqlite3.OperationalError("database or disk is full"))

    engine = ledger._writer._engine
    event.listen(engine, "commit", fail)
    yield
    event.remove(engine, "commit", fail)


def test_the_steady_timeline_never_runs_behind_a_canary_that_was_concluded(tmp_path):
    """The wall clock was set back while the agent was down, and the mailbox was unreadable before: no look tells."""

    async def concluded_without_a_look() -> float:
        with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
            await ledger.begin_run(site="test", version="0", began_at=T0, began_wall=T0)
            canary = a_canary(a_check(limits=LIMITS), at=T0 + 500)
            await ledger.start(canary)
            assert ledger.newest_moment() == T0 + 500
            await ledger.attempted(canary, refused(Stage.RCPT, 550, "5.7.64"), online=True, at=T0 + 501)
            await judge(ledger, T0 + 502, [], 1)
            return ledger.newest_moment()

    assert asyncio.run(concluded_without_a_look()) == T0 + 502
