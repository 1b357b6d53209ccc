"""Pruning by hand: beside an agent or alone, within what the settings say, and the books stay right."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from agent.commands.ledger import prune, verify
from agent.ledger import Ledger, inspect

DAY = 86400.0


def concluded(past: Any, *, days: float) -> Any:
    ago = days * DAY
    return past.canary("relay", past.accepted(ago=ago), ago=ago, seen=1.0)


def refused(past: Any, *, days: float) -> Any:
    ago = days * DAY
    return past.canary("submission", past.refused("no", ago=ago), ago=ago)


def started(past: Any) -> float:
    snapshot = inspect.picture(past.settings.agent.ledger).snapshot
    return sum(one.value for one in snapshot.totals if one.metric == "canaries_started")


def test_what_is_older_than_the_settings_say_goes_and_the_totals_stay(
    past: Any, file: Path, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = past(file)
    facts = (concluded(before, days=401), concluded(before, days=2), refused(before, days=36), refused(before, days=3))
    before.write(*facts, before.canary("relay", before.accepted(ago=500 * DAY), ago=500 * DAY), began=600 * DAY)
    assert prune(file) == 0
    said = capsys.readouterr().out
    assert re.fullmatch(rf"{ledger}: 1 canary and 3 pieces of evidence are gone; 4 canaries are kept\n", said)
    assert started(before) == 5
    assert verify(file) == 0
    assert prune(file) == 0
    assert "no canaries and no pieces of evidence are gone; 4 canaries are kept" in capsys.readouterr().out


def test_a_shorter_time_may_be_asked_for_but_none_in_which_canaries_still_lie_in_a_mailbox(
    past: Any, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = past(file)
    before.write(concluded(before, days=91), concluded(before, days=2), began=100 * DAY)
    assert prune(file, keep="7d") == 64
    assert capsys.readouterr().err.startswith("relaycanary: --keep: at least 8 d, a day more than agent.keep: ")
    assert prune(file, keep="ninety") == 64
    assert "is not a duration" in capsys.readouterr().err
    assert prune(file, keep="90d") == 0
    assert "1 canary and " in capsys.readouterr().out
    assert verify(file) == 0


def test_pruning_goes_on_beside_an_agent_that_writes(past: Any, file: Path) -> None:
    before = past(file)
    before.write(*(concluded(before, days=401 + number / 1000) for number in range(30)), began=600 * DAY)
    new = [before.canary("relay", None, ago=1) for _ in range(30)]

    async def busy(ledger: Ledger) -> None:
        await ledger.begin_run(site="ams1", version="1", began_at=before.at(60), began_wall=before.now.timestamp() - 60)
        pruned = asyncio.create_task(asyncio.to_thread(prune, file))
        for fact in new:
            await fact(ledger)
        assert await pruned == 0
        assert await ledger.verify() == []

    with Ledger(before.settings.agent.ledger) as ledger:
        asyncio.run(busy(ledger))
    assert inspect.audit(before.settings.agent.ledger, lambda _: None).canaries == len(new)


def test_the_file_gets_smaller_where_that_is_asked_for_and_no_agent_runs(
    past: Any, file: Path, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = past(file)
    before.write(*(concluded(before, days=401) for _ in range(60)), began=600 * DAY)
    assert verify(file) == 0
    with Ledger(before.settings.agent.ledger):
        assert prune(file, compact=True) == 1
        assert "stop it to compact" in capsys.readouterr().err
    size = ledger.stat().st_size
    assert prune(file, compact=True) == 0
    assert ledger.stat().st_size < size
    assert verify(file) == 0


def test_a_ledger_that_is_not_there_is_not_made(file: Path, ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prune(file) == 1
    assert capsys.readouterr().err == f"relaycanary: there is no ledger at {ledger}: has the agent run yet?\n"
    assert not ledger.exists()
