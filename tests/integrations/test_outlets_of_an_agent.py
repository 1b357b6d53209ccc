"""A running agent with the lab: its textfile, its exports and its pings, over a fault and a restart."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from integrations.test_otlp import metrics, point
from support.process import AgentProcess, LedgerFile, until
from support.receiver import Receiver, receiving

from checks.lab import Lab

PATIENCE = 120.0
SECRET = "/ping/5c1e-2f7e"


@pytest.fixture
def collector() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as running:
        yield running


@pytest.fixture
def settings(lab: Lab, receiver: Receiver, collector: Receiver, tmp_path: Path) -> Path:
    content = yaml.safe_load(lab.info.settings.read_text())
    content["agent"]["ledger"] = f"sqlite:///{tmp_path}/ledger.db"
    content["web"] = {"listen": "127.0.0.1:0"}
    (tmp_path / "ping").write_text(f"{receiver.url}{SECRET}\n")
    (tmp_path / "ping").chmod(0o600)
    relay = {**content["checks"]["relay"], "every": "1s", "late_after": "5m", "lost_after": "10m"}
    content["checks"] = {"relay": {**relay, "ping": {"url": {"file": "ping"}}}}
    content["metrics"] = {
        "textfile": {"file": "relaycanary.prom", "every": "200ms"},
        "otlp": {"endpoint": f"{collector.url}/v1/metrics", "every": "200ms"},
    }
    file = tmp_path / "relaycanary.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def passed(collector: Receiver, since: int = 0) -> Any:
    """Return the newest count that came after *since* exports: one for which the ledger took too long has none."""
    exports = (metrics(collector, number) for number in reversed(range(since, len(collector.got))))
    counts = next(
        (found["relaycanary_canaries_total"] for found in exports if "relaycanary_canaries_total" in found), None
    )
    return counts and point(counts, outcome="delivered", verdict="pass")


def test_every_way_out_says_the_same_and_goes_on_after_a_restart(
    lab: Lab, settings: Path, receiver: Receiver, collector: Receiver
) -> None:
    textfile = settings.with_name("relaycanary.prom")
    with AgentProcess(settings) as agent:
        until("a success is pinged", lambda: SECRET in receiver.paths(), within=PATIENCE)
        until("it is exported", lambda: (now := passed(collector)) and now.as_double >= 1, within=PATIENCE)
        until(
            "it is in the textfile",
            lambda: 'outcome="delivered",verdict="pass"} 0.0' not in textfile.read_text(),
            within=PATIENCE,
        )
        lab.break_("relay", "connector_mismatch")
        until("a failure is pinged", lambda: f"{SECRET}/fail" in receiver.paths(), within=PATIENCE)
        lab.heal()
        content = yaml.safe_load(settings.read_text())
        settings.write_text(yaml.safe_dump({**content, "metrics": {}}))
        os.kill(agent.pid, signal.SIGHUP)
        (refused,) = until("it says so", lambda: agent.events("settings.not_reloaded"), within=PATIENCE)
        assert refused["why"] == "metrics cannot be changed while the agent runs: restart it"
        settings.write_text(yaml.safe_dump(content))
        assert agent.stop() == 0
        said = agent.log.read_text()
    assert not textfile.exists()
    before, exports = passed(collector), len(collector.got)
    with AgentProcess(settings) as agent:
        until("it is exported again", lambda: passed(collector, exports), within=PATIENCE)
        assert agent.stop() == 0
        said += agent.log.read_text()
    after = passed(collector, exports)
    assert after.as_double >= before.as_double >= 1
    assert after.start_time_unix_nano == before.start_time_unix_nano
    assert SECRET not in said
    assert LedgerFile(settings).problems() == []
