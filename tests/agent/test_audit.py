"""The agent holds its own books against the rows, and says in its metrics what `relaycanary ledger verify` says."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.make import a_canary
from support.simulation import PatientLedger, SimulatedClock, SimulatedLoop, simulate

from agent.audit import Auditor
from agent.ledger import LedgerError, inspect

Story = Callable[[Auditor, SimulatedClock], Awaitable[None]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(file: Path) -> Iterator[PatientLedger]:
    with PatientLedger(f"sqlite:///{file}") as opened:
        yield opened


@pytest.fixture
def audit(ledger: PatientLedger) -> Callable[[Story], None]:
    """Tell a story beside a running auditor of a ledger with one canary in it, in simulated time."""

    def told(story: Story) -> None:
        loop = SimulatedLoop()
        clock = SimulatedClock(loop)

        async def run() -> None:
            await ledger.begin_run(site="test", version="0", began_at=clock.steady(), began_wall=clock.steady())
            await ledger.start(a_canary())
            auditor = Auditor(clock=clock, ledger=ledger)
            running = asyncio.ensure_future(auditor.run())
            await asyncio.sleep(1)
            await story(auditor, clock)
            running.cancel()

        simulate(run(), loop)

    return told


def cook(file: Path, statement: str) -> None:
    """Change the books behind the agent's back."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=20)) as other:
        assert other.execute(statement).rowcount == 1


def test_books_that_are_right_have_no_problems_from_the_start(audit: Callable[[Story], None]) -> None:
    async def story(auditor: Auditor, clock: SimulatedClock) -> None:
        assert auditor.last is not None
        assert (auditor.last.problems, auditor.last.at) == (0, pytest.approx(clock.steady() - 1, abs=0.1))

    audit(story)


def test_what_no_longer_adds_up_is_found_counted_as_verify_counts_it_and_told_once(
    audit: Callable[[Story], None], file: Path
) -> None:
    async def story(auditor: Auditor, clock: SimulatedClock) -> None:
        cook(file, "UPDATE totals SET value = value + 1 WHERE metric = 'canaries_started'")
        with capture_logs() as log:
            await clock.sleep(1000)
        problems = list(inspect.audit(f"sqlite:///{file}", lambda _: None).problems)
        assert problems
        assert auditor.last is not None
        assert auditor.last.problems == len(problems)
        assert [line["problems"] for line in log if line["event"] == "ledger.inconsistent"] == [problems]

        cook(file, "UPDATE totals SET value = value - 1 WHERE metric = 'canaries_started'")
        await clock.sleep(1000)
        assert auditor.last.problems == 0

    audit(story)


def test_a_ledger_that_cannot_be_read_leaves_the_last_finding_and_its_time(
    audit: Callable[[Story], None], ledger: PatientLedger
) -> None:
    async def story(auditor: Auditor, clock: SimulatedClock) -> None:
        before, reading = auditor.last, ledger.read

        async def refuse(_query: object) -> None:
            raise LedgerError("the disk is gone")

        ledger.read = refuse  # type: ignore[method-assign]
        await clock.sleep(1000)
        assert auditor.last == before

        ledger.read = reading  # type: ignore[method-assign]
        await clock.sleep(1000)
        assert auditor.last is not None
        assert before is not None
        assert auditor.last.at > before.at + 1000

    audit(story)
