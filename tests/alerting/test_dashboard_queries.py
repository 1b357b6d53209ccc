"""Every query of the dashboards, on the real Prometheus with an agent on the lab: it is taken, and brings series."""

from __future__ import annotations

import json

import pytest
from alerting.stack import DASHBOARDS, Stack

pytestmark = pytest.mark.servers

VARIABLES = {
    "$job": ".+",
    "$instance": ".+",
    "$path": ".+",
    "$check": ".+",
    "$__rate_interval": "1m",
    "$__range": "10m",
}


def queries() -> list[tuple[str, str]]:
    found = []
    for file in sorted((DASHBOARDS / "grafana").glob("*.json")):
        dashboard = json.loads(file.read_text())
        found += [(panel["title"], one["expr"]) for panel in dashboard["panels"] for one in panel["targets"]]
        found += [(one["name"], one["expr"]) for one in dashboard["annotations"]["list"]]
    return found


def test_every_query_of_the_dashboards_brings_series(stack: Stack) -> None:
    stack.lab.break_("relay", "connector_mismatch")
    stack.until("it is noticed", lambda: "RelaycanaryPathBroken" in stack.firing())
    stack.lab.heal()
    stack.until_quiet()
    for title, expression in queries():
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)  # noqa: PLW2901
        stack.until(f"{title}: {expression}", lambda expression=expression: stack.query(expression))
        # a level that a mailbox's mail does not carry is no number, and so is a share of nothing
        assert (
            any(one["value"][1] != "NaN" for one in stack.query(expression))
            or "histogram" in expression
            or "/" in expression
        )
