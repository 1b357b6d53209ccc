"""The committed dashboards: what the code makes, by Grafana's schema, the linter's rules, and our own catalogue."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from rules.conftest import DASHBOARDS
from rules.test_alert_rules import exported

FOLDER = DASHBOARDS / "grafana"
FILES = sorted(FOLDER.glob("*.json"))
SCHEMAS = Path(__file__).parents[3] / "shared" / "corpora" / "dashboards" / "schema"
UNITS = {"s", "short", "percentunit", "dateTimeFromNow"}
_NAME = re.compile(r"\brelaycanary_[a-z0-9_]+")
_PROMETHEUS_OWN = {"up", "scrape_duration_seconds"}
_FIXED_RANGE = {"[1d]", "[$__range]", "[$__rate_interval]"}

every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def read(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(file.read_text())
    return loaded


def targets(dashboard: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel, target


def test_the_code_makes_the_committed_files(tmp_path: Path) -> None:
    subprocess.run([sys.executable, FOLDER / "source", tmp_path], check=True)
    made = {file.name: file.read_text() for file in tmp_path.glob("*.json")}
    assert made == {file.name: file.read_text() for file in FILES}
    assert len(made) == 4


@every_file
def test_a_dashboard_has_a_fixed_uid_its_name_and_variables_that_work_anywhere(file: Path) -> None:
    dashboard = read(file)
    assert dashboard["uid"] == file.stem
    assert len(dashboard["uid"]) <= 40
    assert "id" not in dashboard
    assert dashboard["editable"] is False
    assert any(link["title"] == "Runbooks" for link in dashboard["links"])
    assert dashboard["annotations"]["list"][0]["expr"].startswith("changes(")
    variables = {one["name"]: one for one in dashboard["templating"]["list"]}
    assert [one["type"] for one in dashboard["templating"]["list"]].count("datasource") == 1
    assert (variables["datasource"]["label"], variables["datasource"]["query"]) == ("Data source", "prometheus")
    for name, one in variables.items():
        if name != "datasource":
            assert one["datasource"]["uid"] == "${datasource}"
            assert (one["multi"], one["includeAll"], one["allValue"], one["refresh"]) == (True, True, ".+", 2)


@every_file
def test_a_panel_has_title_description_unit_targets_and_the_variable_data_source(file: Path) -> None:
    dashboard = read(file)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in dashboard["panels"]:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["targets"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None
        assert panel["datasource"]["uid"] == "${datasource}"


@every_file
def test_panels_do_not_overlap(file: Path) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in read(file)["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


@every_file
def test_a_query_has_the_matchers_of_job_and_instance_and_counters_are_never_shown_raw(file: Path) -> None:
    for panel, target in targets(read(file)):
        selectors = re.findall(r"\b[a-z_]+\{[^}]*\}", target["expr"])
        assert selectors
        assert all('job=~"$job", instance=~"$instance"' in one for one in selectors), target["expr"]
        ranges = set(re.findall(r"\[[^\]]+\]", target["expr"]))
        assert ranges <= _FIXED_RANGE, target["expr"]
        if "_total{" in target["expr"] and panel["type"] != "table":
            assert "increase(" in target["expr"] or "rate(" in target["expr"]
        assert target["datasource"]["uid"] == "${datasource}"


def test_the_wall_shows_each_path_and_site_also_while_the_labels_of_their_target_change(
    promtool: str, tmp_path: Path
) -> None:
    """For two scrapes Prometheus has both; a query over a range that has such a moment in it must not fail."""
    overview = read(FOLDER / "relaycanary-overview.json")
    wall = {
        panel["title"]: target["expr"].replace("$job", ".+").replace("$instance", ".+")
        for panel, target in targets(overview)
    }
    check = 'job="j", instance="mon1:9825", check="relay", method="relay"'
    series = [
        {"series": f'relaycanary_check_{what}, node="{node}"}}', "values": "1x9"}
        for node in ("a", "b")
        for what in (
            f'verdict{{{check}, verdict="fail"',
            f'info{{{check}, path="relay", mailbox="outside", site="ams1", severity="critical"',
        )
    ]
    shown = [("Paths", '{site="ams1", path="relay"}'), ("Sites", '{site="ams1"}')]
    asked = [
        {"expr": wall[title], "eval_time": "5m", "exp_samples": [{"labels": labels, "value": 3}]}
        for title, labels in shown
    ]
    file = tmp_path / "wall.test.yaml"
    scenario = {"interval": "1m", "input_series": series, "promql_expr_test": asked}
    file.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "1m", "tests": [scenario]}))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@every_file
def test_dashboards_show_only_metrics_that_the_agent_exports(file: Path) -> None:
    dashboard = read(file)
    queries = [target["expr"] for _, target in targets(dashboard)]
    queries += [one["expr"] for one in dashboard["annotations"]["list"]]
    queries += [str(one["query"]) for one in dashboard["templating"]["list"]]
    used = {name for query in queries for name in _NAME.findall(query)}
    assert used <= exported()


def test_every_metric_of_the_agent_is_used_by_a_rule_or_a_dashboard_or_told_why_not() -> None:
    text = "".join(file.read_text() for file in [*FILES, *(DASHBOARDS / "prometheus").glob("*.yaml")])
    not_needed = {
        "check_last_verdict_timestamp_seconds": "the verdict says when it is too old",
        "check_last_pass_timestamp_seconds": "for people's own queries",
        "config_last_reload_success_timestamp_seconds": "a convention; the flag beside it alerts",
        "path_info": "host and port of a path, for joins in people's own queries",
        "report_last_success_timestamp_seconds": "failures alert; /reports/ has the dates",
        "server_arrival_timestamp_seconds": "for people's own queries, beside message trace",
        "token_requests_total": "failing tokens fail canaries, which alert",
        "check_lost_after_seconds": "the ledger judges by it",
    }
    unused = {
        family.removeprefix("relaycanary_")
        for family in {re.sub(r"_(bucket|count|sum)$", "", name) for name in exported()}
        if family not in text
    }
    assert unused <= set(not_needed), unused - set(not_needed)


def test_provisioning_files_are_what_grafana_reads() -> None:
    providers = yaml.safe_load((FOLDER / "provisioning" / "dashboards.yaml").read_text())
    sources = yaml.safe_load((FOLDER / "provisioning" / "datasources.yaml").read_text())
    assert (providers["apiVersion"], sources["apiVersion"]) == (1, 1)
    assert providers["providers"][0]["allowUiUpdates"] is False
    assert sources["datasources"][0]["uid"]


@pytest.mark.skipif(not SCHEMAS.is_dir(), reason="Grafana's schemas are not beside this checkout")
@pytest.mark.parametrize("version", ["grafana-10.4", "grafana-11.6", "grafana-main-2026-06"])
@every_file
def test_a_dashboard_is_valid_by_the_schema_of_grafana(file: Path, version: str) -> None:
    dashboard = read(file)
    whole = _relaxed(_schema(version, "dashboard"))
    definitions = whole["definitions"]
    definitions["MatcherConfig"]["properties"]["options"] = {}
    definitions["Threshold"]["properties"]["value"] = {}  # null, from minus infinity on, as Grafana itself writes it
    definitions["DynamicConfigValue"]["properties"]["value"] = {}
    top = {name: value for name, value in dashboard.items() if name != "panels"}
    problems = [error.message for error in Draft7Validator(whole).iter_errors(top)]
    panels = Draft7Validator({"definitions": definitions, "$ref": "#/definitions/Panel"})
    for panel in dashboard["panels"]:
        problems += [f"{panel['title']}: {error.message}" for error in panels.iter_errors(panel)]
        problems += _own_problems(panel, version)
    assert problems == []


def _own_problems(panel: dict[str, Any], version: str) -> Iterator[str]:
    """Hold options and field settings against the schema of the kind of panel, queries against that of Prometheus."""
    kind = _relaxed(_schema(version, panel["type"].replace("-", "")))["definitions"]
    parts = (("Options", panel["options"]), ("FieldConfig", panel["fieldConfig"]["defaults"].get("custom")))
    for name, value in parts:
        if name in kind and value:
            found = Draft7Validator({"definitions": kind, "$ref": f"#/definitions/{name}"}).iter_errors(value)
            yield from (f"{panel['title']} {name}: {error.message}" for error in found)
    query = _relaxed(_schema(version, "prometheus"))["definitions"]
    name = next(one for one in query if one.lower() == "dataquery")
    for target in panel["targets"]:
        found = Draft7Validator({"definitions": query, "$ref": f"#/definitions/{name}"}).iter_errors(target)
        yield from (f"{panel['title']} query: {error.message}" for error in found)


def _schema(version: str, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SCHEMAS / version / f"{name}.jsonschema.json").read_text())
    return loaded


def _relaxed(schema: Any) -> Any:
    """Take out what must be there: Grafana fills defaults in, the schema describes what it holds afterwards."""
    if isinstance(schema, dict):
        return {
            name: _relaxed(value) for name, value in schema.items() if name != "required" or isinstance(value, dict)
        }
    return [_relaxed(one) for one in schema] if isinstance(schema, list) else schema
