"""Backup, restore and the rotation of keys, as deploy/README.md tells them, on a live agent with the lab."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.process import SEEN, AgentProcess, LedgerFile, until

from checks.lab import Lab

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
PATIENCE = 120.0


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        yield lab


@pytest.fixture
def settings(lab: Lab, tmp_path: Path) -> Path:
    """The lab's settings with a canary each second, and more patience than any machine needs."""
    content = yaml.safe_load(lab.info.settings.read_text())
    content["agent"]["ledger"] = f"sqlite:///{tmp_path}/ledger.db"
    content["web"] = {"listen": "127.0.0.1:0"}
    content["checks"] = {
        "relay": {**content["checks"]["relay"], "every": "1s", "late_after": "5m", "lost_after": "10m"}
    }
    file = tmp_path / "relaycanary.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def change_keys(settings: Path, keys: list[dict[str, Any]]) -> None:
    content = yaml.safe_load(settings.read_text())
    content["agent"]["signing_keys"] = keys
    settings.write_text(yaml.safe_dump(content))


def passed(ledger: LedgerFile, number: int, where: str = "1") -> None:
    until(f"{number} passed", lambda: ledger.count(f"verdict = 'pass' AND {where}") >= number, within=PATIENCE)


def relaycanary(*arguments: object) -> None:
    command = [sys.executable, "-m", "agent", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_a_backup_of_a_live_agent_is_restored_and_nothing_in_it_is_lost(settings: Path, tmp_path: Path) -> None:
    ledger, copy = LedgerFile(settings), tmp_path / "backup.db"
    with AgentProcess(settings) as agent:
        passed(ledger, 2)
        relaycanary("ledger", "backup", copy, "-c", settings)
        passed(ledger, ledger.count() + 1)
        assert agent.stop() == 0

    aside = tmp_path / "before-restore"
    aside.mkdir()
    for file in tmp_path.glob("ledger.db*"):
        file.rename(aside / file.name)
    shutil.copy(copy, ledger.path)
    restored = [row["id"] for row in ledger.canaries()]
    newest = max(row["seq"] for row in ledger.canaries())

    with AgentProcess(settings) as agent:
        passed(ledger, 1, f"seq > {newest}")
        under_way = f"outcome IS NULL AND seq <= {newest}"
        until("what was under way is concluded", lambda: not ledger.count(under_way), within=PATIENCE)
        assert agent.stop() == 0
    relaycanary("ledger", "verify", "-c", settings)
    rows = {row["id"]: row for row in ledger.canaries()}
    assert set(restored) <= rows.keys()
    assert {rows[one]["outcome"] for one in restored} <= SEEN


def test_a_key_is_replaced_while_canaries_are_on_their_way(settings: Path, tmp_path: Path) -> None:
    ledger = LedgerFile(settings)
    old = yaml.safe_load(settings.read_text())["agent"]["signing_keys"]
    key = tmp_path / "k2"
    key.write_text("another-secret-that-signs-canaries")
    key.chmod(0o600)
    new = {"id": "k2", "secret": {"file": str(key)}}
    with AgentProcess(settings) as agent:
        passed(ledger, 2)
        for number, keys in enumerate(([new, *old], [new]), start=1):
            change_keys(settings, keys)
            os.kill(agent.pid, signal.SIGHUP)
            until(
                "the settings are in force",
                lambda n=number: len(agent.events("settings.reloaded")) == n,
                within=PATIENCE,
            )
            passed(ledger, 2, f"seq > {ledger.count()}")
        assert agent.stop() == 0
    assert ledger.problems() == []
    assert set(ledger.outcomes()) <= {*SEEN, "in flight"}


def test_every_file_and_command_that_the_readme_names_exists() -> None:
    for link in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (FOLDER / link).exists(), link
    for command in set(re.findall(r"relaycanary (ledger \w+|check-config|doctor|status)", README)):
        relaycanary(*command.split(), "--help")
    assert {"ledger backup", "ledger verify"} <= set(re.findall(r"relaycanary (ledger \w+)", README))
