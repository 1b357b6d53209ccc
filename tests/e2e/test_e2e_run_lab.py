"""`relaycanary run --lab` in an empty folder, and the other commands beside it."""

from __future__ import annotations

import json
import re
import signal
import socket

import pytest
from e2e.product import WEB_PORT, Folder, Metrics, taken, until

from checks.lab import DEFAULT_PORTS, Control

CHECKS = ("relay", "submission", "direct", "graph")
PORTS = (WEB_PORT, *DEFAULT_PORTS.values())

pytestmark = pytest.mark.usefixtures("default_ports")


def all_pass(metrics: Metrics) -> bool:
    return all(metrics.verdict(check) == "pass" for check in CHECKS)


def books_are_right(metrics: Metrics) -> bool:
    return all(
        metrics("relaycanary_canaries_started_total", check=check)
        == metrics.concluded(check) + metrics("relaycanary_canaries_in_flight", check=check)
        for check in CHECKS
    )


def goes_on(metrics: Metrics, *, after: Metrics) -> bool:
    started = "relaycanary_canaries_started_total"
    assert all(metrics(started, check=check) >= after(started, check=check) for check in CHECKS)
    return all(
        metrics.concluded(check, outcome="delivered") > after.concluded(check, outcome="delivered") for check in CHECKS
    )


def test_four_paths_pass_and_the_next_run_goes_on_with_the_same_books(folder: Folder) -> None:
    agent = folder.start("run", "--lab")
    first = agent.until(all_pass)
    assert books_are_right(first)
    assert re.fullmatch(r"relaycanary \S+ runs 4 checks at site lab: http://127\.0\.0\.1:9825\n", agent.out.read_text())
    _commands_find_the_running_lab(folder)
    _a_fault_turns_one_check_and_healing_turns_it_back(folder)
    assert folder.places_of_secrets() == []
    before = agent.metrics()
    assert agent.signal(signal.SIGTERM) == 0
    assert not any(map(taken, PORTS))

    after = folder.start("run", "--lab").until(lambda metrics: goes_on(metrics, after=before) and all_pass(metrics))
    assert after.concluded("relay", outcome="rejected") == before.concluded("relay", outcome="rejected")
    assert books_are_right(after)


def _commands_find_the_running_lab(folder: Folder) -> None:
    status = folder.relaycanary("status")
    assert status.returncode == 0
    assert all(re.search(rf"^{check} +pass +.*delivered", status.stdout, re.MULTILINE) for check in CHECKS)
    told = json.loads(folder.relaycanary("status", "--json").stdout)
    assert {one["check"]: one["verdict"] for one in told["checks"]} == dict.fromkeys(CHECKS, "pass")

    doctor = folder.relaycanary("doctor")
    assert (doctor.returncode, doctor.stderr) == (0, "")
    assert re.search(r"^  ok +smtp\.envelope: .*nothing was sent$", doctor.stdout, re.MULTILINE)
    assert re.search(r"^  ok +headers\.attributed: [1-9]", doctor.stdout, re.MULTILINE)

    probe = folder.relaycanary("probe", "relay")
    assert probe.returncode == 0
    assert re.search(r"^PASS relay delivered in ", probe.stdout, re.MULTILINE)
    one = json.loads(folder.relaycanary("probe", "relay", "--json").stdout)
    assert (one["verdict"], one["outcome"], one["evidence"]["folder"]) == ("pass", "delivered", "INBOX")
    plugin = folder.relaycanary("probe", "relay", "--nagios")
    assert plugin.stdout.startswith("RELAYCANARY OK - relay delivered in ")

    verify = folder.relaycanary("ledger", "verify")
    assert (verify.returncode, verify.stderr) == (0, "")
    assert verify.stdout.endswith(", the books are right\n")


def _a_fault_turns_one_check_and_healing_turns_it_back(folder: Folder) -> None:
    (agent,) = folder.agents
    broken = folder.relaycanary("lab", "break", "relay", "connector_mismatch")
    assert (broken.returncode, broken.stderr) == (0, "")
    before = agent.metrics()
    failing = agent.until(lambda metrics: metrics.verdict("relay") == "fail")
    # The first canary that starts after the break fails; only one that was already under way may still arrive.
    assert failing.concluded("relay", outcome="delivered") <= before.concluded("relay", outcome="delivered") + 1
    assert (
        failing(
            "relaycanary_smtp_replies_total", check="relay", method="relay", stage="rcpt", code="550", enhanced="5.7.64"
        )
        >= 1
    )
    assert {failing.verdict(check) for check in ("submission", "direct", "graph")} == {"pass"}
    status = folder.relaycanary("status")
    assert status.returncode == 2
    assert "550 5.7.64" in status.stdout
    doctor = folder.relaycanary("doctor")
    assert doctor.returncode == 2
    assert doctor.stdout.startswith("path relay\n  failure    smtp.envelope: refused at RCPT: 550 5.7.64 ")
    probe = folder.relaycanary("probe", "relay")
    assert probe.returncode == 2
    assert re.search(
        r"^FAIL relay rejected: 550 5\.7\.64 (.*\n)+ *meaning .*connector.*\n *fix ", probe.stdout, re.MULTILINE
    )

    assert folder.relaycanary("lab", "heal").returncode == 0
    healed = agent.until(all_pass)
    for check in ("submission", "direct", "graph"):
        assert healed.concluded(check, verdict="fail") == 0


def test_a_killed_agent_leaves_no_lab_behind_and_loses_nothing(folder: Folder) -> None:
    agent = folder.start("run", "--lab")
    agent.until(all_pass)
    Control(folder.path / ".lab").break_("relay", "delay=4")
    before = agent.until(lambda metrics: metrics("relaycanary_canaries_in_flight", check="relay") > 0)
    agent.signal(signal.SIGKILL)
    until(lambda: not any(map(taken, PORTS)))

    started = before("relaycanary_canaries_started_total", check="relay")
    again = folder.start("run", "--lab")
    after = again.until(lambda metrics: all_pass(metrics) and metrics.concluded("relay") > started)
    assert after.concluded("relay", verdict="fail") == 0
    assert books_are_right(after)
    assert folder.relaycanary("ledger", "verify").returncode == 0


@pytest.mark.parametrize("port", [WEB_PORT, DEFAULT_PORTS["relay"]])
def test_a_port_in_use_is_one_clear_line(folder: Folder, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        refused = folder.relaycanary("run", "--lab")
    assert (refused.returncode, refused.stdout) == (1, "")
    (line,) = refused.stderr.splitlines()
    assert line.startswith("relaycanary: ")
    assert f"{port}" in line
    assert "is in use" in line
    until(lambda: not any(map(taken, PORTS)))
