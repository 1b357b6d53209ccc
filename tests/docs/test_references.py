"""The references tell of every key and every metric, and are what the code says today."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import TypeAdapter

from agent.config import document, sections
from agent.config.expectations import CheckSettings
from agent.config.model import CREDENTIALS
from agent.config.problems import Problems
from checks import registry
from checks.settings import Section

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "reference"


def _make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("relaycanary_reference", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


MAKE: Any = _make()
PLUGINS = [(group, kind) for group in (registry.PATHS, registry.MAILBOXES) for kind in registry.kinds(group)]
TOP = [*MAKE.SINGLE.values(), CheckSettings, *CREDENTIALS.values(), *(registry.load(*one).Settings for one in PLUGINS)]
MODELS = sorted({one for top in TOP for one in (top, *MAKE.nested(top))}, key=lambda one: one.__qualname__)
KEYS = [(model, key) for model in MODELS for key in MAKE.keys(model)]


@pytest.mark.parametrize("name", list(MAKE.PAGES))
def test_a_reference_is_what_the_code_says(name: str) -> None:
    committed = (FOLDER / name).read_text(encoding="utf-8")
    assert committed == MAKE.PAGES[name](), f"run: python deploy/reference/make.py, and commit {name}"


def test_every_section_has_its_chapter() -> None:
    assert set(MAKE.SINGLE) == set(sections._SINGLE)
    page = MAKE.settings_page()
    for name in (*sections._SINGLE, *sections._NAMED):
        assert f"\n## `{name}`\n" in page
    for _, kind in PLUGINS:
        assert f"\n### `kind: {kind}`\n" in page


@pytest.mark.parametrize(("model", "key"), KEYS, ids=lambda one: getattr(one, "name", getattr(one, "__name__", "")))
def test_an_example_is_a_value_that_the_key_takes(model: type[Section], key: Any, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(f"{key.name}: {key.example}\n")
    problems = Problems(file)
    value = document.read(file, problems)[key.name]
    assert problems.errors == ()
    TypeAdapter(key.type).validate_python(value)
    assert key.name in model.model_fields


def test_the_columns_of_a_table_are_not_broken_by_what_stands_in_them() -> None:
    for page in MAKE.PAGES.values():
        rows = [line.replace("\\|", "") for line in page().splitlines() if line.startswith("| ")]
        assert len({line.count("|") for line in rows}) <= 2, "a table has a row with more or fewer columns"
        assert len(rows) > 30


def test_a_key_without_a_meaning_is_an_error() -> None:
    class Bare(Section):
        nothing_said: int = 1

    with pytest.raises(MAKE.Undocumented, match="nothing_said"):
        list(MAKE.keys(Bare))
