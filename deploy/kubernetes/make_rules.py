"""Write `prometheusrule.yaml` from the rules in `dashboards/prometheus`; a test rebuilds it.

    relaycanary rules | python3 deploy/kubernetes/make_rules.py -

makes it of what the command prints: with the checks that there must be, and with links that lead somewhere.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).parents[2] / "dashboards" / "prometheus"
FILE = Path(__file__).with_name("prometheusrule.yaml")


def committed() -> list[dict[str, Any]]:
    """Return the groups of the rules that are the same for everybody."""
    return [
        group
        for file in sorted(RULES.glob("*.yaml"))
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    ]


def build(groups: list[dict[str, Any]], source: str) -> str:
    """Return the custom resource of the Prometheus operator, as YAML."""
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "relaycanary"},
        "spec": {"groups": groups},
    }
    head = f"# Made by make_rules.py from {source}.\n"
    return head + yaml.safe_dump(resource, sort_keys=False, width=110, allow_unicode=True)


def main() -> int:
    """Write the file; what comes in and is no set of rules leaves it as it was."""
    if sys.argv[1:] != ["-"]:
        FILE.write_text(build(committed(), "dashboards/prometheus"), encoding="utf-8")
        return 0
    try:
        printed = yaml.safe_load(sys.stdin)
    except yaml.YAMLError:
        printed = None
    if not isinstance(printed, dict) or not printed.get("groups"):
        print("make_rules: what came in has no rules; prometheusrule.yaml stays as it was", file=sys.stderr)  # noqa: T201
        return 1
    FILE.write_text(build(printed["groups"], "what relaycanary rules printed"), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
