"""Backup, restore and export of a ledger, also while it is written into."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.commands.ledger import backup, export, verify
from agent.ledger import Ledger, inspect


def delivered(past: Any) -> Any:
    return past.canary("relay", past.accepted(ago=5), ago=5, seen=1.0)


def as_ledger(copy: Path, ledger: Path) -> None:
    """Put a backup in the place of a ledger, as the procedure says."""
    aside = ledger.parent / "aside"
    aside.mkdir()
    for one in ledger.parent.glob("ledger.db*"):
        one.rename(aside / one.name)
    shutil.copy(copy, ledger)


def test_a_copy_of_a_ledger_that_is_written_into_is_of_one_moment(past: Any, file: Path, copy: Path) -> None:
    before = past(file)
    before.write(delivered(before))
    url = before.settings.agent.ledger
    copies = [copy.with_name(f"{number}.db") for number in range(5)]

    async def busy(ledger: Ledger) -> int:
        await ledger.begin_run(site="ams1", version="1.2.3", began_at=before.at(60), began_wall=0)
        copying = asyncio.create_task(asyncio.to_thread(lambda: [backup(one, file) for one in copies]))
        written = 0
        while not copying.done() or written < 10:
            await delivered(before)(ledger)
            written += 1
        assert await copying == [0] * len(copies)
        assert await ledger.verify() == []
        return written

    with Ledger(url) as ledger:
        written = asyncio.run(busy(ledger))
    counts = []
    for one in copies:
        audit = inspect.audit(f"sqlite:///{one}", lambda _: None)
        assert audit.problems == []
        counts.append(audit.canaries)
    assert counts == sorted(counts)
    assert 1 <= counts[0] <= counts[-1] <= written + 1


def test_a_copy_is_one_file_that_only_its_owner_may_read(
    past: Any, file: Path, ledger: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = past(file)
    before.write(delivered(before))
    assert backup(copy, file) == 0
    assert capsys.readouterr().out == f"{copy}: 1 canary of {ledger}, examined\n"
    assert [one.name for one in copy.parent.iterdir()] == ["copy.db"]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_what_was_restored_goes_on_and_its_books_are_right(past: Any, file: Path, ledger: Path, copy: Path) -> None:
    before = past(file)
    on_its_way = before.canary("relay", before.accepted(ago=5), ago=5)
    before.write(delivered(before), on_its_way)
    assert backup(copy, file) == 0
    before.write(delivered(before), delivered(before))
    as_ledger(copy, ledger)
    assert verify(file) == 0
    picture = inspect.picture(before.settings.agent.ledger)
    assert sum(one.value for one in picture.snapshot.totals if one.metric == "canaries_started") == 2
    before.write(delivered(before))
    assert verify(file) == 0


def test_a_backup_never_replaces_a_file(past: Any, file: Path, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    past(file).write()
    copy.write_text("the backup of yesterday")
    assert backup(copy, file) == 1
    assert capsys.readouterr().err == f"relaycanary: {copy} is there already: a backup never replaces a file\n"
    assert copy.read_text() == "the backup of yesterday"


def test_a_folder_that_is_not_there_is_named(
    past: Any, file: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    past(file).write()
    assert backup(copy.parent / "no" / "copy.db", file) == 1
    said = f"relaycanary: cannot write into {copy.parent / 'no'}: No such file or directory\n"
    assert capsys.readouterr().err == said


def test_a_damaged_ledger_gives_no_backup(
    past: Any, file: Path, ledger: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = past(file)
    before.write(*(delivered(before) for _ in range(20)))
    content = ledger.read_bytes()
    middle = len(content) // 2
    ledger.write_bytes(content[:middle] + b"\xa5" * 20_000 + content[middle + 20_000 :])
    assert backup(copy, file) == 1
    said = capsys.readouterr().err
    assert "damaged" in said or "malformed" in said
    assert list(copy.parent.iterdir()) == []


def test_a_ledger_can_be_copied_before_it_is_upgraded(past: Any, file: Path, ledger: Path, copy: Path) -> None:
    """Nothing but its version is old here: a copy must not ask for the present one."""
    past(file).write()
    with sqlite3.connect(ledger) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0004'")
    connection.close()
    assert backup(copy, file) == 0
    with sqlite3.connect(copy) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0004",)
    connection.close()


@pytest.mark.parametrize("command", [lambda file, copy: backup(copy, file), lambda file, _: export(file)])
def test_a_ledger_that_is_not_there_is_not_made(
    command: Callable[[Path, Path], int], file: Path, ledger: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(file, copy) == 1
    assert capsys.readouterr().err == f"relaycanary: there is no ledger at {ledger}: has the agent run yet?\n"
    assert not ledger.exists()
    assert list(copy.parent.iterdir()) == []


def test_the_database_of_something_else_is_no_ledger_to_copy(
    file: Path, ledger: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect(ledger) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    assert backup(copy, file) == 1
    assert "this is not a ledger of relaycanary" in capsys.readouterr().err
    assert list(copy.parent.iterdir()) == []


def test_an_export_has_every_canary_on_a_line_of_its_own(
    past: Any, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = past(file)
    hostile = "no\x1b[2J\n550 \N{RIGHT-TO-LEFT OVERRIDE}"
    before.write(
        delivered(before),
        before.canary("submission", before.refused(hostile, ago=4), ago=4),
        before.canary("relay", None, ago=3),
    )
    with Ledger(before.settings.agent.ledger):
        assert export(file) == 0
    text = capsys.readouterr().out
    assert text.isascii()
    first, second, third = (json.loads(line) for line in text.splitlines())
    assert (first["check"], first["method"], first["site"], first["verdict"]) == ("relay", "relay", "ams1", "pass")
    assert first["end_to_end_seconds"] == pytest.approx(1.0, abs=0.3)
    assert first["started_at"].endswith("+00:00")
    assert (second["outcome"], second["attempt"]["reply"]["text"]) == ("rejected", hostile)
    assert (third["outcome"], third["attempt"], third["reasons"]) == (None, None, [])
    assert len({one["canary"] for one in (first, second, third)}) == 3
