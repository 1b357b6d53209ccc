"""``relaycanary rules``: the Prometheus rules, with what the settings add to them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from agent.commands import output
from agent.config.load import find, load
from agent.config.problems import SettingsError
from agent.config.settings import Settings
from checks.core.model import Check

RUNBOOKS = "https://runbooks.example.com/relaycanary"
"""Where the runbook links of the committed rules lead: a placeholder."""
GRAFANA = "https://grafana.example.com"
"""The same for links to dashboards."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+)(ms|s|m|h|d)")


def rules(
    config: Path | None = None, *, runbooks: str = RUNBOOKS, grafana: str = GRAFANA, scale_for: float = 1.0
) -> int:
    """Print the rules as one YAML document for ``rule_files`` of Prometheus.

    Args:
        config: the settings file; without it the usual places are looked through.
        runbooks: where the folder of runbooks is published.
        grafana: the address of Grafana.
        scale_for: what every `for` is multiplied by: a fire drill with the lab need not take an hour.

    Returns:
        The exit code: 0, or 1 if the settings cannot be used.
    """
    try:
        settings = load(find(config), verified=False)
    except SettingsError as error:
        output.complain(error.problems)
        return 1
    output.complain(settings.warnings)
    groups = [_changed(group, runbooks, grafana, scale_for) for group in [*committed(), _expected(settings)]]
    yaml.dump({"groups": groups}, sys.stdout, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
    return 0


def committed() -> Iterator[dict[str, Any]]:
    """Walk through the groups of the rules that are the same for everybody."""
    for file in sorted(_folder().iterdir(), key=lambda file: file.name):
        if file.name.endswith(".yaml"):
            yield from yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]


def _folder() -> Traversable:
    """Find the rules: inside an installed package, or in the checkout that is being worked on."""
    installed = files("agent") / "prometheus"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "dashboards" / "prometheus"


def _expected(settings: Settings) -> dict[str, Any]:
    """Make the group that knows which checks there must be, so that one that vanishes is noticed."""
    site = settings.agent.site
    return {
        "name": "relaycanary-expected",
        "rules": [_missing(check, site) for check in settings.checks.values()],
    }


def _missing(check: Check, site: str) -> dict[str, Any]:
    return {
        "alert": "RelaycanaryCheckMissing",
        "expr": f'absent_over_time(relaycanary_check_info{{check="{check.name}", site="{site}"}}[15m])',
        "for": "5m",  # a Prometheus that has just been set up has seen no check yet
        "labels": {"severity": "warning", "check": check.name, "path": check.path, "site": site},
        "annotations": {
            "summary": "A check that the settings name is not exported.",
            "description": f"Prometheus has not seen check {check.name} of site {site} for 15 minutes: the agent is"
            " gone, is no target any more, or runs with other settings.",
            "runbook_url": f"{RUNBOOKS}/RelaycanaryCheckMissing.md",
            "dashboard_url": f"{GRAFANA}/d/relaycanary-agent",
        },
    }


def _changed(group: dict[str, Any], runbooks: str, grafana: str, scale_for: float) -> dict[str, Any]:
    return {**group, "rules": [_adapted(rule, runbooks, grafana, scale_for) for rule in group["rules"]]}


def _adapted(rule: dict[str, Any], runbooks: str, grafana: str, scale_for: float) -> dict[str, Any]:
    new = dict(rule)
    if "for" in rule:
        new["for"] = f"{max(1, round(_seconds(rule['for']) * scale_for * 1000))}ms" if scale_for != 1 else rule["for"]
    if "annotations" in rule:
        words = dict(rule["annotations"])
        words["runbook_url"] = words["runbook_url"].replace(RUNBOOKS, runbooks.rstrip("/"))
        words["dashboard_url"] = words["dashboard_url"].replace(GRAFANA, grafana.rstrip("/"))
        new["annotations"] = words
    return new


def _seconds(duration: str) -> float:
    return sum(int(number) * _UNITS[unit] for number, unit in _DURATION.findall(duration))


class _Dumper(yaml.SafeDumper):
    """Writes everything out: whoever reads a rule must not have to look elsewhere."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Never write an anchor."""
        return True
