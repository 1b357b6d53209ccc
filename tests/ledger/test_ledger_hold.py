"""One agent at a time: also when somebody deletes the lock file of one that runs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.make import T0, a_canary, accepted

from agent.ledger import Ledger, LedgerInUse, hold


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db.lock"


def test_the_lock_file_says_what_it_is_and_goes_at_the_end(url: str, lock: Path) -> None:
    with Ledger(url):
        assert lock.read_text().startswith(f"{os.getpid()} is the process that works with the ledger.")
        with pytest.raises(LedgerInUse, match=rf"\(process {os.getpid()}\)"):
            Ledger(url).__enter__()
        assert lock.exists()
    assert not lock.exists()


def test_a_lock_file_that_a_killed_agent_left_stops_nobody(url: str, lock: Path) -> None:
    lock.write_text("4711")
    with Ledger(url):
        pass


def test_an_agent_whose_lock_was_deleted_writes_nothing_more_and_leaves_the_lock_of_the_next(
    url: str, lock: Path
) -> None:
    async def story() -> None:
        with Ledger(url) as first:
            await first.begin_run(site="a", version="0", began_at=T0, began_wall=T0)
            canary = a_canary()
            await first.start(canary)
            lock.unlink()
            with pytest.raises(LedgerInUse, match="was deleted or replaced while the agent ran"):
                await first.start(a_canary())
            with Ledger(url) as second:
                await second.begin_run(site="b", version="0", began_at=T0 + 1, began_wall=T0 + 1)
                with pytest.raises(LedgerInUse, match="start this one again"):
                    await first.attempted(canary, accepted(), online=True, at=T0 + 2)
                first.__exit__(None, None, None)
                second.check_hold()

    asyncio.run(story())


def test_who_locks_a_file_that_its_holder_took_away_meanwhile_locks_the_one_that_lies_there(
    url: str, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = hold._take
    taken = []

    def take_late(handle: object) -> None:
        if not taken:
            lock.unlink()
        taken.append(handle)
        take(handle)

    monkeypatch.setattr(hold, "_take", take_late)
    with hold.exclusively(url) as held:
        held.check()
    assert len(taken) == 2


def test_a_hand_over_that_finds_its_canary_settled_by_others_is_logged(url: str) -> None:
    async def story() -> None:
        with Ledger(url) as ledger:
            await ledger.begin_run(site="a", version="0", began_at=T0, began_wall=T0)
            canary = a_canary()
            await ledger.start(canary)
            await ledger.attempted(canary, accepted(), online=True, at=T0 + 1)
            await ledger.attempted(canary, accepted(), online=True, at=T0 + 2)

    with capture_logs() as logs:
        asyncio.run(story())
    assert [one["event"] for one in logs] == ["canary.attempt_not_written"]
