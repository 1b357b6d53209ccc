"""``relaycanary rules``: the rules of everybody and what the settings add, as Prometheus takes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml


def relaycanary(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent", "rules", *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    key = tmp_path / "key"
    key.write_text("the-secret-that-signs-the-canaries")
    key.chmod(0o600)
    file = tmp_path / "relaycanary.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "agent": {"site": "ams1", "signing_keys": [{"id": "k1", "secret": {"file": str(key)}}]},
                "credentials": {"reader": {"kind": "password", "username": "u", "password": {"file": str(key)}}},
                "paths": {"direct": {"kind": "direct_send", "host": "127.0.0.1", "sender": "canary@contoso.example"}},
                "mailboxes": {
                    "inbox": {
                        "kind": "imap",
                        "host": "127.0.0.1",
                        "credential": "reader",
                        "address": "inbox@contoso.example",
                    }
                },
                "checks": {"direct": {"path": "direct", "mailbox": "inbox", "every": "60s", "severity": "critical"}},
            }
        )
    )
    return file


@pytest.mark.servers
def test_what_it_prints_is_taken_by_prometheus_and_knows_the_configured_checks(settings: Path) -> None:
    done = relaycanary("-c", str(settings))
    assert done.returncode == 0, done.stderr
    output = settings.with_name("rules.yaml")
    output.write_text(done.stdout)
    checked = subprocess.run(["promtool", "check", "rules", output], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    groups = {group["name"]: group["rules"] for group in yaml.safe_load(done.stdout)["groups"]}
    (missing,) = groups["relaycanary-expected"]
    assert missing["alert"] == "RelaycanaryCheckMissing"
    assert 'check="direct", site="ams1"' in missing["expr"]
    assert missing["labels"]["severity"] == "warning"  # rules that are older than the settings wake nobody


def test_links_lead_where_they_are_told_to_and_waiting_times_are_scaled(settings: Path) -> None:
    done = relaycanary(
        "-c", str(settings), "--grafana", "https://g.corp/", "--runbooks", "https://wiki.corp", "--scale-for", "0.1"
    )
    rules = [rule for group in yaml.safe_load(done.stdout)["groups"] for rule in group["rules"] if "alert" in rule]
    assert all(rule["annotations"]["runbook_url"] == f"https://wiki.corp/{rule['alert']}.md" for rule in rules)
    assert all(rule["annotations"]["dashboard_url"].startswith("https://g.corp/d/") for rule in rules)
    (down,) = (rule for rule in rules if rule["alert"] == "RelaycanaryAgentDown")
    assert down["for"] == "12000ms"


def test_settings_that_cannot_be_used_print_no_rules(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("checks: {}\n")
    done = relaycanary("-c", str(bad))
    assert (done.returncode, done.stdout) == (1, "")
    assert "bad.yaml" in done.stderr


def test_a_scale_that_is_no_scale_is_wrong_usage(settings: Path) -> None:
    assert relaycanary("-c", str(settings), "--scale-for", "0").returncode == 64
