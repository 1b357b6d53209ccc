"""Which metrics there are, and what they say of an agent and a ledger made by hand."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from support.make import refused

from agent.ledger import CheckStanding, Histogram, InFlight, Problem, Snapshot, Total, records
from agent.ledger.notified import BEATS, RESULTS, Outbox
from agent.metrics import FAMILIES
from agent.status import AgentView
from checks.core.model import Check, Expectations, Outcome, Reply, Stage, Verdict
from checks.core.recognise import Ignored
from checks.core.servers import ClockOffset, ServerHop, ServerTimes

NOW_AT = 1_000_000.0
WALL_OFFSET = 700_000_000.0
UNIX = NOW_AT + WALL_OFFSET
ARRIVED = datetime(2026, 11, 26, 10, 0, 0, 500_000, tzinfo=UTC)
RELAY = {"check": "relay-inbox", "method": "relay"}
CHECK = ("check", "method")
TIMES = ServerTimes(
    hops=[ServerHop(by="edge", at=ARRIVED), ServerHop(by="hub", delay=-3.5), *[ServerHop(delay=1.0)] * 40],
    transit=-2.0,
    end_to_end=2.81,
    arrived=ARRIVED,
    clocks=[ClockOffset(server="edge", host="edge", offset=-0.25, uncertainty=0.5)],
)

CONTRACT = {
    "canaries_started_total": ("counter", CHECK),
    "canaries_total": ("counter", (*CHECK, "outcome", "verdict")),
    "canaries_in_flight": ("gauge", CHECK),
    "canaries_recovered_total": ("counter", CHECK),
    "canaries_duplicates_total": ("counter", CHECK),
    "oldest_in_flight_timestamp_seconds": ("gauge", CHECK),
    "check_verdict": ("gauge", (*CHECK, "verdict")),
    "check_last_verdict_timestamp_seconds": ("gauge", CHECK),
    "check_last_pass_timestamp_seconds": ("gauge", CHECK),
    "check_next_due_timestamp_seconds": ("gauge", CHECK),
    "check_slots_skipped_total": ("counter", CHECK),
    "check_schedule_delay_seconds": ("gauge", CHECK),
    "submission_seconds": ("histogram", CHECK),
    "delivery_seconds": ("histogram", CHECK),
    "end_to_end_seconds": ("histogram", CHECK),
    "end_to_end_last_seconds": ("gauge", CHECK),
    "observation_gap_seconds": ("gauge", CHECK),
    "spam_confidence_level": ("gauge", CHECK),
    "server_hop_seconds": ("gauge", (*CHECK, "hop")),
    "server_transit_seconds": ("gauge", CHECK),
    "server_end_to_end_seconds": ("gauge", CHECK),
    "server_arrival_timestamp_seconds": ("gauge", CHECK),
    "server_clock_offset_seconds": ("gauge", (*CHECK, "server")),
    "server_clock_uncertainty_seconds": ("gauge", (*CHECK, "server")),
    "stage_seconds": ("summary", (*CHECK, "stage")),
    "authentication_total": ("counter", (*CHECK, "mechanism", "result")),
    "smtp_replies_total": ("counter", (*CHECK, "stage", "code", "enhanced")),
    "check_info": ("info", (*CHECK, "path", "mailbox", "site", "severity")),
    "path_info": ("info", ("path", "method", "host", "port", "tls", "site")),
    "mailbox_info": ("info", ("mailbox", "kind", "host", "site")),
    "check_interval_seconds": ("gauge", CHECK),
    "check_late_after_seconds": ("gauge", CHECK),
    "check_lost_after_seconds": ("gauge", CHECK),
    "check_streak": ("gauge", (*CHECK, "verdict")),
    "check_alert_after": ("gauge", CHECK),
    "check_expects_refusal": ("gauge", CHECK),
    "check_last_problem_timestamp_seconds": (
        "gauge",
        (*CHECK, "verdict", "outcome", "code", "enhanced", "meaning", "fix"),
    ),
    "mailbox_up": ("gauge", ("mailbox",)),
    "mailbox_last_look_timestamp_seconds": ("gauge", ("mailbox",)),
    "mailbox_look_interval_seconds": ("gauge", ("mailbox",)),
    "mailbox_throttled_total": ("counter", ("mailbox",)),
    "mailbox_messages_ignored_total": ("counter", ("mailbox", "reason")),
    "certificate_not_after_timestamp_seconds": ("gauge", ("path", "role")),
    "credential_not_after_timestamp_seconds": ("gauge", ("credential",)),
    "token_requests_total": ("counter", ("credential", "result")),
    "config_last_reload_successful": ("gauge", ()),
    "config_last_reload_success_timestamp_seconds": ("gauge", ()),
    "report_runs_total": ("counter", ("result",)),
    "report_last_success_timestamp_seconds": ("gauge", ()),
    "notifications_total": ("counter", ("channel", "result")),
    "notifications_waiting": ("gauge", ("channel",)),
    "notification_last_success_timestamp_seconds": ("gauge", ("channel",)),
    "build_info": ("info", ("version", "python")),
    "ledger_up": ("gauge", ()),
    "ledger_consistent": ("gauge", ()),
    "ledger_problems": ("gauge", ()),
    "ledger_last_audit_timestamp_seconds": ("gauge", ()),
    "ledger_began_timestamp_seconds": ("gauge", ()),
    "ledger_write_errors_total": ("counter", ()),
}
LABELS_OF_THE_FORMAT = {"le"}
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}

Scraper = Callable[[AgentView, Snapshot | None], Any]


def eventful() -> Snapshot:
    """A ledger in which everything has happened once."""
    method = {"method": "relay"}
    return Snapshot(
        totals=[
            Total(owner="relay-inbox", metric="canaries_started", labels=method, value=3),
            Total(
                owner="relay-inbox",
                metric="canaries",
                labels={**method, "outcome": "delivered", "verdict": "pass"},
                value=2,
            ),
            Total(owner="relay-inbox", metric="stage_seconds_sum", labels={**method, "stage": "data"}, value=0.5),
            Total(owner="relay-inbox", metric="stage_seconds_count", labels={**method, "stage": "data"}, value=2),
            Total(
                owner="relay-inbox",
                metric="smtp_replies",
                labels={**method, "stage": "rcpt", "code": "550", "enhanced": "5.7.64"},
                value=1,
            ),
            Total(
                owner="relay-inbox",
                metric="authentication",
                labels={**method, "mechanism": "spf", "result": "softfail"},
                value=1,
            ),
        ],
        histograms=[Histogram(owner="relay-inbox", method="relay", family="end_to_end", counts=[1, 2, 1], sum=70.5)],
        bounds=(0.5, 60.0),
        standings={"relay-inbox": standing()},
        in_flight={"relay-inbox": [InFlight(count=1, oldest_at=NOW_AT - 20)]},
        looked_at={"inbox": NOW_AT - 5},
        outboxes={"oncall": Outbox(waiting=1, success_wall=1_700_000_000.0)},
        began_wall=1.5e9,
    )


def standing(**changes: Any) -> CheckStanding:
    newest = CheckStanding(
        canary="c1",
        outcome="delivered",
        verdict="pass",
        reasons=(),
        concluded_at=NOW_AT - 100,
        since_at=NOW_AT - 500,
        passed_at=NOW_AT - 100,
        end_to_end=1.5,
        observation_gap=0.5,
        scl=-1,
        problems={
            Verdict.FAIL: Problem(canary="c0", seq=1, outcome=Outcome.LOST, reasons=(), concluded_at=NOW_AT - 900)
        },
        servers=records.dump(ServerTimes, TIMES),
    )
    return replace(newest, **changes)


def test_the_metrics_are_exactly_those_of_the_contract() -> None:
    found = {family.name.removeprefix("relaycanary_"): (family.kind, family.labels) for family in FAMILIES}

    assert found == CONTRACT
    assert len(FAMILIES) == len(CONTRACT)


def test_every_metric_shows_samples_with_its_labels(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    shown = scrape(view(check()), eventful())

    for name, (kind, labels) in CONTRACT.items():
        for suffix in SUFFIXES.get(kind, ("",)):
            series = shown.series(name + suffix)
            assert series, f"{name}{suffix} has no samples"
            assert all(set(one) - LABELS_OF_THE_FORMAT == set(labels) for one in series)


def test_nothing_is_shown_beside_the_contract(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    known = {f"relaycanary_{name}{end}" for name, (kind, _) in CONTRACT.items() for end in SUFFIXES.get(kind, ("",))}

    assert {name for name, _ in scrape(view(check()), eventful()).samples} == known


def test_every_metric_says_what_it_is() -> None:
    assert all(family.documentation.endswith(".") for family in FAMILIES)


def test_a_check_without_canaries_has_all_its_counters_at_zero(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    shown = scrape(view(check()), Snapshot(bounds=(0.5, 60.0)))

    assert shown.value("canaries_started_total", **RELAY) == 0
    assert shown.value("canaries_recovered_total", **RELAY) == 0
    assert shown.value("canaries_duplicates_total", **RELAY) == 0
    assert shown.value("canaries_in_flight", **RELAY) == 0
    assert {one["outcome"] for one in shown.series("canaries_total")} == set(Outcome)
    assert shown.total("canaries_total") == 0
    assert shown.value("canaries_total", **RELAY, outcome="late", verdict="warn") == 0
    assert shown.value("authentication_total", **RELAY, mechanism="dmarc", result="fail") == 0
    assert {one["reason"] for one in shown.series("mailbox_messages_ignored_total")} == set(Ignored)


@pytest.mark.parametrize(
    ("method", "stages"),
    [
        ("relay", {"dns", "connect", "greeting", "starttls", "envelope", "data"}),
        ("submission", {"dns", "connect", "greeting", "starttls", "auth", "envelope", "data"}),
        ("graph_send", {"token", "request"}),
        ("of_a_third_party", set()),
    ],
)
def test_the_stages_of_a_method_are_there_before_the_first_canary(
    scrape: Scraper,
    check: Callable[..., Check],
    view: Callable[..., AgentView],
    method: str,
    stages: set[str],
) -> None:
    shown = scrape(view(check(method=method)), Snapshot())

    assert {one["stage"] for one in shown.series("stage_seconds_count")} == stages


def test_histograms_are_there_before_the_first_canary(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    shown = scrape(view(check()), Snapshot(bounds=(0.5, 60.0)))

    for name in ("submission", "delivery", "end_to_end"):
        bounds = {one["le"] for one in shown.series(f"{name}_seconds_bucket")}
        assert bounds == {"0.5", "60.0", "+Inf"}
        assert shown.value(f"{name}_seconds_count", **RELAY) == 0


def test_a_histogram_counts_up_to_each_bound(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    shown = scrape(view(check()), eventful())

    counts = [shown.value("end_to_end_seconds_bucket", **RELAY, le=bound) for bound in ("0.5", "60.0", "+Inf")]
    assert counts == [1, 3, 4]
    assert shown.value("end_to_end_seconds_sum", **RELAY) == 70.5


def test_a_negative_check_can_pass_by_being_rejected(
    scrape: Scraper, refusing_check: Check, view: Callable[..., AgentView]
) -> None:
    shown = scrape(view(refusing_check), Snapshot())

    verdicts = {one["verdict"] for one in shown.series("canaries_total") if one["outcome"] == "rejected"}
    assert verdicts == {"pass", "fail"}


def test_what_a_check_expects_is_told_by_its_settings_whatever_its_totals_say_of_before(
    scrape: Scraper, refusing_check: Check, view: Callable[..., AgentView]
) -> None:
    labels = {"method": "relay", "outcome": "rejected", "verdict": "pass"}
    before = Snapshot(totals=[Total(owner="must-refuse", metric="canaries", labels=labels, value=7)])
    now = replace(refusing_check, expect=Expectations())

    name = {"check": "must-refuse", "method": "relay"}
    assert scrape(view(refusing_check), before).value("check_expects_refusal", **name) == 1
    shown = scrape(view(now), before)
    assert shown.value("check_expects_refusal", **name) == 0
    assert shown.value("canaries_total", check="must-refuse", **labels) == 7


def test_what_never_happened_has_no_time(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    shown = scrape(view(check()), Snapshot())

    for name in (
        "check_last_verdict_timestamp_seconds",
        "check_last_pass_timestamp_seconds",
        "oldest_in_flight_timestamp_seconds",
        "mailbox_last_look_timestamp_seconds",
        "end_to_end_last_seconds",
        "observation_gap_seconds",
        "server_hop_seconds",
        "server_clock_offset_seconds",
    ):
        assert shown.series(name) == []


def test_the_spam_confidence_level_is_there_from_the_start_and_no_number_before_the_first(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    level = scrape(view(check()), Snapshot()).value("spam_confidence_level", **RELAY)
    assert level is not None
    assert math.isnan(level)


def test_the_servers_series_keeps_its_own_clocks_and_negative_delays(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    shown = scrape(view(check()), eventful())
    assert shown.value("server_hop_seconds", hop="2", **RELAY) == -3.5
    assert len(shown.series("server_hop_seconds")) == 14  # the first has no delay, and the label is bounded
    assert shown.value("server_transit_seconds", **RELAY) == -2
    assert shown.value("server_end_to_end_seconds", **RELAY) == 2.81
    assert shown.value("server_arrival_timestamp_seconds", **RELAY) == ARRIVED.timestamp()
    assert shown.value("server_clock_offset_seconds", server="edge", **RELAY) == -0.25
    assert shown.value("server_clock_uncertainty_seconds", server="edge", **RELAY) == 0.5


def test_a_check_that_failed_and_never_passed_has_a_last_verdict_and_no_last_pass(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    failed = standing(verdict="fail", outcome="lost", passed_at=None, end_to_end=None, observation_gap=None)
    shown = scrape(view(check()), replace(eventful(), standings={"relay-inbox": failed}))

    assert shown.value("check_last_verdict_timestamp_seconds", **RELAY) == UNIX - 100
    assert shown.series("check_last_pass_timestamp_seconds") == []
    assert shown.series("end_to_end_last_seconds") == []


def test_moments_are_shown_in_unix_time(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    shown = scrape(view(check()), eventful())

    assert shown.value("oldest_in_flight_timestamp_seconds", **RELAY) == UNIX - 20
    assert shown.value("check_last_pass_timestamp_seconds", **RELAY) == UNIX - 100
    assert shown.value("spam_confidence_level", **RELAY) == -1
    assert shown.value("mailbox_last_look_timestamp_seconds", mailbox="inbox") == UNIX - 5
    assert shown.value("config_last_reload_success_timestamp_seconds") == UNIX - 50


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "pass"),
        ({"standings": {"relay-inbox": standing(verdict="fail", outcome="lost")}}, "fail"),
        ({"standings": {}}, "unknown"),
        ({"looked_at": {"inbox": NOW_AT - 901}}, "unknown"),
        ({"looked_at": {"inbox": None}}, "unknown"),
        ({"standings": {"relay-inbox": standing(concluded_at=NOW_AT - 901)}}, "unknown"),
        ({"in_flight": {"relay-inbox": [InFlight(count=1, oldest_at=NOW_AT - 70, overdue=1)]}}, "warn"),
    ],
    ids=["passed", "failed", "new", "not-looked-at", "never-looked-at", "nothing-concluded", "overdue"],
)
def test_exactly_one_verdict_is_current(
    scrape: Scraper,
    check: Callable[..., Check],
    view: Callable[..., AgentView],
    changes: dict[str, Any],
    verdict: str,
) -> None:
    shown = scrape(view(check()), replace(eventful(), **changes))

    values = {one: shown.value("check_verdict", **RELAY, verdict=one) for one in ("pass", "warn", "fail", "unknown")}
    assert values == {**dict.fromkeys(values, 0), verdict: 1}


def test_without_a_ledger_the_verdict_is_unknown_and_nothing_recorded_is_shown(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    shown = scrape(view(check()), None)

    assert shown.value("ledger_up") == 0
    assert shown.value("check_verdict", **RELAY, verdict="unknown") == 1
    assert shown.total("check_verdict") == 1
    recorded = [family.name.removeprefix("relaycanary_") for family in FAMILIES if family.recorded]
    assert {"canaries_started_total", "canaries_total", "canaries_in_flight", "ledger_consistent"} <= set(recorded)
    for name in recorded:
        for suffix in SUFFIXES.get(CONTRACT[name][0], ("",)):
            assert shown.series(name + suffix) == []


def test_without_a_ledger_the_agent_still_tells_what_it_knows_itself(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    shown = scrape(view(check()), None)

    assert shown.value("check_interval_seconds", **RELAY) == 300
    assert shown.value("check_slots_skipped_total", **RELAY) == 3
    assert shown.value("mailbox_up", mailbox="inbox") == 1
    assert shown.value("ledger_write_errors_total") == 1


def test_an_agent_without_settings_shows_itself(scrape: Scraper, view: Callable[..., AgentView]) -> None:
    bare = replace(view(), site="", paths=(), mailboxes=())
    shown = scrape(bare, Snapshot())

    assert shown.value("ledger_up") == 1
    assert shown.series("check_verdict") == []


def test_a_check_that_is_not_configured_any_more_is_not_shown(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    shown = scrape(view(check("another")), eventful())

    checks = {dict(labels).get("check", "another") for _, labels in shown.samples}
    assert checks == {"another"}


def test_counters_of_a_method_that_the_check_used_before_stay(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    """A check that is moved to another path must not lose counts: started = concluded + in flight would be wrong."""
    shown = scrape(view(check(method="submission")), eventful())

    assert shown.value("canaries_started_total", check="relay-inbox", method="relay") == 3
    assert shown.value("canaries_started_total", check="relay-inbox", method="submission") == 0
    assert shown.value("end_to_end_seconds_count", check="relay-inbox", method="relay") == 4
    assert shown.value("end_to_end_seconds_count", check="relay-inbox", method="submission") == 0
    assert shown.total("canaries_started_total") == shown.total("canaries_total") + shown.total("canaries_in_flight")


@pytest.mark.parametrize(("in_flight", "consistent"), [(1, 1), (0, 0), (2, 0)])
def test_the_books_are_added_up_in_every_scrape(
    scrape: Scraper,
    check: Callable[..., Check],
    view: Callable[..., AgentView],
    in_flight: int,
    consistent: int,
) -> None:
    flying = {"relay-inbox": [InFlight(count=in_flight)]} if in_flight else {}
    shown = scrape(view(check()), replace(eventful(), in_flight=flying))

    assert shown.value("ledger_consistent") == consistent


def test_books_that_do_not_add_up_show_for_a_check_that_is_not_configured_too(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    shown = scrape(view(check("another")), replace(eventful(), in_flight={}))

    assert shown.value("ledger_consistent") == 0


@pytest.mark.parametrize("enhanced", ["5.7.64", "5.7.64\n# HELP", "mail@contoso.example", None])
def test_a_refusal_is_told_with_its_codes_and_our_words_and_with_none_of_the_server(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView], enhanced: str | None
) -> None:
    refusal = replace(refused(Stage.RCPT, 550, "5.7.64"), reply=Reply(code=550, enhanced=enhanced, text="a-secret"))
    problem = Problem(
        canary="c1", seq=1, outcome=Outcome.REJECTED, reasons=("a-secret",), concluded_at=NOW_AT - 9, attempt=refusal
    )
    failing = standing(problems={Verdict.FAIL: problem}, streaks={Verdict.FAIL: 3, Verdict.WARN: 4})
    shown = scrape(view(check()), replace(eventful(), standings={"relay-inbox": failing}))

    (told,) = shown.series("check_last_problem_timestamp_seconds")
    assert shown.value("check_last_problem_timestamp_seconds", **told) == UNIX - 9
    assert (told["outcome"], told["verdict"], told["code"]) == ("rejected", "fail", "550")
    assert told["enhanced"] == {"5.7.64": "5.7.64", None: ""}.get(enhanced, "other")
    assert told["meaning"]
    assert told["fix"]
    assert "a-secret" not in str(told)
    assert "@" not in str(told)
    assert shown.value("check_streak", **RELAY, verdict="fail") == 3
    assert shown.value("check_streak", **RELAY, verdict="warn") == 4
    assert shown.value("check_streak", **RELAY, verdict="unknown") == 0


def test_a_result_that_no_standard_knows_makes_no_series_of_its_own(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    made_up = [
        Total(
            owner="relay-inbox",
            metric="authentication",
            labels={"method": "relay", "mechanism": "spf", "result": f"made-up-{number}"},
            value=1,
        )
        for number in range(20)
    ]
    shown = scrape(view(check()), replace(eventful(), totals=made_up))

    assert shown.value("authentication_total", **RELAY, mechanism="spf", result="other") == 20
    assert {one["result"] for one in shown.series("authentication_total")} == {"pass", "fail", "other"}


def test_every_channel_shows_every_result_from_the_start_and_what_waits_for_it(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    told = replace(view(check()), channels=("oncall", "heartbeat"))
    sent = Total(owner="oncall", metric="notifications", labels={"result": "sent"}, value=3)
    ledger = Snapshot(totals=[sent], outboxes={"oncall": Outbox(waiting=2, success_wall=1234.5)})
    shown = scrape(told, ledger)
    found = {
        (channel, result): shown.value("notifications_total", channel=channel, result=result)
        for channel, results in (("oncall", RESULTS), ("heartbeat", BEATS))
        for result in results
    }
    assert found == {**dict.fromkeys(found, 0.0), ("oncall", "sent"): 3.0}
    assert shown.value("notifications_waiting", channel="oncall") == 2
    assert shown.value("notification_last_success_timestamp_seconds", channel="oncall") == 1234.5
    assert len(shown.series("notification_last_success_timestamp_seconds")) == 1
