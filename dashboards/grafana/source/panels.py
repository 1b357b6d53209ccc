"""What the dashboards are made of: panels, variables and annotations, as Grafana's JSON wants them.

Plain functions that return plain dictionaries. Every panel has a title, a description, a unit and the data source of
the variable; every query has the matchers of the variables `job` and `instance`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
WHERE = 'job=~"$job", instance=~"$instance"'
"""The matchers that every selector has."""
WIDTH = 24
RUNBOOKS = "https://runbooks.example.com/relaycanary"

VERDICTS: Mapping[str, tuple[int, str, str]] = {
    "pass": (0, "PASS", "green"),
    "warn": (1, "WARN", "yellow"),
    "unknown": (2, "UNKNOWN", "purple"),
    "fail": (3, "FAIL", "red"),
}
"""The number that stands for a verdict in a panel, what is written there, and its colour."""


def verdict(more: str = "") -> str:
    """Write the query that shows the current verdict of each check as a number of `VERDICTS`."""
    parts = [
        f'relaycanary_check_verdict{{{WHERE}{more}, verdict="{name}"}} * {number}'
        for name, (number, _, _) in VERDICTS.items()
    ]
    return " or ".join(parts)


def target(expr: str, legend: str = "", *, table: bool = False, heatmap: bool = False) -> Json:
    """Ask Prometheus; `table` asks for the last value of each series only."""
    return {
        "datasource": SOURCE,
        "expr": expr,
        "legendFormat": legend or "__auto",
        "instant": table,
        "range": not table,
        "format": "table" if table else "heatmap" if heatmap else "time_series",
        "editorMode": "code",
    }


def thresholds(*steps: tuple[float | None, str]) -> Json:
    """Colours from a value on; the first has no value."""
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]}


PLAIN = thresholds((None, "green"))


def panel(
    kind: str,
    title: str,
    description: str,
    targets: Sequence[Json],
    *,
    size: tuple[int, int] = (12, 8),
    unit: str = "short",
    limits: Json = PLAIN,
    options: Json | None = None,
    defaults: Json | None = None,
    overrides: Sequence[Json] = (),
    transformations: Sequence[Json] = (),
) -> Json:
    """Make a panel of any kind; `size` is width (of 24) and height."""
    for number, one in enumerate(targets):
        one["refId"] = chr(ord("A") + number)
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": SOURCE,
        "gridPos": {"w": size[0], "h": size[1], "x": 0, "y": 0},
        "targets": list(targets),
        "fieldConfig": {
            "defaults": {"unit": unit, "thresholds": limits, **(defaults or {})},
            "overrides": list(overrides),
        },
        "options": options or {},
        **({"transformations": list(transformations)} if transformations else {}),
    }


def lines(title: str, description: str, targets: Sequence[Json], *, bars: bool = False, **more: Any) -> Json:
    """Make a chart over time: lines, or stacked bars."""
    custom: Json = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "auto", "spanNulls": False}
    if bars:
        custom = {"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0, "stacking": {"mode": "normal", "group": "A"}}
    options = {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel("timeseries", title, description, targets, options=options, defaults={"custom": custom}, **more)


def stat(title: str, description: str, targets: Sequence[Json], *, background: bool = False, **more: Any) -> Json:
    """Make big numbers, or words by value mappings."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "values": False, "fields": ""},
        "colorMode": "background" if background else "value",
        "graphMode": "none",
        "textMode": "value_and_name",
        "justifyMode": "auto",
        "orientation": "auto",
    }
    return panel("stat", title, description, targets, options=options, **more)


def _mappings() -> list[Json]:
    values = {str(number): {"text": text, "color": color, "index": number} for number, text, color in VERDICTS.values()}
    return [{"type": "value", "options": values}]


def verdict_wall(title: str, description: str, targets: Sequence[Json], **more: Any) -> Json:
    """Show verdicts of this moment, large enough for a wall."""
    defaults = {"mappings": _mappings()}
    limits = thresholds((None, "green"), (1, "yellow"), (2, "purple"), (3, "red"))
    return stat(title, description, targets, background=True, defaults=defaults, limits=limits, **more)


