from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.commands.output import console
from agent.commands.probe import probe
from agent.commands.probing.screen import Screen, Silence
from agent.commands.probing.single import send_one
from agent.config.load import load
from agent.ledger import Ledger
from checks import registry
from checks.core.model import MessageRef, Outcome
from checks.lab import Lab
from checks.mailboxes.imap import Imap

Write = Callable[..., Path]
IMPATIENT = {"late_after": "200ms", "lost_after": "900ms"}


@pytest.mark.parametrize("check", ["relay", "submission", "direct"])
def test_a_canary_that_arrives_passes(
    check: str, settings: Write, lab: Lab, count_mails: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert probe(check, settings()) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].startswith(f"{check}: ")
    assert [line.split()[0] for line in lines[1:4]] == ["dns", "connect", "greeting"]
    assert re.search(r"^  starttls +[\d.]+ m?s  TLSv1.3, ", said.out, re.MULTILINE)
    assert re.search(r"^  data +[\d.]+ m?s  250 2\.\d\.0 ", said.out, re.MULTILINE)
    assert "  waiting for INBOX, Junk Email" in lines
    assert re.fullmatch(
        rf"PASS {check} delivered in [\d.]+ m?s \(submission [\d.]+ m?s, delivery [\d.]+ m?s\)", lines[-1]
    )
    assert said.err == ""
    assert count_mails(lab, "inbox") + count_mails(lab, "outside") == 0


def test_a_canary_that_goes_and_is_read_by_graph_passes(
    settings: Write, count_mails: Callable[..., int], capsys: pytest.CaptureFixture[str], lab: Lab
) -> None:
    assert probe("graph", settings()) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["token", "request"]
    assert "  waiting for inbox, junkemail, sentitems" in lines
    assert lines[-1].startswith("PASS graph delivered in ")
    assert said.err == ""
    assert count_mails(lab, "noreply") == 0


