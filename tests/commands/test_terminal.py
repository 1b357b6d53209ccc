"""What commands show on a terminal, and what of it never gets into a pipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.terminal import on_a_terminal

pytestmark = pytest.mark.usefixtures("one_delivered")
_ESCAPE = "\x1b["
_COLOUR = "\x1b[35m"  # magenta, as unknown is


def test_a_bar_stands_on_the_terminal_while_the_lines_of_an_export_go_into_the_pipe(file: Path, tmp_path: Path) -> None:
    exported = tmp_path / "canaries.json"
    shown = on_a_terminal("ledger", "export", "-c", str(file), pipe=exported)
    assert shown.code == 0
    assert "exporting canaries" in shown.screen
    (line,) = exported.read_text().splitlines()
    assert json.loads(line)["check"] == "relay"


def test_a_report_shows_how_far_it_has_come(file: Path, tmp_path: Path) -> None:
    shown = on_a_terminal("report", "-c", str(file), "--format", "json", "-o", str(tmp_path / "week.json"))
    assert shown.code == 0
    assert "counting canaries" in shown.screen
    assert "1 of 1" in shown.screen


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        pytest.param({}, True, id="a terminal"),
        pytest.param({"NO_COLOR": "1"}, False, id="NO_COLOR"),
    ],
)
def test_status_is_coloured_on_a_terminal_unless_told_otherwise(
    file: Path, environment: dict[str, str], coloured: bool
) -> None:
    shown = on_a_terminal("status", "-c", str(file), environment=environment)
    assert "relay" in shown.screen
    assert (_COLOUR in shown.screen) is coloured


def test_what_goes_into_a_pipe_has_no_escape_sequences(file: Path, tmp_path: Path) -> None:
    piped = tmp_path / "status.txt"
    on_a_terminal("status", "-c", str(file), pipe=piped)
    assert "relay" in piped.read_text()
    assert _ESCAPE not in piped.read_text()


def test_status_is_renewed_in_its_place_until_it_is_told_to_stop(file: Path) -> None:
    shown = on_a_terminal("status", "--watch", "-c", str(file), stop_after="LAST LOOK")
    assert "relay" in shown.screen
    assert shown.code == 130
    assert "Traceback" not in shown.screen


def test_without_a_terminal_there_is_nothing_to_renew(file: Path, tmp_path: Path) -> None:
    shown = on_a_terminal("status", "--watch", "-c", str(file), pipe=tmp_path / "status.txt")
    assert shown.code == 64
    assert "--watch is for a terminal" in shown.screen
