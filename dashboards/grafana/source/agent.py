"""Agent health: whether what the other dashboards say can be relied on."""

from __future__ import annotations

from panels import WHERE, Json, dashboard, lines, stat, table, target, thresholds

_GOOD = thresholds((None, "red"), (1, "green"))
_DAYS = thresholds((None, "red"), (7 * 86400, "yellow"), (30 * 86400, "green"))
_YES = [{"type": "value", "options": {"0": {"text": "NO", "index": 0}, "1": {"text": "YES", "index": 1}}}]


def build() -> Json:
    """Make the dashboard."""
    return dashboard(
        "relaycanary-agent",
        "Agent health",
        "The agent itself: does it send on time, can it read its mailboxes, are its records right.",
        [
            [_well(), _mailboxes()],
            [_started(), _delay()],
            [_looks(), _throttled()],
            [_ignored(), _ledger(), _audit()],
            [_certificates(), _credentials()],
            [_notifications(), _notified()],
            [_versions(), _scrapes()],
        ],
    )


def _well() -> Json:
    return stat(
        "Agent",
        "Can Prometheus scrape it, can it read its ledger, do its records add up, are its newest settings in force.",
        [
            target(f"up{{{WHERE}}}", "{{instance}} scraped"),
            target(f"relaycanary_ledger_up{{{WHERE}}}", "{{instance}} ledger"),
            target(f"relaycanary_ledger_consistent{{{WHERE}}}", "{{instance}} records add up"),
            target(f"relaycanary_config_last_reload_successful{{{WHERE}}}", "{{instance}} settings"),
        ],
        background=True,
        limits=_GOOD,
        defaults={"mappings": _YES},
        size=(14, 6),
    )


def _mailboxes() -> Json:
    return stat(
        "Mailboxes",
        "Whether the last attempt to look into each mailbox succeeded. NO: its checks are blind.",
        [target(f"relaycanary_mailbox_up{{{WHERE}}}", "{{mailbox}}")],
        background=True,
        limits=_GOOD,
        defaults={"mappings": _YES},
        size=(10, 6),
    )


def _started() -> Json:
    return lines(
        "Canaries started, slots skipped",
        "How many canaries were sent, and how many slots passed without one.",
        [
            target(
                f"sum by (check) (increase(relaycanary_canaries_started_total{{{WHERE}}}[$__rate_interval]))",
                "{{check}}",
            ),
            target(
                f"sum by (check) (increase(relaycanary_check_slots_skipped_total{{{WHERE}}}[$__rate_interval]))",
                "{{check}} skipped",
            ),
        ],
    )


def _delay() -> Json:
    return lines(
        "Schedule delay",
        "How long after its slot the last canary of each check was sent.",
        [target(f"relaycanary_check_schedule_delay_seconds{{{WHERE}}}", "{{check}}")],
        unit="s",
    )


def _looks() -> Json:
    return lines(
        "Age of the last look",
        "How long ago every folder of a mailbox was last looked through, and the longest time between two looks.",
        [
            target(f"time() - relaycanary_mailbox_last_look_timestamp_seconds{{{WHERE}}}", "{{mailbox}}"),
            target(f"relaycanary_mailbox_look_interval_seconds{{{WHERE}}}", "{{mailbox}} interval"),
        ],
        unit="s",
    )


def _throttled() -> Json:
    return lines(
        "Throttled",
        "How often the server of a mailbox asked the agent to slow down.",
        [
            target(
                f"sum by (mailbox) (increase(relaycanary_mailbox_throttled_total{{{WHERE}}}[$__rate_interval]))",
                "{{mailbox}}",
            )
        ],
        bars=True,
    )


def _ignored() -> Json:
    return lines(
        "Messages ignored",
        "Messages that carry a canary's token and do not count: forged, foreign, expired, copies.",
        [
            target(
                "sum by (mailbox, reason) ("
                f"increase(relaycanary_mailbox_messages_ignored_total{{{WHERE}}}[$__rate_interval]))",
                "{{mailbox}} {{reason}}",
            )
        ],
        bars=True,
    )


def _ledger() -> Json:
    return lines(
        "Ledger: write errors",
        "What could not be written to the ledger.",
        [
            target(
                f"sum by (instance) (increase(relaycanary_ledger_write_errors_total{{{WHERE}}}[$__rate_interval]))",
                "{{instance}}",
            )
        ],
        size=(6, 8),
        bars=True,
    )


def _certificates() -> Json:
    return stat(
        "Certificates",
        "Time until the certificate of each path ends: the one that is shown to us (server) and our own (client).",
        [target(f"relaycanary_certificate_not_after_timestamp_seconds{{{WHERE}}} - time()", "{{path}} {{role}}")],
        unit="s",
        limits=_DAYS,
        size=(12, 7),
    )


def _credentials() -> Json:
    return stat(
        "Credentials",
        "Time until the client secret or certificate of each credential ends, where that is known.",
        [target(f"relaycanary_credential_not_after_timestamp_seconds{{{WHERE}}} - time()", "{{credential}}")],
        unit="s",
        limits=_DAYS,
        size=(12, 7),
    )


def _audit() -> Json:
    return stat(
        "Age of the last audit",
        "How long ago the agent last held all its totals against the rows of its ledger.",
        [target(f"time() - relaycanary_ledger_last_audit_timestamp_seconds{{{WHERE}}}", "{{instance}}")],
        unit="s",
        size=(6, 8),
    )


def _notifications() -> Json:
    return lines(
        "Pages of its own channels",
        "What became of the agent's own pages, by channel, and of its heartbeats; failed ones are tried again.",
        [
            target(
                f"sum by (channel, result) (increase(relaycanary_notifications_total{{{WHERE}}}[$__rate_interval]))",
                "{{channel}} {{result}}",
            ),
            target(f"relaycanary_notifications_waiting{{{WHERE}}}", "{{channel}} waiting"),
        ],
    )


def _notified() -> Json:
    return lines(
        "Age of the last success",
        "How long ago each channel last took something; only a heartbeat is regular.",
        [target(f"time() - relaycanary_notification_last_success_timestamp_seconds{{{WHERE}}}", "{{channel}}")],
        unit="s",
    )


def _versions() -> Json:
    return table(
        "Versions",
        "The version of each agent and of the Python that runs it.",
        f"relaycanary_build_info{{{WHERE}}}",
        hidden=("Value",),
    )


def _scrapes() -> Json:
    return lines(
        "Scrape duration",
        "How long a scrape of the agent takes.",
        [target(f"scrape_duration_seconds{{{WHERE}}}", "{{instance}}")],
        unit="s",
    )
