"""The samples that the catalogue is held against."""

import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def samples():
    """Lines by the id of the row that explains them, answers and failed connections."""
    return tomllib.loads((HERE / "samples.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def known_lines():
    """Lines as servers have written them, each with its row."""
    return tomllib.loads((HERE / "known_lines.toml").read_text(encoding="utf-8"))["line"]
