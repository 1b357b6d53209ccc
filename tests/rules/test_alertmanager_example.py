"""The Alertmanager example: taken by amtool, and each alert goes where it belongs."""

from __future__ import annotations

import subprocess

import pytest
from rules.conftest import DASHBOARDS

pytestmark = pytest.mark.servers
FILE = DASHBOARDS / "alertmanager" / "alertmanager.yml"


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
