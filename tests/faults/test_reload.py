"""A reload takes the new settings into force, or keeps the old ones and says so: the agent as a process, by SIGHUP."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import socket
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.process import LedgerFile

from checks.lab import Lab

PATIENCE = 40.0
SEVERAL = 3  # canaries after a reload, before something is said of those that there are none of


@dataclass
class Process:
    """The agent as `python -m agent run`; `settings` are those that its file holds."""

    file: Path
    settings: dict[str, Any]
    running: asyncio.subprocess.Process
    port: int

    def reload(self, text: str | None = None) -> None:
        """Write the settings (or *text*) to the file, and tell the agent."""
        self.file.write_text(yaml.safe_dump(self.settings) if text is None else text)
        self.running.send_signal(signal.SIGHUP)

    async def until(self, shown: Callable[[str], bool]) -> str:
        """Scrape until the metrics are as wanted; return them."""
        text = ""
        try:
            async with asyncio.timeout(PATIENCE):
                while not shown(text):
                    await asyncio.sleep(0.1)
                    with contextlib.suppress(OSError):
                        text = await asyncio.to_thread(_scrape, self.port)
        except TimeoutError:
            pytest.fail(f"after {PATIENCE:g} s the metrics are still: {text}")
        return text


def _scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


def sample(text: str, name: str, **labels: str) -> float | None:
    """Return the sum of the samples of a metric that carry *labels*; None if there is none."""
    found = [
        float(match[2])
        for match in re.finditer(rf"^relaycanary_{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)
        if all(f'{label}="{value}"' in (match[1] or "") for label, value in labels.items())
    ]
    return sum(found) if found else None


@contextlib.asynccontextmanager
async def agent_process(lab: Lab, folder: Path) -> AsyncIterator[Process]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = yaml.safe_load(lab.info.settings.read_text())
    settings["agent"]["ledger"] = f"sqlite:///{folder / 'ledger.db'}"
    settings["web"] = {"listen": f"127.0.0.1:{port}"}
    settings["checks"] = {"first": {"path": "relay", "mailbox": "outside", "every": "1s", "late_after": "30s"}}
    file = folder / "relaycanary.yaml"
    file.write_text(yaml.safe_dump(settings))
    command = (sys.executable, "-m", "agent", "run", "--config", str(file))
    running = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield Process(file, settings, running, port)
        running.terminate()
        assert await asyncio.wait_for(running.wait(), PATIENCE) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.kill()
        await running.wait()


def test_a_reload_runs_the_new_checks_and_no_longer_the_old_ones(lab: Lab, tmp_path: Path) -> None:
    ledger = LedgerFile(tmp_path / "relaycanary.yaml")

    async def story() -> None:
        async with agent_process(lab, tmp_path) as agent:
            await agent.until(lambda text: bool(sample(text, "canaries_total", check="first", verdict="pass")))
            agent.settings["checks"] = {"second": {**agent.settings["checks"]["first"], "path": "direct"}}
            agent.settings["checks"]["second"]["mailbox"] = "inbox"
            agent.reload()

            text = await agent.until(lambda text: bool(sample(text, "canaries_total", check="second", verdict="pass")))
            assert sample(text, "config_last_reload_successful") == 1
            assert sample(text, "check_verdict", check="first") is None
            later = f"seq > {ledger.canaries()[-1]['seq']}"
            await agent.until(lambda _: ledger.count(f"name = 'second' AND {later}") >= SEVERAL)
            assert ledger.count(f"name = 'first' AND {later}") == 0

    asyncio.run(story())


def test_what_is_on_its_way_outlives_a_reload_that_removes_changes_and_adds_checks_and_credentials(
    lab: Lab, tmp_path: Path
) -> None:
    ledger = LedgerFile(tmp_path / "relaycanary.yaml")

    async def story() -> None:
        async with agent_process(lab, tmp_path) as agent:
            await agent.until(lambda text: bool(sample(text, "canaries_total", check="first", verdict="pass")))
            known = agent.settings["checks"]["first"]
            agent.settings["checks"] = {
                "removed": {**known, "every": "1h"},
                "changed": {**known, "every": "1h", "late_after": "40s"},
            }
            lab.break_("relay", "delay=6")
            agent.reload()
            of_both = "name IN ('removed', 'changed') AND outcome IS NULL AND attempt_kind = 'accepted'"
            await agent.until(lambda _: ledger.count(of_both) == 2)

            agent.settings["checks"] = {
                "changed": {**known, "path": "direct", "mailbox": "inbox"},
                "added": {**known, "path": "submission", "mailbox": "inbox"},
            }
            other = tmp_path / "another-file"
            other.write_text((lab.directory / "client-secret").read_text())
            other.chmod(0o600)
            agent.settings["credentials"]["app"]["client_secret"] = {"file": str(other)}
            agent.reload()
            text = await agent.until(lambda text: bool(sample(text, "canaries_total", check="added", verdict="pass")))
            assert sample(text, "check_interval_seconds", check="removed") is None
            await agent.until(lambda _: not ledger.count("name = 'removed' AND outcome IS NULL"))

    asyncio.run(story())
    lab.heal()
    first = {row["name"]: row["outcome"] for row in reversed(ledger.canaries("name != 'first'"))}
    assert (first["removed"], first["changed"]) == ("delivered", "delivered")
    assert ledger.problems() == []


@pytest.mark.long
def test_a_reload_changes_the_settings_of_a_check_that_stays(lab: Lab, tmp_path: Path) -> None:
    async def story() -> None:
        async with agent_process(lab, tmp_path) as agent:
            await agent.until(lambda text: sample(text, "check_late_after_seconds", check="first") == 30)
            agent.settings["checks"]["first"]["late_after"] = "20s"
            agent.settings["paths"]["relay"]["port"] = lab.port("direct")
            agent.reload()

            text = await agent.until(lambda text: sample(text, "check_late_after_seconds", check="first") == 20)
            assert sample(text, "path_info", path="relay", port=str(lab.port("direct"))) == 1

    asyncio.run(story())


def test_canaries_that_start_after_a_reload_have_the_new_limits(lab: Lab, tmp_path: Path) -> None:
    """Where nothing but a limit changes, the check keeps its place in the schedule, and takes the limit over."""
    ledger = LedgerFile(tmp_path / "relaycanary.yaml")

    async def story() -> None:
        async with agent_process(lab, tmp_path) as agent:
            await agent.until(lambda text: sample(text, "check_late_after_seconds", check="first") == 30)
            agent.settings["checks"]["first"]["late_after"] = "20s"
            agent.reload()
            await agent.until(lambda text: sample(text, "check_late_after_seconds", check="first") == 20)
            later = f"seq > {ledger.canaries()[-1]['seq']}"
            await agent.until(lambda _: ledger.count(later) >= SEVERAL)

            assert {round(row["late_at"] - row["started_at"], 3) for row in ledger.canaries(later)} == {20.0}

    asyncio.run(story())


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param("checks: [", id="no YAML"),
        pytest.param("checks: {}\nnonsense: 1\n", id="unknown key", marks=pytest.mark.long),
        pytest.param("", id="empty", marks=pytest.mark.long),
    ],
)
def test_a_bad_file_keeps_the_old_settings_at_work_and_shows(bad: str, lab: Lab, tmp_path: Path) -> None:
    async def story() -> None:
        async with agent_process(lab, tmp_path) as agent:
            await agent.until(lambda text: bool(sample(text, "canaries_total", check="first", verdict="pass")))
            agent.reload(bad)

            text = await agent.until(lambda text: sample(text, "config_last_reload_successful") == 0)
            before = sample(text, "canaries_total", check="first", verdict="pass") or 0
            await agent.until(
                lambda text: (sample(text, "canaries_total", check="first", verdict="pass") or 0) > before + 1
            )
            agent.reload()
            await agent.until(lambda text: sample(text, "config_last_reload_successful") == 1)

    asyncio.run(story())
