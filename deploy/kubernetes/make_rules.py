"""Write `prometheusrule.yaml` from the rules in `dashboards/prometheus`; a test rebuilds it."""

from __future__ import annotations

from pathlib import Path

import yaml

RULES = Path(__file__).parents[2] / "dashboards" / "prometheus"
FILE = Path(__file__).with_name("prometheusrule.yaml")


def build() -> str:
    """Return the custom resource of the Prometheus operator, as YAML."""
    groups = [
        group
        for file in sorted(RULES.glob("*.yaml"))
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    ]
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "relaycanary"},
        "spec": {"groups": groups},
    }
    head = "# Made by make_rules.py from dashboards/prometheus.\n"
    return head + yaml.safe_dump(resource, sort_keys=False, width=110, allow_unicode=True)


if __name__ == "__main__":
    FILE.write_text(build(), encoding="utf-8")