def test_json_has_every_key_of_the_contract(settings: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe("relay", settings(), json=True) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert list(found) == [
        "check",
        "canary",
        "path",
        "method",
        "mailbox",
        "verdict",
        "outcome",
        "reasons",
        "stages",
        "submission_seconds",
        "delivery_seconds",
        "end_to_end_seconds",
        "observation_gap_seconds",
        "reply",
        "diagnosis",
        "evidence",
    ]
    assert (found["check"], found["path"], found["method"], found["mailbox"]) == ("relay", "relay", "relay", "outside")
    assert (found["verdict"], found["outcome"], found["reasons"]) == ("pass", "delivered", [])
    assert re.fullmatch(r"[a-z2-7]{16}", found["canary"])
    assert [timing["stage"] for timing in found["stages"]] == [
        "dns",
        "connect",
        "greeting",
        "starttls",
        "envelope",
        "data",
    ]
    assert all(list(timing) == ["stage", "seconds"] for timing in found["stages"])
    assert found["end_to_end_seconds"] == pytest.approx(
        found["submission_seconds"] + found["delivery_seconds"], abs=1e-4
    )
    assert 0 <= found["observation_gap_seconds"] <= found["end_to_end_seconds"]
    assert list(found["reply"]) == ["stage", "code", "enhanced", "text"]
    assert (found["reply"]["stage"], found["reply"]["code"]) == ("data", 250)
    evidence = found["evidence"]
    assert list(evidence) == ["folder", "hops", "authentication", "antispam", "tls", "servers"]
    assert evidence["folder"] == "INBOX"
    assert all(list(hop) == ["from", "by", "with", "date", "delay_seconds"] for hop in evidence["hops"])
    assert evidence["hops"][-1]["by"] == "mx1.outside.example"
    assert evidence["authentication"] == {"spf": "pass", "dkim": "pass", "dmarc": "pass", "compauth": None}
    assert evidence["tls"]["version"] == "TLSv1.3"
    assert list(evidence["servers"]) == ["transit_seconds", "end_to_end_seconds", "arrived", "clocks"]
    assert [clock["server"] for clock in evidence["servers"]["clocks"]] == ["edge", "mailbox"]
    for clock in evidence["servers"]["clocks"]:  # the lab runs on our own clock
        assert abs(clock["offset_seconds"]) <= clock["uncertainty_seconds"]
    assert "localhost" in evidence["tls"]["certificate"]["names"]
    assert said.err == ""


def test_json_of_a_refusal_has_the_servers_words_and_nothing_that_is_not_known(
    settings: Write, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.break_("relay", "connector_mismatch")
    assert probe("relay", settings(), json=True) == 2
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["outcome"]) == ("fail", "rejected")
    assert (found["reply"]["stage"], found["reply"]["code"], found["reply"]["enhanced"]) == ("rcpt", 550, "5.7.64")
    assert found["reply"]["text"].startswith("TenantAttribution; Relay Access Denied")
    unknown = ("submission_seconds", "delivery_seconds", "end_to_end_seconds", "observation_gap_seconds")
    assert [found[key] for key in unknown] == [None] * 4
    assert set(found["diagnosis"]) == {"meaning", "fix", "source"}
    assert "connector" in found["diagnosis"]["meaning"].lower()
    tls = found["evidence"].pop("tls")
    assert tls["version"] == "TLSv1.3"
    assert found["evidence"] == {"folder": None, "hops": [], "authentication": {}, "antispam": {}, "servers": {}}


def test_the_output_of_the_plug_in_follows_the_guidelines(settings: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe("relay", settings(), nagios=True) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"RELAYCANARY OK - relay delivered in [\d.]+ m?s \| submission=\d+\.\d{3}s;;;0 delivery=\d+\.\d{3}s;8;9;0 "
        r"end_to_end=\d+\.\d{3}s;8;9;0",
        first,
    )
    assert [line.partition(":")[0] for line in rest] == ["stages at 127.0.0.1 [127.0.0.1]", "reply at data", "seen in"]
    assert not any("|" in line for line in rest)


def test_the_plug_in_is_critical_where_mail_is_refused(
    settings: Write, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.break_("relay", "connector_mismatch")
    assert probe("relay", settings(), nagios=True) == 2
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith(
        "RELAYCANARY CRITICAL - relay rejected: 550 5.7.64 TenantAttribution; Relay Access Denied ["
    )
    assert first.endswith(" | submission=U;;;0 delivery=U;8;9;0 end_to_end=U;8;9;0")


def test_the_plug_in_warns_where_mail_is_late(settings: Write, lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab.break_("relay", "delay=2.5")  # long enough for a look after late_after even on a loaded machine
    assert probe("relay", settings(late_after="200ms"), nagios=True) == 1
    assert capsys.readouterr().out.startswith("RELAYCANARY WARNING - relay delivered late in ")


def test_mail_that_does_not_arrive_is_lost(settings: Write, lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab.break_("relay", "lose")
    assert probe("relay", settings(**IMPATIENT)) == 2
    *_, note, verdict, meaning, fix = capsys.readouterr().out.splitlines()
    assert note == "  note: the canary was not seen; if it still arrives, it stays in the mailbox"
    assert verdict == "FAIL relay lost: not seen in any watched folder"
    assert meaning.startswith("  meaning")
    assert "message trace" in fix


def test_mail_in_junk_fails_and_is_deleted_there(
    settings: Write, lab: Lab, count_mails: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    lab.break_("direct", "junk")
    assert probe("direct", settings(late_after="1s")) == 2
    said = capsys.readouterr().out
    assert re.search(r"^  seen +[\d.]+ m?s  in Junk Email, ", said, re.MULTILINE)
    assert "placement: expected inbox, found in folder Junk Email" in said
    assert count_mails(lab, "inbox") == 0


def test_a_bounce_is_understood_and_deleted(
    settings: Write, lab: Lab, count_mails: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    lab.break_("submission", "bounce")
    assert probe("submission", settings(), json=True) == 2
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["outcome"] == "bounced"
    assert found["reasons"][0].startswith("550 5.1.10 RESOLVER.ADR.RecipientNotFound")
    assert count_mails(lab, "noreply") == 0
    assert said.err == ""


def test_a_mailbox_that_cannot_be_read_is_said_at_once_and_the_verdict_is_unknown(
    settings: Write, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.break_("outside", "imap_login_refused")
    assert probe("relay", settings(**IMPATIENT)) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("  the mailbox outside cannot be read: could not log in as canary@outside.example")
    assert lines[2].split()[0] == "dns"
    assert lines[-3].startswith(
        "UNKNOWN relay unobserved: nobody could look into the mailbox; the mailbox outside cannot be read: "
    )


def test_a_refusal_is_a_failure_even_if_the_mailbox_cannot_be_read(settings: Write, lab: Lab) -> None:
    lab.break_("outside", "imap_down")
    lab.break_("relay", "refuse_rcpt")
    assert probe("relay", settings()) == 2


def test_no_connection_while_others_can_be_reached_is_the_paths_failure(
    settings: Write, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.break_("relay", "port_closed")
    assert probe("relay", settings()) == 2
    verdict, meaning, fix = capsys.readouterr().out.splitlines()[-3:]
    assert verdict.startswith("FAIL relay unreachable: no TCP connection")
    assert meaning.split()[0] == "meaning"
    assert fix.split()[0] == "fix"


def test_a_refusal_that_is_expected_passes(settings: Write, capsys: pytest.CaptureFixture[str]) -> None:
    def expect_refusal(content: dict[str, Any]) -> None:
        content["checks"]["direct-refuses"] = {
            "path": "direct",
            "mailbox": "outside",
            "every": "1h",
            "expect": {"refused": r"5\.7\..*"},
        }

    assert probe("direct-refuses", settings(expect_refusal)) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("PASS direct-refuses rejected, as expected: 550 5.7.64 ")


def test_acceptance_that_should_be_refusal_fails_at_once(settings: Write, capsys: pytest.CaptureFixture[str]) -> None:
    def expect_refusal(content: dict[str, Any]) -> None:
        content["checks"]["relay"]["expect"] = {"refused": r"5\.7\..*"}

    assert probe("relay", settings(expect_refusal, lost_after="1h")) == 2
    assert "FAIL relay accepted, and should have been refused" in capsys.readouterr().out


def test_an_unknown_check_is_wrong_usage_with_a_hint(settings: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe("relais", settings()) == 64
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "relaycanary: 'relais' is not one of the checks direct, graph, relay, submission; did you mean 'relay'?\n"
    )


def test_a_plug_in_that_is_called_wrongly_is_unknown(settings: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """The guidelines have no other exit code, and only standard output is shown."""
    assert probe("relais", settings(), nagios=True) == 3
    assert capsys.readouterr().out.startswith("RELAYCANARY UNKNOWN - 'relais' is not one of the checks ")


@pytest.mark.parametrize("nagios", [False, True])
def test_settings_that_cannot_be_used_leave_everything_unknown(
    nagios: bool, settings: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    file = settings(lambda content: content["paths"]["relay"].update(tls="sometimes"))
    assert probe("relay", file, nagios=nagios) == 3
    said = capsys.readouterr()
    assert "paths.relay.tls" in said.err
    assert said.out.startswith("RELAYCANARY UNKNOWN - the settings cannot be used: " if nagios else "")
    assert bool(said.out) is nagios


def test_it_runs_beside_an_agent_and_never_counts_in_its_ledger(settings: Write) -> None:
    file = settings()
    with Ledger(load(file).agent.ledger) as ledger:
        assert probe("relay", file) == 0
        snapshot = asyncio.run(ledger.snapshot())
    assert (snapshot.totals, snapshot.standings, snapshot.in_flight) == ([], {}, {})


def test_a_signal_ends_it_with_what_is_known_and_leaves_nothing_behind(
    settings: Write, lab: Lab, tmp_path: Path
) -> None:
    lab.break_("relay", "lose")
    command = [sys.executable, "-m", "agent", "probe", "relay", "--config", str(settings(lost_after="1h"))]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    (tmp_path / "temporary").mkdir()
    with contextlib.ExitStack() as stack:
        running = {
            number: stack.enter_context(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
            )
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        for number, process in running.items():
            assert process.stdout is not None
            while "waiting for" not in (line := process.stdout.readline()):
                assert line, "it ended before it waited"
            process.send_signal(number)
        for process in running.values():
            rest, errors = process.communicate(timeout=20)
            assert process.returncode == 3
            assert rest.splitlines()[-1] == "UNKNOWN relay accepted, but not judged: interrupted"
            assert errors == ""
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_signal_during_the_hand_over_leaves_it_open_whether_the_canary_was_sent(settings: Write) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        port = silent.getsockname()[1]
        file = settings(lambda content: content["paths"]["relay"].update(port=port))
        command = [sys.executable, "-m", "agent", "probe", "relay", "--json", "--config", str(file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
            connection, _ = silent.accept()
            with connection:
                run.send_signal(signal.SIGINT)
                said, errors = run.communicate(timeout=20)
    assert run.returncode == 3
    found = json.loads(said)
    assert (found["verdict"], found["outcome"], found["reasons"]) == ("unknown", None, ["interrupted"])
    assert errors == (
        "relaycanary: the canary was being handed over: it may have been sent, and then stays in the mailbox\n"
    )


def test_stages_are_shown_as_they_end_and_once(
    settings: Write, lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load(settings())
    stages = ["dns", "connect", "greeting", "starttls", "envelope"]
    with Ledger(f"sqlite:///{tmp_path}/temporary.db") as ledger:
        asyncio.run(send_one(loaded, loaded.checks["relay"], ledger, Screen(console())))
        said = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
        assert [words[0] for words in said] == [*stages, "data", "waiting"]
        assert said[3][3:] == ["TLSv1.3,", "TLS_AES_256_GCM_SHA384"]
        assert said[5][3] == "250"
        lab.break_("relay", "refuse_rcpt")
        asyncio.run(send_one(loaded, loaded.checks["relay"], ledger, Screen(console())))
    said = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert [words[0] for words in said] == stages
    assert said[4][3] == "rcpt:"


class Keeping(Imap):
    """A mailbox whose server keeps what is deleted, as one without UIDPLUS does."""

    async def delete(self, refs: Sequence[MessageRef]) -> Sequence[MessageRef]:  # noqa: ARG002 - the port's signature
        return []


def test_it_says_so_when_its_canary_cannot_be_deleted(settings: Write, tmp_path: Path) -> None:
    def plugins(group: str, kind: str) -> type[Any]:
        return Keeping if kind == "imap" else registry.load(group, kind)

    file = settings()
    with Ledger(f"sqlite:///{tmp_path}/temporary.db") as ledger:
        loaded = load(file, plugins=plugins)
        result = asyncio.run(send_one(loaded, loaded.checks["relay"], ledger, Silence()))
    assert result.outcome is Outcome.DELIVERED
    assert result.notes == ("the canary stays in INBOX of mailbox outside: the server keeps it",)
    assert probe("relay", file) == 0
