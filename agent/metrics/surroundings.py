"""Metrics of what checks are made of (paths, mailboxes) and of the agent itself (settings, ledger, build)."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from agent.config.alerts import HEARTBEAT
from agent.ledger.notified import BEATS, NOTIFICATIONS, RESULTS
from agent.metrics.family import Family, Row, family
from agent.metrics.picture import Picture
from checks.core.recognise import Ignored


@family("info", "path_info", "A configured way to send.", "path", "method", "host", "port", "tls", "site")
def _path(picture: Picture) -> Iterator[Row]:
    for path in picture.view.paths:
        to = path.endpoint
        yield (path.name, path.method, to.host, str(to.port), to.tls, picture.view.site), {}


@family("info", "mailbox_info", "A configured mailbox.", "mailbox", "kind", "host", "site")
def _mailbox(picture: Picture) -> Iterator[Row]:
    for mailbox in picture.view.mailboxes:
        yield (mailbox.name, mailbox.kind, mailbox.endpoint.host, picture.view.site), {}


@family("gauge", "mailbox_up", "1 if the last attempt to look into the mailbox succeeded.", "mailbox")
def _mailbox_up(picture: Picture) -> Iterator[Row]:
    for mailbox in picture.view.mailboxes:
        yield (mailbox.name,), float(mailbox.status.up)


@family(
    "gauge",
    "mailbox_last_look_timestamp_seconds",
    "Unix time since when every watched folder has been looked into completely; absent before that, as 0 is 1970.",
    "mailbox",
    recorded=True,
)
def _last_look(picture: Picture) -> Iterator[Row]:
    for mailbox in picture.view.mailboxes:
        looked_at = picture.looked_at(mailbox.name)
        if looked_at is not None:
            yield (mailbox.name,), picture.unix(looked_at)


@family("gauge", "mailbox_look_interval_seconds", "Longest time between two looks into a folder.", "mailbox")
def _look_interval(picture: Picture) -> Iterator[Row]:
    for mailbox in picture.view.mailboxes:
        yield (mailbox.name,), mailbox.status.look_interval


@family("counter", "mailbox_throttled_total", "How often the server asked us to slow down, since the start.", "mailbox")
def _throttled(picture: Picture) -> Iterator[Row]:
    for mailbox in picture.view.mailboxes:
        yield (mailbox.name,), mailbox.status.throttled


@family(
    "counter",
    "mailbox_messages_ignored_total",
    "Messages that carry a canary's token and do not count as one.",
    "mailbox",
    "reason",
    recorded=True,
)
def _ignored(picture: Picture) -> Iterator[Row]:
    for mailbox in picture.view.mailboxes:
        counts = dict.fromkeys((reason.value for reason in Ignored), 0.0)
        for total in picture.totals(mailbox.name, "messages_ignored"):
            reason = total.labels["reason"]
            counts[reason] = counts.get(reason, 0.0) + total.value
        for reason, count in counts.items():
            yield (mailbox.name, reason), count


@family(
    "gauge",
    "certificate_not_after_timestamp_seconds",
    "Unix time at which a certificate ends that we show (client, web) or were shown (server); of several the first.",
    "path",
    "role",
)
def _certificates(picture: Picture) -> Iterator[Row]:
    for path in picture.view.paths:
        ends: dict[str, float] = {}
        for one in path.certificates:
            end = one.not_after.timestamp()
            ends[one.role] = min(end, ends.get(one.role, end))
        for role, end in ends.items():
            yield (path.name, role), end
    if picture.view.web_certificate is not None:
        yield ("", "web"), picture.view.web_certificate.timestamp()


@family(
    "gauge",
    "credential_not_after_timestamp_seconds",
    "Unix time at which the secret or certificate of a credential ends; absent where nobody knows.",
    "credential",
)
def _credential_ends(picture: Picture) -> Iterator[Row]:
    for credential in picture.view.credentials:
        if credential.facts.not_after is not None:
            yield (credential.name,), credential.facts.not_after.timestamp()


@family(
    "counter",
    "token_requests_total",
    "Requests for an access token, by what came of them, since the settings are in force.",
    "credential",
    "result",
)
def _token_requests(picture: Picture) -> Iterator[Row]:
    for credential in picture.view.credentials:
        for result, count in credential.facts.token_requests.items():
            yield (credential.name, result), float(count)


@family("gauge", "config_last_reload_successful", "1 if the settings that were read last are in force.")
def _reload_successful(picture: Picture) -> Iterator[Row]:
    yield (), float(picture.view.reload_successful)


@family("gauge", "config_last_reload_success_timestamp_seconds", "Unix time since when the settings are in force.")
def _reload_success_at(picture: Picture) -> Iterator[Row]:
    yield (), picture.unix(picture.view.reload_success_at)


@family("counter", "report_runs_total", "Attempts to make and send the scheduled report, since the start.", "result")
def _report_runs(picture: Picture) -> Iterator[Row]:
    status = picture.view.report
    if status is not None:
        yield ("sent",), status.sent
        yield ("failed",), status.failed


@family("gauge", "report_last_success_timestamp_seconds", "Unix time at which a scheduled report was last sent to all.")
def _report_success(picture: Picture) -> Iterator[Row]:
    status = picture.view.report
    if status is not None and status.sent_at is not None:
        yield (), status.sent_at


@family(
    "counter",
    "notifications_total",
    "Pages of the agent's own channels, by what became of them or of an attempt to send them; and its heartbeats.",
    "channel",
    "result",
    recorded=True,
)
def _notifications(picture: Picture) -> Iterator[Row]:
    for channel in picture.view.channels:
        results = BEATS if channel == HEARTBEAT else RESULTS
        counts = dict.fromkeys(results, 0.0)
        counts |= {total.labels["result"]: total.value for total in picture.totals(channel, NOTIFICATIONS)}
        for result, count in counts.items():
            yield (channel, result), count


@family("gauge", "notifications_waiting", "Pages that a channel has not taken yet.", "channel", recorded=True)
def _waiting(picture: Picture) -> Iterator[Row]:
    for channel in picture.view.channels:
        if channel != HEARTBEAT:
            yield (channel,), picture.outbox(channel).waiting


@family(
    "gauge",
    "notification_last_success_timestamp_seconds",
    "Unix time at which a channel last took something; absent before that.",
    "channel",
    recorded=True,
)
def _notified(picture: Picture) -> Iterator[Row]:
    for channel in picture.view.channels:
        success = picture.outbox(channel).success_wall
        if success is not None:
            yield (channel,), success


@family("info", "build_info", "The version of the agent and of the Python that runs it.", "version", "python")
def _build(picture: Picture) -> Iterator[Row]:
    yield (picture.view.version, platform.python_version()), {}


@family("gauge", "ledger_up", "1 if this scrape could read the ledger; all that is recorded there is absent if not.")
def _ledger_up(picture: Picture) -> Iterator[Row]:
    yield (), float(picture.ledger is not None)


@family(
    "gauge",
    "ledger_consistent",
    "1 if in this scrape canaries started = concluded + in flight, for every check on record.",
    recorded=True,
)
def _ledger_consistent(picture: Picture) -> Iterator[Row]:
    yield (), float(picture.conserved())


@family(
    "gauge", "ledger_problems", "What the last audit found that does not add up; `relaycanary ledger verify` tells."
)
def _problems(picture: Picture) -> Iterator[Row]:
    if picture.view.audited is not None:
        yield (), picture.view.audited.problems


@family(
    "gauge",
    "ledger_last_audit_timestamp_seconds",
    "Unix time at which the books were last held against the rows; absent before that.",
)
def _last_audit(picture: Picture) -> Iterator[Row]:
    if picture.view.audited is not None:
        yield (), picture.unix(picture.view.audited.at)


@family(
    "gauge",
    "ledger_began_timestamp_seconds",
    "Unix time since when the ledger counts: its first run, or when it was restored or begun anew.",
    recorded=True,
)
def _ledger_began(picture: Picture) -> Iterator[Row]:
    if picture.began_wall is not None:
        yield (), picture.began_wall


@family("counter", "ledger_write_errors_total", "What could not be written to the ledger, since the agent started.")
def _write_errors(picture: Picture) -> Iterator[Row]:
    yield (), picture.view.ledger_write_errors


FAMILIES: tuple[Family, ...] = (
    _path,
    _mailbox,
    _mailbox_up,
    _last_look,
    _look_interval,
    _throttled,
    _ignored,
    _certificates,
    _credential_ends,
    _token_requests,
    _reload_successful,
    _reload_success_at,
    _report_runs,
    _report_success,
    _notifications,
    _waiting,
    _notified,
    _build,
    _ledger_up,
    _ledger_consistent,
    _problems,
    _last_audit,
    _ledger_began,
    _write_errors,
)
