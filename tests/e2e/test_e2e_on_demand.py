"""Canaries that somebody asks for over HTTP, on the lab: each is one like any other."""

from __future__ import annotations

import json
import threading
from typing import Any

from e2e.product import Folder, Metrics, Write
from prometheus_client.parser import text_string_to_metric_families

from checks.lab import Lab

STARTED = "relaycanary_canaries_started_total"
TOKEN = "the-token-that-reloads-demand"


def seldom(settings: dict[str, Any]) -> None:
    """Let every check send one canary when the agent starts, and then none for a day."""
    for check in settings["checks"].values():
        check.update(every="1d", late_after="60s", lost_after="2m")


def without_token(settings: dict[str, Any]) -> None:
    seldom(settings)
    settings["web"].pop("token")


def settled(number: int) -> Any:
    """Tell whether the relay check has started so many canaries, and every one is concluded."""

    def holds(metrics: Metrics) -> bool:
        return metrics(STARTED, check="relay") == metrics.concluded("relay") == number

    return holds


def success(body: str) -> float:
    (family,) = [one for one in text_string_to_metric_families(body) if one.name == "probe_success"]
    return family.samples[0].value


def test_a_canary_that_was_asked_for_is_sent_judged_and_accounted_for(
    folder: Folder, lab: Lab, write_settings: Write
) -> None:
    write_settings(seldom)
    agent = folder.start("run")
    agent.until(settled(1))
    assert agent.ask("POST", "/api/v1/checks/relay/run") == (401, "this demands the token of web.token\n")
    status, body = agent.ask("POST", "/api/v1/checks/relay/run", TOKEN)
    assert (status, json.loads(body)) == (202, {"check": "relay", "started": True})

    metrics = agent.until(settled(2))
    assert metrics.concluded("relay", outcome="delivered") == 2
    assert metrics.verdict("relay") == "pass"
    assert metrics("relaycanary_mailbox_messages_ignored_total", mailbox="outside") == 0
    assert metrics("relaycanary_check_slots_skipped_total", check="relay") == 0
    canaries = json.loads(agent.ask("GET", "/api/v1/canaries?check=relay")[1])["items"]
    assert [one["verdict"] for one in canaries] == ["pass", "pass"]

    assert agent.ask("GET", "/probe?check=direct")[0] == 401
    lab.break_("direct", "direct_send_rejected")
    status, body = agent.ask("GET", "/probe?check=direct", TOKEN)
    assert (status, success(body)) == (200, 0)
    failed = agent.until(lambda now: now.concluded("direct", outcome="rejected") == 1)
    assert failed.verdict("direct") == "fail"
    agent.signal(15)
    assert folder.relaycanary("ledger", "verify").returncode == 0


def test_a_probe_goes_through_the_ledger_and_those_who_ask_at_once_share_it(
    folder: Folder, write_settings: Write
) -> None:
    write_settings(without_token)
    agent = folder.start("run")
    agent.until(settled(1))
    answers: list[tuple[int, str]] = []

    def ask() -> None:
        answers.append(agent.ask("GET", "/probe?check=relay"))

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for one in askers:
        one.start()
    for one in askers:
        one.join()
    assert [(status, success(body)) for status, body in answers] == [(200, 1)] * 3
    assert all("probe_tls_version_info" in body for _, body in answers)

    metrics = agent.until(settled(2))
    assert metrics.concluded("relay", outcome="delivered") == 2
    assert metrics("relaycanary_mailbox_messages_ignored_total", mailbox="outside") == 0
    status, told = agent.ask("GET", "/probe?check=relay&debug=true")
    assert (status, "accepted: 250" in told) == (200, True)
    assert agent.metrics()(STARTED, check="relay") == 2
