"""What the tests of rules and dashboards share."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

DASHBOARDS = Path(__file__).parents[2] / "dashboards"
RULES = sorted((DASHBOARDS / "prometheus").glob("*.yaml"))
TESTS = sorted((DASHBOARDS / "prometheus" / "tests").glob("*.test.yaml"))


def all_rules() -> list[dict[str, Any]]:
    """Read the committed rules."""
    return [rule for file in RULES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in all_rules() if "alert" in rule]


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    assert found, "promtool is not installed: deploy/testbed/install"
    return found
