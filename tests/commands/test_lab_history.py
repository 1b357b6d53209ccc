"""``relaycanary lab --history`` as the first thing that somebody does, and when it cannot be done."""

from __future__ import annotations

import sqlite3

import pytest

from agent.commands.history import history, keep_report
from agent.commands.parts import archive_of
from agent.config.load import load
from checks.lab import Lab


def test_a_past_can_be_made_up_before_the_lab_or_an_agent_has_ever_run(tmp_path, capsys):
    place = tmp_path / "lab"
    assert history(place, "2d") == 0
    assert "simulated canaries written" in capsys.readouterr().out
    settings = load(place / "relaycanary.yaml")
    with sqlite3.connect(settings.agent.ledger.removeprefix("sqlite:///")) as ledger:
        assert ledger.execute("select count(*) > 1000, max(seq) < 0 from canaries").fetchall() == [(1, 1)]


def test_the_lab_that_is_started_after_it_goes_on_with_the_same_ledger(tmp_path, capsys):
    assert history(tmp_path, "1d") == 0
    with Lab(tmp_path) as lab:
        written = load(lab.info.settings).agent.ledger
    assert written == f"sqlite:///{tmp_path / 'ledger.db'}"
    assert history(tmp_path, "1d") == 0
    assert "has a made-up past already" in capsys.readouterr().out


def test_a_past_has_the_report_of_its_last_week_in_the_archive(tmp_path):
    assert history(tmp_path, "9d") == 0
    assert keep_report(tmp_path) == 0
    (issue,) = archive_of(load(tmp_path / "relaycanary.yaml")).issues()
    assert issue.kinds == ["html", "pdf", "csv", "json"]
    assert issue.about.simulated
    assert issue.sent_at is None


def test_a_lab_that_runs_is_left_alone(lab):
    before = lab.info.settings.read_bytes()
    assert history(lab.directory, "1d") == 0
    assert lab.info.settings.read_bytes() == before
    assert lab.status()["ports"] == lab.info.ports


@pytest.mark.parametrize("place", ["a file", "below/a file"])
def test_a_place_that_cannot_hold_a_lab_is_named(tmp_path, capsys, place):
    (tmp_path / "a file").touch()
    (tmp_path / "below").symlink_to(tmp_path)
    assert history(tmp_path / place, "1d") == 1
    assert f"the lab cannot use {tmp_path / place}" in capsys.readouterr().err
