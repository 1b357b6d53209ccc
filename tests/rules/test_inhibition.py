"""What the Alertmanager example holds back, by a real Alertmanager: what follows from an alert, and nothing else."""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from rules.conftest import DASHBOARDS, TESTS, alerts

pytestmark = pytest.mark.servers
FILE = DASHBOARDS / "alertmanager" / "alertmanager.yml"
PATIENCE = 120.0

Labels = dict[str, str]
HeldBack = Callable[[Sequence[Labels]], list[Labels]]


def alert(name: str, severity: str = "warning", instance: str = "mon1:9825", **labels: str) -> Labels:
    """Make the labels of an alert about an agent."""
    return {"alertname": f"Relaycanary{name}", "severity": severity, "job": "j", "instance": instance, **labels}


def missing(check: str, site: str) -> Labels:
    """Make the labels of the alert that the settings make for each check; it knows no agent."""
    name = "RelaycanaryCheckMissing"
    return {"alertname": name, "severity": "warning", "check": check, "path": check, "site": site}


def of_check(name: str, check: str, path: str, severity: str = "warning", **labels: str) -> Labels:
    """Make the labels of an alert about a check, with all that tells it apart."""
    known = {"site": "ams1", "mailbox": "outside", "method": "relay", **labels}
    return alert(name, severity, check=check, path=path, **known)


