"""What happens when a ledger is opened: an old one is kept as a copy, a damaged one is set aside, none goes unsaid."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from alembic import command
from alembic.config import Config

from agent.ledger import Ledger, LedgerError, LedgerInUse, inspect
from agent.ledger.connect import connect
from agent.ledger.versions import MIGRATIONS


def url(folder: Path) -> str:
    return f"sqlite:///{folder}/ledger.db"


def version(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger with one run, as the agent left it."""
    with Ledger(url(tmp_path)) as opened:
        asyncio.run(opened.begin_run(site="ams1", version="1", began_at=100.0, began_wall=100.0))
    return tmp_path / "ledger.db"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A ledger of version 0006, as an agent of that time left it."""
    ledger = tmp_path / "ledger.db"
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = connect(url(tmp_path))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0006")
        connection.commit()
    engine.dispose()
    return ledger


def test_a_new_ledger_and_one_that_is_up_to_date_are_told_apart(tmp_path: Path) -> None:
    with Ledger(url(tmp_path)) as first:
        assert first.opening.upgraded is not None
        assert first.opening.upgraded.before is None
    with Ledger(url(tmp_path)) as second:
        assert second.opening.upgraded is not None
        assert second.opening.upgraded.before == second.opening.upgraded.after
        assert second.opening.upgraded.copy is None
    assert sorted(one.name for one in tmp_path.iterdir()) == ["ledger.db"]


def test_what_a_ledger_was_before_its_tables_are_changed_is_kept(old: Path) -> None:
    with Ledger(f"sqlite:///{old}") as opened:
        upgraded = opened.opening.upgraded
    assert upgraded is not None
    assert (upgraded.before, upgraded.copy) == ("0006", old.with_name("ledger.db.version-0006"))
    assert version(old.with_name("ledger.db.version-0006")) == "0006"
    assert version(old) == upgraded.after


def test_without_room_for_the_copy_the_ledger_stays_as_it_is(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(LedgerError, match=r"needs 0\.\d MB in .*, where 0\.0 MB are free; nothing was changed"):
        Ledger(f"sqlite:///{old}").__enter__()
    assert version(old) == "0006"
    assert not list(old.parent.glob("*version*"))


def damage_a_page(ledger: Path) -> None:
    content = bytearray(ledger.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 100] = b"\xa5" * 100
    ledger.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        damage_a_page,
        lambda ledger: ledger.write_bytes(b"\0" * 8192),
        lambda ledger: ledger.write_bytes(ledger.read_bytes()[:9000]),
    ],
    ids=["pages", "zeros", "cut off"],
)
def test_a_damaged_ledger_is_set_aside_and_a_new_one_says_so(damage, ledger: Path) -> None:
    damage(ledger)
    content = ledger.read_bytes()
    with Ledger(f"sqlite:///{ledger}") as opened:
        aside = opened.opening.set_aside
        assert aside is not None
        assert aside.found
        assert aside.file == ledger.with_name("ledger.db.damaged-1")
        asyncio.run(opened.begin_run(site="ams1", version="1", began_at=500.0, began_wall=700.0))
        assert opened.began_anew is not None
        assert asyncio.run(opened.verify()) == []
    assert aside.file.read_bytes() == content
    assert inspect.picture(f"sqlite:///{ledger}").snapshot.began_wall == 700.0

    damage(ledger)
    with Ledger(f"sqlite:///{ledger}") as again:
        assert again.opening.set_aside is not None
        assert again.opening.set_aside.file == ledger.with_name("ledger.db.damaged-2")


def test_a_ledger_that_an_agent_uses_is_not_examined_by_another(ledger: Path) -> None:
    with Ledger(f"sqlite:///{ledger}"), pytest.raises(LedgerInUse):
        Ledger(f"sqlite:///{ledger}").__enter__()
    assert not list(ledger.parent.glob("*damaged*"))


def test_what_never_was_a_ledger_is_not_renamed(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    file.write_bytes(b"a shopping list\n" * 500)
    with pytest.raises(LedgerError, match="file is not a database"):
        Ledger(url(tmp_path)).__enter__()
    assert file.read_bytes() == b"a shopping list\n" * 500


def test_the_files_that_root_makes_belong_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make files for others")
    os.chown(tmp_path, 4711, 4711)
    with Ledger(url(tmp_path)):
        pass
    assert {(one.stat().st_uid, one.stat().st_gid) for one in tmp_path.iterdir()} == {(4711, 4711)}
