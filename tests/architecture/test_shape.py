"""The shape of the code base, kept by a machine."""

from __future__ import annotations

import pathlib
import re
from importlib.metadata import entry_points

import pytest

ROOT = pathlib.Path(__file__).parents[2]
MODULES = sorted(path for top in ("agent", "checks") for path in (ROOT / top).rglob("*.py"))
LONGEST_MODULE = 400


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_fits_on_a_few_screens(module):
    assert len(module.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


@pytest.mark.parametrize("folder", ["paths", "mailboxes"])
def test_every_plugin_file_is_registered_and_every_registration_has_its_file(folder):
    """Adding one is a file, a line in pyproject.toml (and installing anew), and a test file."""
    files = {path.stem for path in (ROOT / "checks" / folder).glob("*.py")} - {"__init__"}
    registered = {
        point.module.rpartition(".")[2]
        for point in entry_points(group=f"relaycanary.{folder}")
        if point.module.startswith("checks.")
    }
    assert files == registered


def test_every_folder_of_code_is_a_package():
    """Code in a folder without __init__.py is invisible to the import contracts."""
    migrations = ROOT / "agent" / "ledger" / "migrations"
    bare = {path.parent for path in MODULES if not (path.parent / "__init__.py").exists()}
    assert bare <= {migrations, migrations / "versions"}


def test_the_words_of_the_flow_are_files():
    for word in ("pipeline", "schedule", "probe", "watch", "judge", "ledger", "metrics", "web"):
        assert (ROOT / "agent" / f"{word}.py").exists() or (ROOT / "agent" / word).is_dir()


def test_the_locked_lists_have_a_hash_for_everything_and_name_no_host():
    for name in ("run", "test"):
        text = (ROOT / "deploy" / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
        packages = re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE)
        assert len(packages) > 20
        assert len(re.findall(r"^[a-z0-9-]+==.*\\\n    --hash=sha256:", text, re.MULTILINE)) == len(packages)
        assert "://" not in text
