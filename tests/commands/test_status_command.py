from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.commands.status import status
from agent.ledger import Ledger

Write = Callable[..., Path]


@pytest.fixture
def three_checks(settings: Write) -> Path:
    """Checks relay (into outside), submission and direct (into inbox), each every 10 s, late after 8 s."""
    return settings(lambda content: content["checks"].pop("graph"))


@pytest.fixture
def one_check(settings: Write) -> Path:
    def only_relay(content: dict[str, Any]) -> None:
        content["checks"] = {"relay": content["checks"]["relay"]}

    return settings(only_relay)


def row(said: str, name: str) -> str:
    return next(line for line in said.splitlines() if line.startswith(name))


def test_checks_that_pass_are_told_with_their_latency(
    past: Any, one_check: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = past(one_check)
    before.write(
        before.canary("relay", before.accepted(ago=95), ago=95, seen=1.24), before.looked("outside", ago=3), began=7500
    )
    assert status(one_check) == 3  # concluded too long ago for a check that runs every 10 s
    before.write(before.canary("relay", before.accepted(ago=5), ago=5, seen=1.24), before.looked("outside", ago=3))
    capsys.readouterr()
    assert status(one_check) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert [line.rstrip() for line in said.out.splitlines()] == said.out.splitlines()
    lines = said.out.splitlines()
    assert lines[0].split() == ["CHECK", "VERDICT", "SINCE", "LATENCY", "IN", "FLIGHT", "LAST", "PASS", "WHAT"]
    words = row(said.out, "relay").split("  ")
    assert [word.strip() for word in words if word.strip()][:2] == ["relay", "pass"]
    assert "delivered" in words
    assert "1.24 s" in row(said.out, "relay")
    assert row(said.out, "outside").split()[:2] == ["outside", "read"]
    assert row(said.out, "outside").split()[3:] == ["s", "ago"]
    assert "agent 1.2.3 at site ams1, last started 2 h ago (" in said.out


def test_json_has_every_key_of_the_contract_and_moments_by_the_wall_clock(
    past: Any, one_check: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The steady timeline of the ledger is an hour behind the wall clock here."""
    before = past(one_check)
    before.write(before.canary("relay", before.accepted(ago=5), ago=5, seen=1.25), before.looked("outside", ago=3))
    assert status(one_check, json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["checks", "mailboxes", "agent"]
    (check,) = found["checks"]
    seconds = before.now.timestamp()

    def moment(ago: float) -> str:
        return before.now.fromtimestamp(seconds - ago, before.now.tzinfo).isoformat(timespec="milliseconds")

    assert check == {
        "check": "relay",
        "verdict": "pass",
        "outcome": "delivered",
        "reason": None,
        "reasons": [],
        "diagnosis": None,
        "since": moment(3.75),
        "end_to_end_seconds": pytest.approx(1.25, abs=1e-4),
        "in_flight": 0,
        "overdue": 0,
        "last_pass": moment(3.75),
        "concluded": moment(3.75),
    }
    looks = {one["mailbox"]: (one["state"], one["last_look"]) for one in found["mailboxes"]}
    never = ("never read", None)
    assert looks == {"inbox": never, "noreply": never, "outside": ("read", moment(3.05))}
    assert found["agent"] == {
        "site": "ams1",
        "version": "1.2.3",
        "started": moment(7200),
        "stopped": None,
        "silent": None,
        "unlisted_checks": 0,
    }


def test_the_exit_code_is_that_of_the_worst_check_and_failure_is_worse_than_not_knowing(
    past: Any, three_checks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = past(three_checks)
    before.write(
        before.canary("relay", before.refused("TenantAttribution; Relay Access Denied", ago=5), ago=5),
        before.canary("direct", before.accepted(ago=5), ago=5, seen=1.0),
        before.looked("outside", ago=3),
        before.looked("inbox", ago=3),
    )
    assert status(three_checks, json=True) == 2
    checks = {one["check"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    found = {name: one["verdict"] for name, one in checks.items()}
    assert found == {"relay": "fail", "submission": "unknown", "direct": "pass"}
    assert set(checks["relay"]["diagnosis"]) == {"meaning", "fix", "source"}
    assert checks["direct"]["diagnosis"] is None
    assert status(three_checks) == 2
    said = capsys.readouterr().out
    assert "rejected; 550 5.7.64 TenantAttribution; Relay Access Denied" in row(said, "relay")
    meaning, fix = said.splitlines()[said.splitlines().index("") + 1 :][:2]
    assert meaning.startswith("relay: Exchange Online does not recognise the connection as your relay")
    assert fix.startswith("  fix: Compare the address that you really send from with the connector's SenderIPAddresses")
    assert "nothing has concluded yet" in row(said, "submission")


def test_a_check_is_never_green_when_nobody_has_looked_for_too_long(
    past: Any, one_check: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = past(one_check)
    before.write(
        before.canary("relay", before.accepted(ago=5), ago=5, seen=1.0), before.looked("outside", ago=90), began=7500
    )
    assert status(one_check) == 3
    said = capsys.readouterr().out
    assert re.match(r"relay +unknown +1 min( \d+ s)? ago ", row(said, "relay"))  # stale 30 s after the look
    assert re.search(r"mailbox outside has not been read for 1 min \d+ s; last: delivered", row(said, "relay"))
    assert row(said, "outside").split()[1] == "stale"
    assert "`relaycanary doctor` tries" in said


def test_a_mailbox_is_read_for_its_own_checks_and_not_as_often_as_those_of_others_need(
    past: Any, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where every check is slow, or none reads it, a look a minute is enough."""

    def hurried(content: Any) -> None:
        content["checks"] = {name: content["checks"][name] for name in ("relay", "direct")}
        content["checks"]["direct"] |= {"every": "10m", "late_after": "5m", "lost_after": "10m"}

    file = settings(hurried)
    before = past(file)
    before.write(
        before.canary("relay", before.accepted(ago=5), ago=5, seen=1.0),
        *(before.looked(name, ago=55) for name in ("inbox", "noreply")),
    )
    status(file)
    said = capsys.readouterr().out
    assert [row(said, name).split()[1] for name in ("inbox", "noreply")] == ["read", "read"]
    assert "mailbox inbox" not in said
    assert "mailbox noreply" not in said


def test_an_agent_that_was_stopped_or_shows_no_sign_of_life_is_said_not_to_run(
    past: Any, one_check: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = past(one_check)
    before.write(before.canary("relay", before.accepted(ago=90), ago=90, seen=1.0), before.looked("outside", ago=70))
    assert status(one_check) == 3
    said = capsys.readouterr().out
    assert re.search(r"no sign of life of the agent for 1 min \d+ s; last: delivered", row(said, "relay"))
    assert re.search(r"no sign of life of the agent for 1 min \d+ s: `relaycanary run` starts it", said)
    before.write(before.stopped(ago=60))
    assert status(one_check) == 3
    said = capsys.readouterr().out
    assert re.search(r"the agent does not run, for it was stopped 1 min( \d+ s)? ago; last: del", row(said, "relay"))
    assert "mailbox outside" not in said


def test_an_overdue_canary_warns_since_it_became_late(
    past: Any, one_check: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = past(one_check)
    before.write(before.canary("relay", before.accepted(ago=20), ago=20), before.looked("outside", ago=2))
    assert status(one_check, json=True) == 1
    (check,) = json.loads(capsys.readouterr().out)["checks"]
    assert (check["verdict"], check["reason"], check["in_flight"], check["overdue"]) == ("warn", "overdue", 1, 1)
    became_late = before.now.fromtimestamp(before.now.timestamp() - 20 + 8, before.now.tzinfo)
    assert check["since"] == became_late.isoformat(timespec="milliseconds")
    assert status(one_check) == 1
    assert "1 (1 overdue)" in row(capsys.readouterr().out, "relay")


def test_checks_that_only_the_ledger_knows_are_counted_not_shown(
    past: Any, three_checks: Path, settings: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    before = past(three_checks)
    before.write(
        before.canary("relay", before.accepted(ago=5), ago=5, seen=1.0),
        before.canary("direct", before.accepted(ago=5), ago=5, seen=1.0),
        before.looked("outside", ago=3),
    )
    file = settings(lambda content: content.update(checks={"relay": content["checks"]["relay"]}))
    assert status(file) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == "the ledger also knows 1 check that the settings do not have"
    assert "direct" not in said


def test_it_works_beside_an_agent_that_holds_the_ledger(past: Any, one_check: Path) -> None:
    before = past(one_check)
    before.write(before.canary("relay", before.accepted(ago=5), ago=5, seen=1.0), before.looked("outside", ago=3))
    with Ledger(before.settings.agent.ledger):
        assert status(one_check) == 0


def test_hostile_words_of_a_server_cannot_act_on_the_terminal(
    past: Any, one_check: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = past(one_check)
    hostile = "\x1b[2J\x07\r\n[bold]:smile:\u202e[/bold]"
    before.write(before.canary("relay", before.refused(hostile, ago=5), ago=5), before.looked("outside", ago=3))
    assert status(one_check) == 2
    said = capsys.readouterr().out
    assert r"550 5.7.64 \u001b[2J\u0007\u000d\u000a[bold]:smile:\u202e[/bold]" in row(said, "relay")
    assert "\x1b" not in said


def test_without_a_ledger_nothing_is_known(one_check: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(one_check) == 3
    said = capsys.readouterr()
    ledger = one_check.parent / "ledger.db"
    assert (said.out, said.err) == ("", f"relaycanary: there is no ledger at {ledger}: has the agent run yet?\n")
    assert not ledger.exists()


def test_without_settings_nothing_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(tmp_path / "missing.yaml") == 3
    assert "missing.yaml: cannot be read: No such file or directory" in capsys.readouterr().err


def read_terminal(terminal: int) -> bytes:
    said = b""
    try:
        while chunk := os.read(terminal, 65536):
            said += chunk
    except OSError:  # how a terminal says that the other side has closed it
        pass
    finally:
        os.close(terminal)
    return said


def test_a_terminal_gets_colours_unless_they_are_not_wanted(past: Any, one_check: Path) -> None:
    before = past(one_check)
    before.write(before.canary("relay", before.accepted(ago=5), ago=5, seen=1.0), before.looked("outside", ago=0))
    command = [sys.executable, "-m", "agent", "status", "--config", str(one_check)]
    said = {}
    with contextlib.ExitStack() as stack:
        terminals = {}
        for wish in ("", "1"):
            terminals[wish], theirs = pty.openpty()
            environment = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": wish}
            stack.enter_context(subprocess.Popen(command, stdout=theirs, env=environment))
            os.close(theirs)
        for wish, terminal in terminals.items():
            said[wish] = read_terminal(terminal)
    assert b"\x1b[32mpass" in said[""]
    assert b"pass" in said["1"]
    assert b"\x1b[32m" not in said["1"]