class Alertmanager:
    """A real one with the committed example, except that its receivers do nothing."""

    def __init__(self, folder: Path) -> None:
        known = yaml.safe_load(FILE.read_text())
        known["receivers"] = [{"name": one["name"]} for one in known["receivers"]]
        config = folder / "alertmanager.yml"
        config.write_text(yaml.safe_dump(known))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = f"http://{address}/api/v2/alerts"
        self._numbers = itertools.count()
        command = ["prometheus-alertmanager", f"--config.file={config}", f"--storage.path={folder / 'data'}"]
        command += [f"--web.listen-address={address}", "--cluster.listen-address="]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def held_back(self, these: Sequence[Labels]) -> list[Labels]:
        """Tell of *these* alerts, which begin together, and return those that are held back; they are over then."""
        number = str(next(self._numbers))
        last = [alert("AgentDown", instance="last", job=number), alert("MailLost", instance="last", job=number)]
        try:
            self._until(lambda: self._tell([*these, *last], over=False))
            self._until(lambda: last[1] in self._suppressed())  # they are looked at in the order in which they came
            suppressed = self._suppressed()
            return [one for one in these if one in suppressed]
        finally:
            self._tell([*these, *last], over=True)

    def _tell(self, these: Sequence[Labels], *, over: bool) -> bool:
        now = datetime.now(UTC)
        begins, ends = now - timedelta(hours=1), now + timedelta(seconds=-1 if over else 3600)
        body = [{"labels": one, "startsAt": begins.isoformat(), "endsAt": ends.isoformat()} for one in these]
        headers = {"Content-Type": "application/json"}
        asked = urllib.request.Request(self.url, json.dumps(body).encode(), headers)  # noqa: S310 - our own
        with urllib.request.urlopen(asked, timeout=20) as answer:  # noqa: S310 - our own
            return bool(answer.status == 200)

    def _suppressed(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(self.url, timeout=20) as answer:  # noqa: S310 - our own
            return [one["labels"] for one in json.load(answer) if one["status"]["inhibitedBy"]]

    def _until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            with suppress(OSError):  # it is still starting
                if holds():
                    return
            assert self.process.poll() is None, "Alertmanager has ended"
            assert time.monotonic() < deadline, f"Alertmanager: not within {PATIENCE} s"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def held_back(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeldBack]:
    manager = Alertmanager(tmp_path_factory.mktemp("alertmanager"))
    try:
        yield manager.held_back
    finally:
        manager.process.kill()
        manager.process.wait()


def test_an_agent_that_is_down_holds_back_what_it_said_and_nothing_of_other_agents(held_back: HeldBack) -> None:
    broken = alert("PathBroken", "critical", path="relay", site="ams1")
    old = [broken, alert("LedgerFailing", "critical"), alert("ConfigReloadFailed")]
    other = [{**one, "instance": "mon2:9825"} for one in old]
    own = [
        alert("CertificateExpiring", "critical", path="relay", role="client"),
        alert("CredentialExpiring", credential="app"),
    ]
    assert held_back([alert("AgentDown", "critical"), *old, *other, *own]) == old


def test_an_agent_that_is_down_holds_back_missing_checks_of_its_site_alone(held_back: HeldBack) -> None:
    of_site, elsewhere = missing("relay-ams", "ams1"), missing("relay-fra", "fra1")
    assert held_back([alert("AgentDown", "critical", site="ams1"), of_site, elsewhere]) == [of_site]


def test_an_agent_of_which_nobody_knows_the_site_holds_back_no_missing_check(held_back: HeldBack) -> None:
    assert held_back([alert("AgentDown", "critical"), missing("relay", "ams1")]) == []


def test_without_any_agent_all_checks_are_missing(held_back: HeldBack) -> None:
    checks = [missing("relay-ams", "ams1"), missing("relay-fra", "fra1")]
    assert held_back([{"alertname": "RelaycanaryAgentMissing", "severity": "critical"}, *checks]) == checks


def test_a_ledger_that_fails_holds_back_what_nobody_knows_on_its_agent(held_back: HeldBack) -> None:
    follows = [of_check("CheckUnknown", "relay", "relay"), of_check("NotMeasured", "relay", "relay")]
    follows += [alert("NotScheduling", "critical", check="relay")]
    others = [{**one, "instance": "mon2:9825"} for one in follows]
    assert held_back([alert("LedgerFailing", "critical"), *follows, *others]) == follows


def test_a_site_that_is_down_holds_back_its_paths_and_mailboxes_and_no_other_site(held_back: HeldBack) -> None:
    follows = [
        alert("PathBroken", "critical", path="relay", site="ams1"),
        of_check("MailLost", "direct", "direct", "critical"),
        alert("MailboxUnreadable", "critical", mailbox="outside", site="ams1", host="imap.example"),
    ]
    other = [{**one, "site": "fra1", "instance": "mon2:9825"} for one in follows]
    own = [alert("MailboxThrottled", mailbox="outside", site="ams1"), of_check("ForbiddenMailAccepted", "no", "relay")]
    assert held_back([alert("AllPathsDown", "critical", site="ams1"), *follows, *other, *own]) == follows


def test_a_broken_path_holds_back_its_checks_and_those_of_no_other_path(held_back: HeldBack) -> None:
    follows = [of_check(name, "relay", "relay") for name in ("CheckRefused", "MailInJunk", "CheckUnknown")]
    others = [{**one, "path": "direct", "check": "direct"} for one in follows]
    assert held_back([alert("PathBroken", "critical", path="relay", site="ams1"), *follows, *others]) == follows


def test_a_failing_check_holds_back_that_its_mail_is_late_and_of_no_other_check(held_back: HeldBack) -> None:
    follows = [of_check(name, "relay", "relay") for name in ("MailOverdue", "PathDegraded", "LatencyBudgetBurning")]
    others = [{**one, "check": "relay-b"} for one in follows]
    assert held_back([of_check("MailLost", "relay", "relay", "critical"), *follows, *others]) == follows


def test_an_unreadable_mailbox_holds_back_what_nobody_knows_of_its_checks_alone(held_back: HeldBack) -> None:
    follows = [of_check(name, "relay", "relay") for name in ("CheckUnknown", "NotMeasured", "MailOverdue")]
    others = [{**one, "mailbox": "inbox"} for one in follows]
    blind = alert("MailboxUnreadable", mailbox="outside", site="ams1", host="imap.example")
    assert held_back([blind, *follows, *others]) == follows


@pytest.mark.parametrize(
    ("name", "one", "another"),
    [
        ("CredentialExpiring", {"credential": "old-unused"}, {"credential": "app"}),
        ("CertificateExpiring", {"path": "relay", "role": "server"}, {"path": "relay", "role": "client"}),
        ("CertificateExpiring", {"path": "relay", "role": "client"}, {"role": "web"}),
        ("NotificationsFailing", {"channel": "oncall"}, {"channel": "chat"}),
        ("MailboxUnreadable", {"mailbox": "outside", "site": "ams1"}, {"mailbox": "inbox", "site": "ams1"}),
        ("MailLost", {"check": "relay", "path": "relay"}, {"check": "relay-b", "path": "relay"}),
    ],
)
def test_only_the_same_alert_about_the_same_thing_is_held_back_by_the_more_severe_one(
    held_back: HeldBack, name: str, one: Labels, another: Labels
) -> None:
    same = alert(name, "warning", **one)
    assert held_back([alert(name, "critical", **one), same, alert(name, "warning", **another)]) == [same]


def test_the_same_alert_is_the_same_by_every_label_that_alerts_of_two_severities_have() -> None:
    rules = yaml.safe_load(FILE.read_text())["inhibit_rules"]
    (equal,) = (one["equal"] for one in rules if "alertname" in one.get("equal", ()))
    severities: dict[str, set[str]] = {}
    for rule in alerts():
        severities.setdefault(rule["alert"], set()).add(rule["labels"]["severity"])
    two = {name for name, found in severities.items() if len(found) > 1 or "{{ $labels.severity }}" in found}
    labels = {
        label
        for file in TESTS
        for scenario in yaml.safe_load(file.read_text())["tests"]
        for one in scenario["alert_rule_test"]
        if one["alertname"] in two
        for expected in one["exp_alerts"]
        for label in expected["exp_labels"]
    }
    assert {"role", "credential", "mailbox", "check"} <= labels
    assert labels - {"severity", "node"} <= set(equal)
