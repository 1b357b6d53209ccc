"""The parsers reach their floors on real mails that the project did not write, where those are at hand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("score_corpora.py")
CORPORA = Path(__file__).resolve().parents[4] / "shared" / "corpora"


def test_every_score_reaches_its_floor():
    if not CORPORA.is_dir():
        pytest.skip("the corpora of real mails are not beside the checkout (../shared/corpora)")
    run = subprocess.run([sys.executable, SCRIPT, "--json"], capture_output=True, text=True, check=False, timeout=120)
    assert run.stderr == ""
    rows = json.loads(run.stdout)
    assert len(rows) > 20
    assert {row["name"]: row["percent"] for row in rows if row["percent"] < row["floor"]} == {}
    assert run.returncode == 0


def test_absent_corpora_are_said_to_be_absent(tmp_path):
    run = subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "none"], capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 2
    assert "no corpora" in run.stdout
