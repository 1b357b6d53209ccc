from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.commands.ledger import upgrade, verify
from agent.ledger import Ledger

Write = Callable[..., Path]
Command = Callable[[Path], int]


def change(ledger: Path, *statements: str) -> None:
    with sqlite3.connect(ledger) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def head(ledger: Path) -> str:
    with sqlite3.connect(ledger) as connection:
        (version,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    connection.close()
    return str(version)


def test_a_ledger_that_is_up_to_date_is_left_alone(
    past: Any, file: Path, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    past(file).write()
    assert upgrade(file) == 0
    assert capsys.readouterr().out == f"{ledger} is up to date: version {head(ledger)}\n"


def test_an_empty_file_gets_its_tables(file: Path, ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger.touch()
    assert verify(file) == 1
    assert "the ledger has no tables yet" in capsys.readouterr().err
    assert upgrade(file) == 0
    assert capsys.readouterr().out == f"{ledger} was upgraded from nothing to version {head(ledger)}\n"
    assert verify(file) == 0


def test_books_that_add_up_are_right(past: Any, file: Path, ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = past(file)
    before.write(
        before.canary("relay", before.accepted(ago=5), ago=5, seen=1.0),
        before.canary("relay", before.accepted(ago=4), ago=4),
    )
    assert verify(file) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == (f"{ledger}: 2 canaries, the books are right\n", "")


def test_what_does_not_add_up_is_listed(
    past: Any, file: Path, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = past(file)
    before.write(before.canary("relay", before.accepted(ago=5), ago=5, seen=1.0))
    change(ledger, "UPDATE totals SET value = 3 WHERE metric = 'canaries_started'")
    assert verify(file) == 1
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "check relay: 3 started, but 1 concluded and 0 in flight",
        f"{ledger}: 1 canary, 1 problem",
    ]
    assert said.err == ""


def test_a_row_that_belongs_to_nothing_is_listed(
    past: Any, file: Path, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = past(file)
    before.write(before.canary("relay", before.accepted(ago=5), ago=5, seen=1.0))
    change(ledger, "UPDATE sightings SET canary = 'nobody'")
    assert verify(file) == 1
    assert "the table sightings has a row 1 that belongs to nothing in canaries" in capsys.readouterr().out


def test_a_damaged_file_is_found_out(past: Any, file: Path, ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = past(file)
    before.write(*(before.canary("relay", before.accepted(ago=5), ago=5, seen=1.0) for _ in range(20)))
    content = ledger.read_bytes()
    middle = len(content) // 2
    ledger.write_bytes(content[:middle] + b"\xa5" * 20_000 + content[middle + 20_000 :])
    assert verify(file) == 1
    said = capsys.readouterr()
    assert "damaged" in said.out or "it is damaged; put a backup in its place" in said.err
    assert len(said.out.splitlines()) < 60


def test_verify_works_beside_an_agent_and_upgrade_does_not(
    past: Any, file: Path, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = past(file)
    before.write()
    with Ledger(before.settings.agent.ledger):
        assert verify(file) == 0
        assert upgrade(file) == 1
    said = capsys.readouterr()
    assert said.out == f"{ledger}: no canaries, the books are right\n"
    assert said.err.startswith(f"relaycanary: the ledger {ledger} is in use by another agent (process ")


@pytest.mark.parametrize("command", [upgrade, verify])
def test_a_ledger_that_is_not_there_is_not_made(
    command: Command, file: Path, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(file) == 1
    assert capsys.readouterr().err == f"relaycanary: there is no ledger at {ledger}: has the agent run yet?\n"
    assert [path.name for path in ledger.parent.iterdir()] == ["relaycanary.yaml"]


@pytest.mark.parametrize("command", [upgrade, verify])
def test_a_file_that_is_no_database_is_left_alone(
    command: Command, file: Path, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.write_bytes(b"a shopping list\n" * 100)
    assert command(file) == 1
    assert capsys.readouterr().err == "relaycanary: the ledger cannot be used: file is not a database\n"
    assert ledger.read_bytes() == b"a shopping list\n" * 100


@pytest.mark.parametrize("command", [upgrade, verify])
def test_the_database_of_something_else_is_left_alone(
    command: Command, file: Path, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(ledger, "CREATE TABLE bookmarks (url TEXT)")
    assert command(file) == 1
    assert capsys.readouterr().err == (
        "relaycanary: this is not a ledger of relaycanary: the database has tables of something else\n"
    )
    with sqlite3.connect(ledger) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("bookmarks",)]
    connection.close()


@pytest.mark.parametrize("command", [upgrade, verify])
def test_the_ledger_of_a_later_version_is_left_alone(
    command: Command, past: Any, file: Path, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    past(file).write()
    known = head(ledger)
    change(ledger, "UPDATE alembic_version SET version_num = '9999'")
    assert command(file) == 1
    assert capsys.readouterr().err == (
        f"relaycanary: the ledger has version 9999, which this agent does not know (it knows {known}):"
        " upgrade the agent, or use a ledger of its own\n"
    )


@pytest.mark.parametrize("command", [upgrade, verify])
def test_settings_that_cannot_be_used_name_no_ledger(
    command: Command, settings: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(settings(lambda content: content["agent"].pop("signing_keys"))) == 1
    assert "agent.signing_keys" in capsys.readouterr().err
