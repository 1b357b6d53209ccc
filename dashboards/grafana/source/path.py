"""Path detail: where the time goes, and who refuses."""

from __future__ import annotations

from panels import (
    WHERE,
    Json,
    dashboard,
    evidence_link,
    heatmap,
    lines,
    table,
    target,
    variable,
    verdict,
    verdict_timeline,
)

_CHECK = ', check=~"$check"'
_HERE = WHERE + _CHECK


def build() -> Json:
    """Make the dashboard."""
    return dashboard(
        "relaycanary-path",
        "Path detail",
        "One path, or several: stages, latency, outcomes and refusals.",
        [
            [_verdicts()],
            [_stages(), _quantiles()],
            [_latency(), _outcomes()],
            [_flight(), _gap()],
            [_hops(), _clocks()],
            [_refusals(), _problems()],
        ],
        variables=[
            variable("path", "Path", f"relaycanary_check_info{{{WHERE}}}"),
            variable("check", "Check", f'relaycanary_check_info{{{WHERE}, path=~"$path"}}'),
        ],
    )


def _verdicts() -> Json:
    return verdict_timeline(
        "Verdicts over time",
        "The current verdict of each check of the path, as it was at each moment.",
        [target(f"max by (instance, check) ({verdict(_CHECK)})", "{{check}}")],
        size=(24, 6),
    )


def _stages() -> Json:
    rate = "sum by (check, stage) (rate(relaycanary_stage_seconds_{part}{{{here}}}[$__rate_interval]))"
    sums, counts = (rate.format(part=part, here=_HERE) for part in ("sum", "count"))
    return lines(
        "Stages of handing over",
        "Mean time spent in each stage, from looking the name up to the final reply.",
        [target(f"{sums} / ({counts} > 0)", "{{check}} {{stage}}")],
        unit="s",
        bars=True,
    )


def _quantiles() -> Json:
    def quantile(share: float, family: str) -> Json:
        buckets = f"sum by (check, le) (rate(relaycanary_{family}_seconds_bucket{{{_HERE}}}[$__rate_interval]))"
        return target(f"histogram_quantile({share}, {buckets})", f"{{{{check}}}} {family} {share:.0%}")

    return lines(
        "Submission and delivery",
        "Half of the messages, and 19 of 20, took no longer. Submission: first byte to final reply. Delivery: final"
        " reply to first seen. The line `late after` is the setting.",
        [
            quantile(0.5, "submission"),
            quantile(0.5, "delivery"),
            quantile(0.95, "end_to_end"),
            target(f"relaycanary_check_late_after_seconds{{{_HERE}}}", "{{check}} late after"),
        ],
        unit="s",
    )


def _latency() -> Json:
    return heatmap(
        "End to end",
        "From the first byte sent to first seen in the mailbox, by the agent's own clock.",
        f"sum by (le) (increase(relaycanary_end_to_end_seconds_bucket{{{_HERE}}}[$__rate_interval]))",
        unit="s",
    )


def _outcomes() -> Json:
    return lines(
        "Outcomes",
        "Canaries concluded, by what happened; each canary once.",
        [
            target(
                f"sum by (check, outcome) (increase(relaycanary_canaries_total{{{_HERE}}}[$__rate_interval])) > 0",
                "{{check}} {{outcome}}",
            )
        ],
        bars=True,
    )


def _flight() -> Json:
    return lines(
        "On the way",
        "Canaries that have no conclusion yet.",
        [target(f"relaycanary_canaries_in_flight{{{_HERE}}}", "{{check}}")],
    )


def _gap() -> Json:
    return lines(
        "Newest latency and its uncertainty",
        "End-to-end latency of the newest canary that was seen, and how much earlier it may have arrived: nobody looked"
        " in between.",
        [
            target(f"relaycanary_end_to_end_last_seconds{{{_HERE}}}", "{{check}} end to end"),
            target(f"relaycanary_observation_gap_seconds{{{_HERE}}}", "{{check}} gap"),
        ],
        unit="s",
    )


def _hops() -> Json:
    return lines(
        "The way by the servers' clocks",
        "Of the newest canary that was seen: between one hop and the next, from the first to the last, and Exchange's"
        " own figure. A series apart: it holds the differences between these clocks, and may be negative.",
        [
            target(f"relaycanary_server_hop_seconds{{{_HERE}}}", "{{check}} hop {{hop}}"),
            target(f"relaycanary_server_transit_seconds{{{_HERE}}}", "{{check}} first to last"),
            target(f"relaycanary_server_end_to_end_seconds{{{_HERE}}}", "{{check}} as Exchange says"),
        ],
        unit="s",
    )


def _clocks() -> Json:
    return lines(
        "Servers' clocks against ours",
        "How far the clock of the host that took the canary (edge) or stored it (mailbox) is ahead of the agent's, and"
        " how far off that estimate may be.",
        [
            target(f"relaycanary_server_clock_offset_seconds{{{_HERE}}}", "{{check}} {{server}}"),
            target(f"relaycanary_server_clock_uncertainty_seconds{{{_HERE}}}", "{{check}} {{server}} give or take"),
        ],
        unit="s",
    )


def _refusals() -> Json:
    return table(
        "Refusals",
        "How often each command was refused with which codes, since the ledger began.",
        f"sum by (instance, check, stage, code, enhanced) (relaycanary_smtp_replies_total{{{_HERE}}}) > 0",
        link=evidence_link("check"),
        size=(9, 9),
    )


def _problems() -> Json:
    return table(
        "Newest problems",
        "The newest canary of each verdict that is not a pass: what it means and what to do. The link leads to the"
        " server's own words and the evidence.",
        f"relaycanary_check_last_problem_timestamp_seconds{{{_HERE}}} * 1000",
        unit="dateTimeFromNow",
        link=evidence_link("check"),
        size=(15, 9),
    )