def verdict_timeline(title: str, description: str, targets: Sequence[Json], **more: Any) -> Json:
    """Show verdicts over time."""
    options = {
        "mergeValues": True,
        "showValue": "never",
        "alignValue": "left",
        "rowHeight": 0.9,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    defaults = {"mappings": _mappings(), "custom": {"lineWidth": 0, "fillOpacity": 80}}
    limits = thresholds((None, "green"), (1, "yellow"), (2, "purple"), (3, "red"))
    return panel(
        "state-timeline", title, description, targets, options=options, defaults=defaults, limits=limits, **more
    )


def heatmap(title: str, description: str, expr: str, **more: Any) -> Json:
    """Show how many canaries took how long, over time."""
    options = {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange"},
        "yAxis": {"axisPlacement": "left", "unit": "s"},
        "rowsFrame": {"layout": "auto"},
        "legend": {"show": True},
        "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": False},
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "showValue": "never",
        "filterValues": {"le": 1e-9},
    }
    return panel("heatmap", title, description, [target(expr, "{{le}}", heatmap=True)], options=options, **more)


def table(
    title: str, description: str, expr: str, *, hidden: Sequence[str] = (), link: Json | None = None, **more: Any
) -> Json:
    """Show the last value of each series with its labels as columns."""
    hide = dict.fromkeys(("Time", "__name__", "job", *hidden), True)
    overrides = (
        []
        if link is None
        else [
            {
                "matcher": {"id": "byName", "options": link["column"]},
                "properties": [{"id": "links", "value": [link["to"]]}],
            }
        ]
    )
    return panel(
        "table",
        title,
        description,
        [target(expr, table=True)],
        options={"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": ["sum"], "fields": []}},
        transformations=[{"id": "organize", "options": {"excludeByName": hide, "indexByName": {}, "renameByName": {}}}],
        overrides=overrides,
        **more,
    )


def evidence_link(column: str) -> Json:
    """Lead from a row to the page of its check on the agent, which has the server's words and the evidence."""
    url = "http://${__data.fields.instance}/checks/${__data.fields.check}"
    return {"column": column, "to": {"title": "The agent's page of this check", "url": url, "targetBlank": True}}


def variable(name: str, label: str, metric: str) -> Json:
    """Make a variable with the values of a label, all of them to begin with."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCE,
        "query": f"label_values({metric}, {name})",
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
    }


def dashboard(uid: str, title: str, description: str, rows: Sequence[Sequence[Json]], **more: Any) -> Json:
    """Put a dashboard together; each of *rows* is laid out from left to right."""
    variables = [
        {
            "type": "datasource",
            "name": "datasource",
            "label": "Data source",
            "query": "prometheus",
            "refresh": 1,
            "hide": 0,
            "multi": False,
            "includeAll": False,
            "current": {},
        },
        variable("job", "Job", "relaycanary_build_info"),
        variable("instance", "Instance", 'relaycanary_build_info{job=~"$job"}'),
        *more.get("variables", ()),
    ]
    return {
        "uid": uid,
        "title": f"Relaycanary / {title}",
        "description": description,
        "tags": ["relaycanary", "mail"],
        "editable": False,
        "graphTooltip": 1,
        "schemaVersion": 39,
        "refresh": more.get("refresh", "30s"),
        "time": {"from": more.get("since", "now-6h"), "to": "now"},
        "timezone": "browser",
        "links": [
            {
                "type": "dashboards",
                "title": "Relaycanary",
                "tags": ["relaycanary"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
                "targetBlank": False,
                "icon": "external link",
                "tooltip": "",
                "url": "",
            },
            {
                "type": "link",
                "title": "Runbooks",
                "url": RUNBOOKS,
                "tags": [],
                "asDropdown": False,
                "includeVars": False,
                "keepTime": False,
                "targetBlank": True,
                "icon": "doc",
                "tooltip": "What each alert means and what to do",
            },
        ],
        "annotations": {"list": [_changes()]},
        "templating": {"list": variables},
        "panels": _laid_out(rows),
    }


def _changes() -> Json:
    """Mark every moment at which a verdict changed to fail, or back."""
    return {
        "name": "Changes of verdict",
        "datasource": SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "red",
        "expr": f'changes(relaycanary_check_verdict{{{WHERE}, verdict="fail"}}[2m]) > 0',
    }


def _laid_out(rows: Sequence[Sequence[Json]]) -> list[Json]:
    placed: list[Json] = []
    top = 0
    for row in rows:
        left = 0
        for one in row:
            one["id"] = len(placed) + 1
            one["gridPos"] |= {"x": left, "y": top}
            left += one["gridPos"]["w"]
            placed.append(one)
        if left > WIDTH:
            raise ValueError(f"the row with {row[0]['title']!r} is {left} wide")
        top += max(one["gridPos"]["h"] for one in row)
    return placed
