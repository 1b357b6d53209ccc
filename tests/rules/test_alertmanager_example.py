"""The Alertmanager example: taken by amtool, and each alert goes where it belongs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from rules.conftest import DASHBOARDS

pytestmark = pytest.mark.servers
FILE = DASHBOARDS / "alertmanager" / "alertmanager.yml"
MANY_TENANTS = DASHBOARDS.parent / "deploy" / "recipes" / "msp.md"


def amtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["amtool", *map(str, arguments)], capture_output=True, text=True, check=False)


def test_amtool_takes_it() -> None:
    done = amtool("check-config", FILE)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("receiver", "labels"),
    [
        ("pager", {"alertname": "RelaycanaryPathBroken", "severity": "critical"}),
        ("tickets", {"alertname": "RelaycanaryPathBroken", "severity": "warning"}),
        ("diary", {"alertname": "RelaycanaryCertificateExpiring", "severity": "info"}),
        ("deadman", {"alertname": "RelaycanaryWatchdog", "severity": "info"}),
    ],
)
def test_an_alert_goes_to_its_receiver(receiver: str, labels: dict[str, str]) -> None:
    pairs = [f"{name}={value}" for name, value in labels.items()]
    done = amtool("config", "routes", "test", f"--config.file={FILE}", f"--verify.receivers={receiver}", *pairs)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("receivers", "labels"),
    [
        ("noc,contoso", {"alertname": "RelaycanaryPathBroken", "path": "contoso-relay"}),
        ("noc,contoso", {"alertname": "RelaycanaryMailLost", "path": "contoso-relay", "check": "contoso-relay"}),
        ("noc,contoso", {"alertname": "RelaycanaryCheckMissing", "check": "contoso-relay"}),
        ("noc,fabrikam", {"alertname": "RelaycanaryCertificateExpiring", "path": "fabrikam-submission"}),
        ("noc,fabrikam", {"alertname": "RelaycanaryCredentialExpiring", "credential": "fabrikam"}),
        ("noc,fabrikam", {"alertname": "RelaycanaryMailboxUnreadable", "mailbox": "fabrikam"}),
        ("noc", {"alertname": "RelaycanaryMailboxUnreadable", "mailbox": "outside"}),
        ("noc", {"alertname": "RelaycanaryPathBroken", "path": "contoso2-relay"}),
        ("noc", {"alertname": "RelaycanaryAgentDown", "severity": "critical"}),
        ("deadman", {"alertname": "RelaycanaryWatchdog", "severity": "info"}),
    ],
)
def test_of_many_tenants_each_is_told_of_what_is_theirs(receivers: str, labels: dict[str, str], tmp_path: Path) -> None:
    """The routes as they stand in the recipe."""
    blocks = re.findall(r"```yaml\n(.*?)```", MANY_TENANTS.read_text(encoding="utf-8"), re.DOTALL)
    (routes,) = [block for block in blocks if block.startswith("route:")]
    file = tmp_path / "alertmanager.yml"
    file.write_text(routes)
    pairs = [f"{name}={value}" for name, value in labels.items()]
    done = amtool("config", "routes", "test", f"--config.file={file}", f"--verify.receivers={receivers}", *pairs)
    assert done.returncode == 0, done.stdout + done.stderr
