"""The properties can fail: each bug that is planted on purpose is caught by them, and nothing where there is none.

A mutant lives in a copy of the code; nothing is looked for but a first failure.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from properties.mutants import MUTANTS, Mutant

_PROJECT = Path(__file__).parents[2]
_COPIED = ("agent", "checks", "deploy/testbed", "tests")
_JUDGES = ("test_judge_properties.py", "test_ledger_interleavings.py", "test_histories.py")
_FAILED = 1  # pytest's exit code for tests that failed; anything else is an accident
_LONGEST = 1800.0  # seconds; beside other work a hard one takes more than ten minutes to find


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the code to a place where it may be changed."""
    place = tmp_path_factory.mktemp("mutants")
    for folder in _COPIED:
        shutil.copytree(_PROJECT / folder, place / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(_PROJECT / "pyproject.toml", place)
    return place


def examine(copy: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    tests = [str(copy / "tests/properties" / name) for name in _JUDGES]
    return subprocess.run(
        [*command, "--hypothesis-profile=hasty", *tests],
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=_LONGEST,
        check=False,
    )


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_bug_can_be_planted_in_the_code_as_it_is(mutant: Mutant) -> None:
    assert (_PROJECT / mutant.file).read_text().count(mutant.good) == 1


@pytest.mark.long
def test_without_a_planted_bug_the_copy_passes(copy: Path) -> None:
    examined = examine(copy)
    assert examined.returncode == 0, examined.stdout[-3000:] + examined.stderr[-2000:]


@pytest.mark.long
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_caught(mutant: Mutant, copy: Path) -> None:
    file = copy / mutant.file
    true = file.read_text()
    assert true.count(mutant.good) == 1, f"{mutant.file} has changed: plant this bug anew"
    file.write_text(true.replace(mutant.good, mutant.bad))
    try:
        examined = examine(copy)
    finally:
        file.write_text(true)
    assert examined.returncode == _FAILED, examined.stdout[-3000:] + examined.stderr[-2000:]
    print([line for line in examined.stdout.splitlines() if line.startswith("FAILED")])  # noqa: T201 - for `pytest -s`
