"""Runbooks for whoever is woken: one an alert, with commands and names that exist."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import yaml
from rules.conftest import DASHBOARDS, alerts
from rules.test_alert_rules import exported

from agent.config import alerts as alerts_section
from agent.config import expectations, model
from checks.core import expect, verdict
from checks.core.model import Outcome, Verdict
from checks.settings import Section

BOOKS = sorted((DASHBOARDS / "runbooks").glob("*.md"))
FROM_SETTINGS = {"RelaycanaryCheckMissing"}
"""Alerts that only `relaycanary rules` makes, of what is configured."""
REASONS = {verdict.TIMELINESS_UNOBSERVED, expect.ATTRIBUTION_UNOBSERVED, expect.EVIDENCE_UNOBSERVED}
every_book = pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)


def named() -> set[str]:
    return {rule["alert"] for rule in alerts()} | FROM_SETTINGS


def settings() -> set[str]:
    """List every key of the agent's own settings."""
    models = [
        one
        for module in (model, alerts_section, expectations)
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Section)
    ]
    return {field for one in models for field in one.model_fields}


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert {book.stem for book in BOOKS} == named()


@every_book
def test_a_runbook_has_its_four_parts_and_its_name(book) -> None:
    text = book.read_text()
    assert text.startswith(f"# {book.stem}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Meaning", "Impact", "Diagnosis", "Mitigation"]
    assert all(len(part.strip()) > 20 for part in re.split(r"^#+ .+$", text, flags=re.MULTILINE)[2:])


@every_book
def test_a_runbook_names_only_alerts_settings_metrics_and_outcomes_that_exist(book) -> None:
    text = book.read_text()
    assert set(re.findall(r"\bRelaycanary[A-Z]\w+", text)) <= named()
    assert set(re.findall(r"\brelaycanary_\w+", text)) <= exported()
    known = settings() | set(Outcome) | set(Verdict) | REASONS
    words = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text)) | set(
        re.findall(r"^\| ([a-z]+_[a-z]+) \|", text, re.MULTILINE)
    )
    assert words <= known, words - known


def test_the_commands_in_runbooks_exist() -> None:
    used = {
        tuple(found.split())
        for book in BOOKS
        for found in re.findall(r"(?m)(?:^|`)relaycanary ((?:ledger |lab |alerts )?[a-z][a-z-]+)", book.read_text())
    }
    assert used
    for command in used:
        done = subprocess.run([sys.executable, "-m", "agent", *command, "--help"], capture_output=True, check=False)
        assert done.returncode == 0, command


def test_no_alert_is_routed_or_inhibited_that_does_not_exist() -> None:
    text = (DASHBOARDS / "alertmanager" / "alertmanager.yml").read_text()
    for pattern in re.findall(r'alertname=~?"([^"]+)"', text):
        for one in re.sub(
            r"RelaycanaryMail\((.*?)\)", lambda m: "|".join(f"RelaycanaryMail{x}" for x in m[1].split("|")), pattern
        ).split("|"):
            assert any(re.fullmatch(one, name) for name in named()), one
    assert yaml.safe_load(text)["route"]["receiver"]
