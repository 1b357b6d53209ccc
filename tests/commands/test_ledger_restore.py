"""A backup becomes the ledger: nothing that is there is destroyed, and nothing is counted that was counted before."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alerts.sender import a_page, new_page, write

from agent.commands.ledger import backup, restore, verify
from agent.ledger import Ledger, inspect
from agent.ledger.alert_store import AlertStore


def delivered(past: Any) -> Any:
    return past.canary("relay", past.accepted(ago=5), ago=5, seen=1.0)


def on_its_way(past: Any) -> Any:
    return past.canary("relay", past.accepted(ago=5), ago=5)


def counted(before: Any, metric: str) -> float:
    snapshot = inspect.picture(before.settings.agent.ledger).snapshot
    return sum(one.value for one in snapshot.totals if one.metric == metric)


def names(ledger: Path) -> list[str]:
    return sorted(one.name for one in ledger.parent.glob("ledger.db*"))


def states_of_pages(ledger: Path) -> list[str]:
    with sqlite3.connect(ledger) as connection:
        found = [state for (state,) in connection.execute("SELECT state FROM pages")]
    connection.close()
    return found


def test_the_ledger_that_is_there_is_kept_whole_beside_the_restored_one(
    past: Any, file: Path, ledger: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = past(file)
    before.write(delivered(before), on_its_way(before))
    assert backup(copy, file) == 0
    before.write(delivered(before), delivered(before))
    capsys.readouterr()

    assert restore(copy, file) == 0
    aside = ledger.with_name("ledger.db.before-restore-1")
    assert capsys.readouterr().out.splitlines() == [
        f"{ledger}: 2 canaries of {copy}, 1 of them on their way",
        f"what was there is kept: {aside}",
    ]
    assert inspect.audit(f"sqlite:///{aside}", lambda _: None).canaries == 4
    assert inspect.audit(f"sqlite:///{copy}", lambda _: None).canaries == 2
    assert verify(file) == 0
    assert names(ledger) == ["ledger.db", "ledger.db.before-restore-1"]
    assert stat.S_IMODE(ledger.stat().st_mode) == 0o600
    assert restore(copy, file) == 0
    assert "ledger.db.before-restore-2" in names(ledger)


def test_counters_begin_at_zero_with_what_is_on_its_way_and_the_books_stay_right(
    past: Any, file: Path, copy: Path
) -> None:
    before = past(file)
    before.write(*(delivered(before) for _ in range(3)), on_its_way(before))
    assert backup(copy, file) == 0
    assert restore(copy, file) == 0
    assert (counted(before, "canaries_started"), counted(before, "canaries")) == (1, 0)
    assert verify(file) == 0

    after = past(file, behind=0.0)
    after._slot = 50
    after.write(after.canary("relay", after.accepted(ago=-60), ago=-60, seen=1.0), began=-50)
    # The one that was on its way is given up by now, and counted once.
    assert (counted(after, "canaries_started"), counted(after, "canaries")) == (2, 2)
    assert verify(file) == 0


def test_what_was_on_its_way_then_and_is_not_found_is_unobserved_and_never_lost(
    past: Any, file: Path, ledger: Path, copy: Path
) -> None:
    """Its message may have been seen and deleted since: an empty mailbox proves nothing."""
    before = past(file)
    before.write(on_its_way(before))
    assert backup(copy, file) == 0
    assert restore(copy, file) == 0
    after = past(file, behind=0.0)

    async def look_and_judge(ledger: Ledger) -> None:
        await after.looked(after.settings.checks["relay"].mailbox, ago=-100)(ledger)
        await after.canary("submission", None, ago=-101)(ledger)

    after._slot = 50
    after.write(look_and_judge, began=-50)
    with sqlite3.connect(ledger) as connection:
        found = connection.execute("SELECT outcome, reasons FROM canaries WHERE name = 'relay'").fetchone()
    connection.close()
    assert found == ("unobserved", '["the mailbox was replaced, or the ledger restored"]')


def test_a_page_that_waited_to_be_sent_when_the_copy_was_made_is_of_the_past_and_never_sent(
    past: Any, file: Path, ledger: Path, copy: Path
) -> None:
    before = past(file)
    waits = new_page(a_page())
    before.write(lambda ledger: write(AlertStore(ledger), waits))
    assert backup(copy, file) == 0
    assert restore(copy, file) == 0
    after = past(file, behind=0.0)

    async def nothing_is_due(ledger: Ledger) -> None:
        assert await AlertStore(ledger).next_page(waits.channel, after.at(-86400)) == (None, None)

    after.write(nothing_is_due, began=0)
    aside = ledger.with_name("ledger.db.before-restore-1")
    assert states_of_pages(ledger) == ["abandoned"]
    assert states_of_pages(aside) == ["waiting"]


def test_the_ledger_tells_since_when_it_counts(past: Any, file: Path, copy: Path) -> None:
    before = past(file)
    before.write(delivered(before), began=7200)
    url = before.settings.agent.ledger
    assert inspect.picture(url).snapshot.began_wall == pytest.approx(before.now.timestamp() - 7200)
    before.write(began=60)
    assert inspect.picture(url).snapshot.began_wall == pytest.approx(before.now.timestamp() - 7200)
    assert backup(copy, file) == 0
    assert restore(copy, file) == 0
    restored = inspect.picture(url).snapshot.began_wall
    assert restored is not None
    assert restored >= before.now.timestamp()
    before.write(began=0)
    assert inspect.picture(url).snapshot.began_wall == restored


def test_a_damaged_ledger_is_replaced_and_kept(past: Any, file: Path, ledger: Path, copy: Path) -> None:
    before = past(file)
    before.write(delivered(before))
    assert backup(copy, file) == 0
    ledger.write_bytes(b"\0" * 50_000)
    assert restore(copy, file) == 0
    assert verify(file) == 0
    assert ledger.with_name("ledger.db.before-restore-1").read_bytes() == b"\0" * 50_000


def test_a_lost_ledger_is_replaced(past: Any, file: Path, ledger: Path, copy: Path) -> None:
    before = past(file)
    before.write(delivered(before))
    assert backup(copy, file) == 0
    for one in ledger.parent.glob("ledger.db*"):
        one.unlink()
    assert restore(copy, file) == 0
    assert verify(file) == 0


def test_while_an_agent_runs_nothing_is_restored(
    past: Any, file: Path, ledger: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = past(file)
    before.write(delivered(before))
    assert backup(copy, file) == 0
    capsys.readouterr()
    with Ledger(before.settings.agent.ledger):
        assert restore(copy, file) == 1
    assert f"the ledger {ledger} is in use by another agent (process " in capsys.readouterr().err
    assert not any("before" in name for name in names(ledger))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda copy: copy.unlink(), "there is no backup at "),
        (lambda copy: copy.write_bytes(b"a shopping list\n" * 500), "file is not a database"),
        (lambda copy: copy.write_bytes(b""), "this is not a ledger of relaycanary: it has no tables"),
        (lambda copy: change(copy, "UPDATE alembic_version SET version_num = '9999'"), "has version 9999"),
        (lambda copy: change(copy, "UPDATE totals SET value = 9"), "the books of the backup are not right"),
        (lambda copy: copy.write_bytes(copy.read_bytes()[:20_000]), "the ledger "),
    ],
    ids=["missing", "no database", "empty", "too new", "wrong books", "cut off"],
)
def test_what_is_no_whole_backup_changes_nothing(
    spoil: Callable[[Path], object],
    said: str,
    past: Any,
    file: Path,
    ledger: Path,
    copy: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = past(file)
    before.write(delivered(before))
    assert backup(copy, file) == 0
    spoil(copy)
    content = ledger.read_bytes()
    capsys.readouterr()
    assert restore(copy, file) == 1
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
    assert ledger.read_bytes() == content
    assert not any("before" in name for name in names(ledger))


def test_the_ledger_itself_is_no_backup(past: Any, file: Path, ledger: Path) -> None:
    past(file).write()
    assert restore(ledger, file) == 1
    assert verify(file) == 0


def test_a_canary_that_only_the_former_ledger_knows_is_no_forgery(past: Any, file: Path, copy: Path) -> None:
    before = past(file)
    before.write()

    async def told(ledger: Ledger) -> Any:
        await ledger.begin_run(site="ams1", version="1", began_at=before.at(0), began_wall=before.now.timestamp())
        return ledger.began_anew

    with Ledger(before.settings.agent.ledger) as ledger:
        assert asyncio.run(told(ledger)) is None
    assert backup(copy, file) == 0
    assert restore(copy, file) == 0
    with Ledger(before.settings.agent.ledger) as ledger:
        assert asyncio.run(told(ledger)).wall >= before.now.timestamp()


def change(file: Path, statement: str) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute(statement)
    connection.close()
