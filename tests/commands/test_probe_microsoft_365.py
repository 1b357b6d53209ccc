"""What goes wrong with an app, its roles, its permissions and Graph: told by outcome, meaning and a fix to follow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.commands.probe import probe
from checks.lab import Lab

Write = Callable[..., Path]

FAULTS = [  # check, target, fault, outcome, code, words of the fix
    ("graph", "entra", "secret_expired", "auth_failed", "AADSTS7000222", r"new client secret"),
    ("graph", "entra", "secret_wrong", "auth_failed", "AADSTS7000215", r"copy its Value"),
    ("submission", "entra", "secret_expired", "auth_failed", "AADSTS7000222", r"new client secret"),
    ("graph", "entra", "app_unknown", "auth_failed", "AADSTS700016", r"client ID and the tenant"),
    ("submission", "entra", "wrong_cloud", "auth_failed", "AADSTS900382", r"`cloud`"),
    ("graph", "entra", "entra_unavailable", "deferred", "AADSTS90033", r"."),
    ("graph", "graph", "role_missing", "auth_failed", "ErrorAccessDenied", r"Mail\.Send"),
    ("submission", "submission", "role_missing", "auth_failed", "5.7.3", r"SMTP\.SendAsApp|service principal"),
    ("graph", "graph", "mailbox_not_permitted", "auth_failed", "ErrorAccessDenied", r"RBAC|role for this mailbox"),
    ("submission", "submission", "mailbox_not_permitted", "deferred", "4.2.0", r"FullAccess|Add-MailboxPermission"),
    ("graph", "graph", "throttled", "deferred", "ApplicationThrottled", r"Retry-After"),
    ("graph", "graph", "throttled=0", "deferred", "ApplicationThrottled", r"."),
    ("graph", "graph", "graph_unavailable", "deferred", "serviceNotAvailable", r"."),
    ("graph", "graph", "graph_gateway_timeout", "deferred", "UnknownError", r"."),
]


@pytest.mark.parametrize("row", FAULTS, ids=lambda row: f"{row[2]}-{row[0]}")
def test_each_fault_has_its_outcome_and_a_fix_that_an_admin_can_follow(
    row: tuple[str, ...], lab: Lab, settings: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    check, target, fault, outcome, code, fix = row
    lab.break_(target, fault)
    assert probe(check, settings(), json=True) == 2
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["outcome"]) == ("fail", outcome), found["reasons"]
    assert code in found["reasons"][0]
    assert found["reply"]["enhanced"] == code
    assert found["diagnosis"]["meaning"]
    assert re.search(fix, found["diagnosis"]["fix"]), found["diagnosis"]


@pytest.mark.parametrize("check", ["graph", "submission"])
def test_where_entra_does_not_answer_the_canary_is_put_off_and_not_lost(
    check: str, lab: Lab, settings: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.break_("entra", "entra_down")
    assert probe(check, settings(), json=True) == 2
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["outcome"]) == ("fail", "deferred")
    assert found["diagnosis"]["fix"]


def test_a_message_that_graph_took_without_an_answer_is_not_called_lost(
    lab: Lab, settings: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.break_("graph", "drop_after_body")
    assert probe("graph", settings(), json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["outcome"]) == ("pass", "delivered")
