"""`status` for monitoring systems: a plug-in of Nagios and Icinga, a local check of Checkmk."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.commands.status import status

Write = Callable[..., Path]
PERFDATA = re.compile(
    r"(?:'[^'=]+'|[^'= ]+)=(?:U|-?[0-9.]+(?:s|ms|us|%|[KMGT]?B|c)?);[0-9.:~@]*;[0-9.:~@]*;[0-9.]*;?[0-9.]*"
)
LOCAL = re.compile(r'[0-3] "[^"]+" (?:-|[^ =|]+=[0-9.]+(?:;[0-9.]*)*(?:\|[^ =|]+=[0-9.]+(?:;[0-9.]*)*)*) .+')


@pytest.fixture
def failing(past: Any, settings: Write) -> Path:
    """Relay is refused, direct passes, submission has not been tried yet."""
    file: Path = settings(lambda content: content["checks"].pop("graph"))
    before = past(file)
    before.write(
        before.canary("relay", before.refused("TenantAttribution | Relay \\n Access Denied", ago=5), ago=5),
        before.canary("direct", before.accepted(ago=5), ago=5, seen=1.25),
        before.looked("outside", ago=3),
        before.looked("inbox", ago=3),
    )
    return file


def test_one_check_is_told_with_its_latency_and_what_is_under_way(
    failing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(failing, check="direct", nagios=True) == 0
    said = capsys.readouterr().out
    text, _, perfdata = said.strip().partition(" | ")
    assert re.fullmatch(r"RELAYCANARY OK - direct: delivered in 1\.25 s, since \d+ s", text)
    assert perfdata == "end_to_end=1.250s;8;9;0 in_flight=0;;;0 overdue=0;;;0"


def test_a_failure_is_critical_with_the_servers_words_and_what_to_do_in_the_long_output(
    failing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(failing, check="relay", nagios=True) == 2
    first, *rest = capsys.readouterr().out.strip().splitlines()
    text, bar, perfdata = first.partition("|")
    assert bar
    assert text.startswith("RELAYCANARY CRITICAL - relay: rejected; 550 5.7.64 TenantAttribution / Relay")
    assert perfdata.split()[0] == "end_to_end=U;8;9;0"
    assert [line.partition(":")[0] for line in rest] == ["meaning", "fix"]


def test_all_checks_at_once_are_as_the_worst_and_each_has_a_line_and_its_perfdata(
    failing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(failing, nagios=True) == 2
    first, *rest = capsys.readouterr().out.strip().splitlines()
    text, _, perfdata = first.partition(" | ")
    assert text == "RELAYCANARY CRITICAL - 2 of 3 checks do not pass (fail: relay; unknown: submission)"
    assert all(PERFDATA.fullmatch(one) for one in perfdata.split(" "))
    assert [one.partition("=")[0] for one in perfdata.split()] == ["'direct'", "'relay'", "'submission'"]
    assert [line.partition(":")[0] for line in rest] == ["pass", "fail", "unknown"]
    assert "|" not in "".join(rest)


def test_what_is_not_known_is_unknown_on_standard_output(
    settings: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = settings()
    assert status(file, check="relays", nagios=True) == 3
    assert "RELAYCANARY UNKNOWN - 'relays' is not one of the checks" in capsys.readouterr().out
    assert status(file, check="relays") == 64
    capsys.readouterr()
    assert status(file, nagios=True) == 3  # no agent has run yet
    assert capsys.readouterr().out.startswith("RELAYCANARY UNKNOWN - there is no ledger")
    assert status(tmp_path / "none.yaml", nagios=True) == 3
    assert "the settings cannot be used" in capsys.readouterr().out
    assert status(tmp_path / "none.yaml", checkmk=True) == 3
    assert LOCAL.fullmatch(capsys.readouterr().out.strip())


@pytest.mark.parametrize("form", ["nagios", "checkmk", "json"])
def test_the_latency_of_a_canary_before_the_newest_one_is_told_to_no_program(
    form: str, past: Any, settings: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    file: Path = settings(lambda content: content["checks"].pop("graph"))
    before = past(file)
    before.write(
        before.canary("direct", before.accepted(ago=15), ago=15, seen=1.25),
        before.canary("direct", before.refused("no", ago=5), ago=5),
        before.looked("inbox", ago=3),
    )
    assert status(file, check="direct", **{form: True}) == 2
    said = capsys.readouterr().out
    assert "rejected" in said
    assert "1.25" not in said
    assert {"nagios": "end_to_end=U;", "checkmk": '" in_flight=0', "json": '"end_to_end_seconds": null'}[form] in said


def test_checkmk_gets_a_service_for_each_check(failing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(failing, checkmk=True) == 2
    lines = capsys.readouterr().out.strip().splitlines()
    assert all(LOCAL.fullmatch(line) for line in lines)
    assert [line.partition('" ')[0] for line in lines] == [
        '0 "relaycanary direct',
        '2 "relaycanary relay',
        '3 "relaycanary submission',
    ]
    passed, refused, untried = lines
    assert '" in_flight=0;;;0|overdue=0;;;0 relay: rejected' in refused
    assert refused.count("\\n") == 2  # meaning and fix; what the server said breaks no line
    assert "end_to_end" not in untried
    assert 'direct" end_to_end=1.250;8;9;0|in_flight=0' in passed


def test_a_check_that_is_asked_for_is_the_only_one_that_is_told_and_counts(
    failing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(failing, check="direct") == 0
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines()[:2]] == ["CHECK", "direct"]
    assert "relay" not in said.partition("MAILBOX")[0]
    assert "outside" not in said
    assert "that the settings do not have" not in said
