"""Mail flow overview: the wall of a NOC."""

from __future__ import annotations

from panels import (
    WHERE,
    Json,
    dashboard,
    evidence_link,
    heatmap,
    lines,
    stat,
    table,
    target,
    thresholds,
    verdict,
    verdict_timeline,
    verdict_wall,
)

_INFO = (  # one series a check also where a target has just got other labels, and Prometheus has both
    "on (job, instance, check, method) group_left (site, path)"
    f" topk by (job, instance, check, method) (1, relaycanary_check_info{{{WHERE}}})"
)
_ON_TIME = f'relaycanary_canaries_total{{{WHERE}, outcome=~"delivered|degraded"}}'
_KNOWN = f'relaycanary_canaries_total{{{WHERE}, verdict!="unknown"}}'
_NOT_PASSED = f'relaycanary_canaries_total{{{WHERE}, verdict!="pass"}}'


def build() -> Json:
    """Make the dashboard."""
    return dashboard(
        "relaycanary-overview",
        "Mail flow overview",
        "Every path by which mail is sent: does it deliver now, how fast, and why not.",
        [[_paths(), _sites()], [_timeline()], [_reasons(), _latency()], [_budget(), _unknown()], [_problems()]],
    )


def _paths() -> Json:
    """Every path, by its worst check."""
    return verdict_wall(
        "Paths",
        "The worst current verdict of the checks of each path. UNKNOWN: nobody could look; neither good nor bad.",
        [target(f"max by (site, path) (({verdict()}) * {_INFO})", "{{site}} {{path}}")],
        size=(18, 7),
    )


def _sites() -> Json:
    """Every site, by its best check."""
    return verdict_wall(
        "Sites",
        "The best current verdict at each site: not PASS only if nothing delivers there.",
        [target(f"min by (site) (max by (job, instance, site, check, method) (({verdict()}) * {_INFO}))", "{{site}}")],
        size=(6, 7),
    )


def _timeline() -> Json:
    """Verdicts as they were."""
    return verdict_timeline(
        "Verdicts over time",
        "The current verdict of each check, as it was at each moment.",
        [target(f"max by (instance, check) ({verdict()})", "{{check}}")],
        size=(24, 8),
    )


def _reasons() -> Json:
    """What went wrong, by outcome."""
    return lines(
        "What went wrong",
        "Canaries that did not pass, by outcome.",
        [target(f"sum by (outcome) (increase({_NOT_PASSED}[$__rate_interval])) > 0", "{{outcome}}")],
        bars=True,
        size=(12, 9),
    )


def _latency() -> Json:
    """Latencies of all checks."""
    return heatmap(
        "Latency",
        "From the first byte sent to first seen in the mailbox, by the agent's own clock; all checks together.",
        f"sum by (le) (increase(relaycanary_end_to_end_seconds_bucket{{{WHERE}}}[$__rate_interval]))",
        unit="s",
        size=(12, 9),
    )


def _budget() -> Json:
    """The service level."""
    return stat(
        "On time",
        "Service level of the time range: on-time deliveries over concluded canaries of which the verdict is known.",
        [
            target(
                f"sum by (check) (increase({_ON_TIME}[$__range])) / sum by (check) (increase({_KNOWN}[$__range]))",
                "{{check}}",
            )
        ],
        unit="percentunit",
        limits=thresholds((None, "red"), (0.95, "yellow"), (0.99, "green")),
        size=(12, 7),
    )


def _unknown() -> Json:
    """How much of it is not known."""
    return stat(
        "Not measured",
        "Share of concluded canaries of which nobody knows what became; above 10 % the service level is no figure.",
        [
            target(
                f'sum by (check) (increase(relaycanary_canaries_total{{{WHERE}, verdict="unknown"}}[$__range]))'
                f" / sum by (check) (increase(relaycanary_canaries_total{{{WHERE}}}[$__range]))",
                "{{check}}",
            )
        ],
        unit="percentunit",
        limits=thresholds((None, "green"), (0.1, "purple")),
        size=(12, 7),
    )


def _problems() -> Json:
    """The newest failure of each check."""
    return table(
        "Last failures",
        "The newest failure of each check, what it means and what to do. The link leads to the server's own words.",
        f'relaycanary_check_last_problem_timestamp_seconds{{{WHERE}, verdict="fail"}} * 1000',
        unit="dateTimeFromNow",
        hidden=("verdict",),
        link=evidence_link("check"),
        size=(24, 8),
    )
