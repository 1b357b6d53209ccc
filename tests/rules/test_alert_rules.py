"""The rules as Prometheus takes them: checked and tested by promtool, complete in labels and words."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from rules.conftest import DASHBOARDS, RULES, TESTS, alerts, all_rules

from agent.metrics import FAMILIES

pytestmark = pytest.mark.servers
_NAME = re.compile(r"\brelaycanary_[a-z0-9_]+")
_RECORDED = re.compile(r"\brelaycanary:[a-z0-9_:]+")
TARGET = {"env": "prod", "namespace": "mail", "pod": "relaycanary-0", "endpoint": "http"}
"""Labels that targets have beside `job` and `instance`."""
_SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}


def exported() -> set[str]:
    """List the names of all series that the agent's own catalogue has."""
    return {family.name + suffix for family in FAMILIES for suffix in _SUFFIXES.get(family.kind, ("",))}


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.name)
def test_prometheus_takes_the_rules(promtool: str, file: Path) -> None:
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_example_of_its_configuration(promtool: str) -> None:
    example = DASHBOARDS / "prometheus" / "prometheus.yml.example"
    check = [
        promtool,
        "check",
        "config",
        "--syntax-only",
        example,
    ]  # the files that it names are those of a real machine
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = {job["job_name"]: job for job in yaml.safe_load(example.read_text())["scrape_configs"]}
    assert [name for name in jobs if "relaycanary" in name] == ["relaycanary"]
    assert jobs["mail-probe"]["metrics_path"] == "/probe"


def passes(promtool: str, file: Path) -> None:
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name)
def test_the_rules_do_in_promtool_what_their_tests_say(promtool: str, file: Path) -> None:
    passes(promtool, file)


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name)
def test_the_rules_do_the_same_for_targets_with_further_labels_and_alerts_keep_them(
    promtool: str, file: Path, tmp_path: Path
) -> None:
    """Every test of the rules once more, as with a ServiceMonitor, or with `labels` in a scrape configuration."""
    labelled = yaml.safe_load(file.read_text())
    labelled["rule_files"] = [str(file.parent / rules) for rules in labelled["rule_files"]]
    own = "".join(f'{name}="{value}", ' for name, value in TARGET.items())
    for scenario in labelled["tests"]:
        for one in scenario["input_series"]:
            one["series"] = one["series"].replace("{", "{" + own, 1)
        for alert in (alert for one in scenario["alert_rule_test"] for alert in one["exp_alerts"]):
            if "job" in alert["exp_labels"]:  # the others tell that there is no target, or stand for themselves
                alert["exp_labels"] |= TARGET
    copy = tmp_path / file.name
    copy.write_text(yaml.safe_dump(labelled))
    passes(promtool, copy)


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name)
def test_no_rule_fails_while_prometheus_has_a_target_under_its_old_labels_and_its_new_ones(
    promtool: str, file: Path, tmp_path: Path
) -> None:
    """As after a change of `labels`, for two scrapes, or five minutes if Prometheus was restarted for it."""
    both = yaml.safe_load(file.read_text())
    both["rule_files"] = [str(file.parent / rules) for rules in both["rule_files"]]
    scenarios = []
    for scenario in both["tests"]:
        fires = next((one["eval_time"] for one in scenario["alert_rule_test"] if one["exp_alerts"]), None)
        if fires is None:
            continue
        scenario["input_series"] = [
            {**one, "series": one["series"].replace("{", f'{{env="{env}", ', 1)}
            for one in scenario["input_series"]
            for env in ("old", "new")
        ]
        evaluated = {"expr": "vector(1)", "eval_time": fires, "exp_samples": [{"labels": "{}", "value": 1}]}
        scenarios.append({**scenario, "alert_rule_test": [], "promql_expr_test": [evaluated]})
    copy = tmp_path / file.name
    copy.write_text(yaml.safe_dump({**both, "tests": scenarios}))
    passes(promtool, copy)


def test_every_alert_is_tested_for_firing_and_for_not_firing() -> None:
    tested: dict[str, set[bool]] = {}
    for file in TESTS:
        for scenario in yaml.safe_load(file.read_text())["tests"]:
            for one in scenario["alert_rule_test"]:
                tested.setdefault(one["alertname"], set()).add(bool(one["exp_alerts"]))
    for alert in {rule["alert"] for rule in alerts()} - {"RelaycanaryWatchdog"}:
        assert tested.get(alert) == {True, False}, alert


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_has_a_severity_a_constant_summary_a_description_and_its_links(
    rule: dict[str, dict[str, str]],
) -> None:
    name = str(rule["alert"])
    words = rule["annotations"]
    assert name.startswith("Relaycanary")
    assert rule["labels"]["severity"] in {"critical", "warning", "info", "{{ $labels.severity }}"}
    assert words["summary"].endswith(".")
    assert "{{" not in words["summary"]
    assert words["description"]
    assert words["runbook_url"].endswith(f"/{name}.md")
    assert "/d/relaycanary-" in words["dashboard_url"]


def test_what_wakes_people_is_mail_that_does_not_get_through_and_an_agent_that_sees_nothing() -> None:
    severities: dict[str, set[str]] = {}
    for rule in alerts():
        severities.setdefault(str(rule["alert"]).removeprefix("Relaycanary"), set()).add(rule["labels"]["severity"])
    of_the_check = {name for name, found in severities.items() if "{{ $labels.severity }}" in found}
    refused = {"PathBroken", "CheckRefused", "ForbiddenMailAccepted"}
    assert of_the_check == refused | {"MailLost", "MailBounced", "MailInJunk", "MailInDoubt"}
    always = {name for name, found in severities.items() if "critical" in found}
    blind = {"AgentDown", "AgentMissing", "NotScheduling", "LedgerFailing", "MailboxUnreadable"}
    assert always == blind | {"AllPathsDown", "CertificateExpiring", "CredentialExpiring"}


def test_rules_use_only_metrics_that_the_agent_exports_and_records_that_exist() -> None:
    recorded = {rule["record"] for rule in all_rules() if "record" in rule}
    used: set[str] = set()
    for rule in all_rules():
        assert set(_NAME.findall(rule["expr"])) <= exported(), rule["expr"]
        used |= set(_RECORDED.findall(rule["expr"]))
    assert used <= recorded


def test_no_rule_averages_a_gauge_over_time() -> None:
    assert not [rule for rule in all_rules() if "avg_over_time" in rule["expr"]]
