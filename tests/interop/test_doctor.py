"""The doctor on real servers: Postfix as the ways to send, Dovecot as the mailbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from interop.settings import SENDER, Setup
from mailservers.testbed import Testbed

from agent.commands.doctor import doctor

pytestmark = pytest.mark.servers

INSIDE = "interop-doctor@corp.test"


@pytest.fixture
def setup(testbed: Testbed, tmp_path: Path) -> Setup:
    return Setup(testbed, tmp_path)


@pytest.fixture
def examined(setup: Setup, capsys: pytest.CaptureFixture[str]) -> Any:
    def go() -> tuple[int, dict[str, dict[str, str]]]:
        code = doctor(setup.write(), json=True)
        report = json.loads(capsys.readouterr().out)
        found: dict[str, dict[str, str]] = {}
        for one in report["findings"]:  # worst first
            found.setdefault(one["subject"], {}).setdefault(one["id"], f"{one['status']}: {one['found']} {one['fix']}")
        return code, found

    return go


def test_servers_in_order_are_ok(testbed: Testbed, setup: Setup, examined: Any) -> None:
    setup.path("relay", "relay", testbed.ports.mx, source_address="127.0.0.2")
    setup.path("submission", "submission", testbed.ports.submission, credential=setup.password(SENDER))
    setup.mailbox("inbox", INSIDE)
    setup.check("relay", "relay", "inbox", to="interop-doctor@remote.test")
    setup.check("submission", "submission", "inbox")

    code, found = examined()

    assert code in {0, 1}
    assert found["path relay"]["smtp.envelope"].startswith("ok")
    assert found["path relay"]["smtp.tls"].startswith("ok")
    assert found["path submission"]["smtp.login"].startswith("ok")
    assert found["mailbox inbox"]["mailbox.folders"] == "ok: can be read: INBOX, Junk None"
    assert not any(words.startswith("failure") for group in found.values() for words in group.values())


def test_each_breakage_is_found_where_it_is(testbed: Testbed, setup: Setup, examined: Any) -> None:
    setup.path("stranger", "relay", testbed.ports.mx)
    setup.path("expired", "relay", testbed.ports.mx_expired)
    setup.path("misnamed", "relay", testbed.ports.mx_wrong_name)
    setup.path("self-signed", "relay", testbed.ports.mx_self_signed)
    setup.path("plain", "relay", testbed.ports.mx_no_tls)
    setup.path("login", "submission", testbed.ports.submission, credential=setup.password(SENDER, "not-the-password"))
    setup.mailbox("elsewhere", INSIDE, folders=["INBOX", "Junk Email"])
    setup.mailbox("locked", INSIDE, credential=setup.password(INSIDE, "not-the-password"))
    for name in ("stranger", "expired", "misnamed", "self-signed", "plain", "login"):
        setup.check(name, name, "elsewhere", to="interop-doctor@remote.test")

    code, found = examined()

    assert code == 2
    assert "554 5.7.1" in found["path stranger"]["smtp.envelope"]
    assert "certificate has expired" in found["path expired"]["smtp.tls"]
    assert "IP address mismatch" in found["path misnamed"]["smtp.tls"]
    assert "self-signed" in found["path self-signed"]["smtp.tls"]
    assert found["path plain"]["smtp.tls"].startswith("failure: STARTTLS is not offered")
    assert "535 5.7.8" in found["path login"]["smtp.login"]
    assert "'Junk'" in found["mailbox elsewhere"]["mailbox.folders"]
    assert found["mailbox locked"]["mailbox.login"].startswith("failure")
