"""What commands tell to programs: one JSON object on standard output, whatever came of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.commands.check_config import check_config
from agent.commands.ledger import backup, prune, upgrade, verify

Write = Callable[..., Path]
pytestmark = pytest.mark.usefixtures("one_delivered")


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[[], dict[str, Any]]:
    def read() -> dict[str, Any]:
        (line,) = capsys.readouterr().out.splitlines()
        return json.loads(line)

    return read


def test_settings_that_can_be_used_are_counted(file: Path, told: Callable[[], dict[str, Any]]) -> None:
    assert check_config(file, json=True) == 0
    said = told()
    assert said["usable"] is True
    assert said["counts"]["checks"] == 4


def test_a_mistake_in_the_settings_is_told_with_its_line(settings: Write, told: Callable[[], dict[str, Any]]) -> None:
    def misspelt(content: dict[str, Any]) -> None:
        content["checks"]["relay"]["evry"] = "60s"

    file = settings(misspelt)
    assert check_config(file, json=True) == 1
    said = told()
    assert (said["usable"], said["counts"]) == (False, None)
    (problem,) = said["problems"]
    line = next(number for number, text in enumerate(file.read_text().splitlines(), 1) if "evry" in text)
    assert (problem["file"], problem["line"], problem["severity"]) == (str(file), line, "error")
    assert "evry" in problem["message"]


def test_the_commands_of_the_ledger_tell_what_they_did(
    file: Path, tmp_path: Path, told: Callable[[], dict[str, Any]]
) -> None:
    ledger = str(tmp_path / "ledger.db")
    assert verify(file, json=True) == 0
    assert told() == {"ledger": ledger, "canaries": 1, "problems": []}
    assert upgrade(file, json=True) == 0
    done = told()
    assert (done["before"], done["copy"]) == (done["after"], None)
    assert backup(tmp_path / "copy.db", file, json=True) == 0
    assert told() == {"ledger": ledger, "file": str(tmp_path / "copy.db"), "canaries": 1}
    assert prune(file, keep="90d", json=True) == 0
    assert told() == {"ledger": ledger, "canaries": 0, "evidence": 0, "left": 1}
