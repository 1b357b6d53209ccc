"""Deliverability: whether mail that is accepted is also wanted, over weeks."""

from __future__ import annotations

from panels import WHERE, Json, dashboard, lines, stat, target, thresholds

_ARRIVED = f'relaycanary_canaries_total{{{WHERE}, outcome=~"delivered|late|degraded|junk"}}'
_JUNK = f'relaycanary_canaries_total{{{WHERE}, outcome="junk"}}'
_GONE = f'relaycanary_canaries_total{{{WHERE}, outcome=~"bounced|lost"}}'
_LEVELS = thresholds((None, "green"), (5, "yellow"), (7, "red"))


def build() -> Json:
    """Make the dashboard."""
    return dashboard(
        "relaycanary-deliverability",
        "Deliverability",
        "Junk, authentication and spam confidence of the mail that arrives, over weeks.",
        [[_junk_now(), _arrived_now()], [_junk(), _authentication()], [_confidence(), _returned()]],
        since="now-28d",
        refresh="5m",
    )


def _junk_now() -> Json:
    return stat(
        "Share of Junk",
        "Of the mail that arrived within the time range, how much lay in Junk or was marked so.",
        [
            target(
                f"sum by (check) (increase({_JUNK}[$__range])) / sum by (check) (increase({_ARRIVED}[$__range]))",
                "{{check}}",
            )
        ],
        unit="percentunit",
        limits=thresholds((None, "green"), (0.001, "yellow"), (0.02, "red")),
        size=(12, 6),
    )


def _arrived_now() -> Json:
    return stat(
        "Arrived",
        "How many messages these shares rest on.",
        [target(f"sum by (check) (increase({_ARRIVED}[$__range]))", "{{check}}")],
        size=(12, 6),
    )


def _junk() -> Json:
    return lines(
        "Junk, day by day",
        "Share of a day's mail that arrived in Junk.",
        [
            target(
                f"sum by (check) (increase({_JUNK}[1d])) / (sum by (check) (increase({_ARRIVED}[1d])) > 0)", "{{check}}"
            )
        ],
        unit="percentunit",
    )


def _authentication() -> Json:
    family = "relaycanary_authentication_total"
    passed = f'sum by (check, mechanism) (increase({family}{{{WHERE}, result=~"pass|bestguesspass|softpass"}}[1d]))'
    every = f"sum by (check, mechanism) (increase({family}{{{WHERE}}}[1d]))"
    return lines(
        "Authentication, day by day",
        "Share of a day's mail whose SPF, DKIM, DMARC or composite authentication the receiver found to pass.",
        [target(f"{passed} / ({every} > 0)", "{{check}} {{mechanism}}")],
        unit="percentunit",
    )


def _confidence() -> Json:
    return lines(
        "Spam confidence level",
        "Microsoft's level of the newest message that was seen: -1 trusted, up to 4 not spam, 5 and 6 spam, 7 to 9 high"
        " confidence spam.",
        [target(f"relaycanary_spam_confidence_level{{{WHERE}}}", "{{check}}")],
        limits=_LEVELS,
    )


def _returned() -> Json:
    return lines(
        "Bounced, lost and recovered, day by day",
        "Messages that came back, that never arrived, and that turned up after they had been given up.",
        [
            target(
                f"sum by (check, outcome) (increase({_GONE}[1d]))",
                "{{check}} {{outcome}}",
            ),
            target(
                f"sum by (check) (increase(relaycanary_canaries_recovered_total{{{WHERE}}}[1d]))", "{{check}} recovered"
            ),
            target(
                f"sum by (check) (increase(relaycanary_canaries_duplicates_total{{{WHERE}}}[1d]))",
                "{{check}} seen twice",
            ),
        ],
        bars=True,
    )
