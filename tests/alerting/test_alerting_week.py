"""A week with planted incidents, run through the rules by promtool: what must page does, and nothing else does."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from alerting.stack import DASHBOARDS
from alerting.week import INCIDENTS, METHODS, MINUTES, Incident, week

pytestmark = [pytest.mark.servers, pytest.mark.long]

PAGES = 'ALERTS{alertstate="firing", severity="critical"}'
LINGERS = 12
"""Minutes for which a page may go on after the last bad canary was sent: until the last lost one has concluded."""


def expectations() -> list[dict[str, Any]]:
    """Ask at the end of each incident, and of each stretch between, which alerts paged within."""
    tests = []
    quiet_from = 0
    for one in INCIDENTS:
        if one.pages is None:
            continue
        tests.append(_paged(quiet_from, one.begins, set()))
        names = {one.pages}
        if one.pages == "RelaycanaryAllPathsDown" and one.outcome == "unreachable":
            names.add("RelaycanaryPathBroken")  # it fires, and Alertmanager holds it back
        quiet_from = one.ends + LINGERS
        tests.append(_paged(one.begins, quiet_from, names))
    tests.append(_paged(quiet_from, MINUTES, set()))
    return tests + [_warned(one) for one in INCIDENTS if one.warns is not None]


def _warned(one: Incident) -> dict[str, Any]:
    fired = f'ALERTS{{alertstate="firing", severity="warning", alertname="{one.warns}"}}'
    length = one.ends - one.begins
    return {
        "expr": f"count by (alertname, check) (count by (alertname, check) (count_over_time({fired}[{length}m])))",
        "eval_time": f"{one.ends}m",
        "exp_samples": [
            {"labels": f'{{alertname="{one.warns}", check="{check}"}}', "value": 1} for check in one.checks
        ],
    }


def _paged(begins: int, ends: int, names: set[str]) -> dict[str, Any]:
    return {
        "expr": f"count by (alertname) (count_over_time({PAGES}[{ends - begins - 1}m]))",
        "eval_time": f"{ends - 1}m",
        "exp_samples": [
            {
                "labels": f'{{alertname="{name}"}}',
                "value": len(METHODS) if name.endswith("PathBroken") and len(names) > 1 else 1,
            }
            for name in sorted(names)
        ],
    }


def test_every_planted_incident_is_told_of_and_pages_only_if_it_must_in_a_week(promtool: str, tmp_path: Path) -> None:
    series = [{"series": one.name, "values": one.text()} for check in METHODS for one in week(check)]
    file = tmp_path / "week.test.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "rule_files": [str(DASHBOARDS / "prometheus" / f"{name}.yaml") for name in ("checks", "latency")],
                "evaluation_interval": "2m",
                "group_eval_order": ["relaycanary-checks", "relaycanary-latency"],
                "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": expectations()}],
            }
        )
    )
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]
