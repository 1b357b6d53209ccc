"""What Sentry is told, as a real ingest endpoint receives it."""

from __future__ import annotations

import json
import re
import socket
from dataclasses import replace
from urllib.parse import quote

import pytest
import sentry_sdk
import structlog
from support.ingest import an_ingest, items
from support.make import a_canary, a_check

from agent import log, sentry
from checks.core import token
from checks.core.model import Conclusion, Limits, Outcome, Verdict


@pytest.fixture
def ingest():
    with an_ingest() as known:
        yield known


PASSWORD = "hunter" + "2"
SECRET = "kT9'x Lq/7"  # what the settings refer to, in a form that nothing would show to be a secret
HIDDEN = {
    "AUTH XOAUTH2 dXNlcj1zZWNyZXQ=": "dXNlcj1zZWNyZXQ=",
    "Authorization: Basic bm9jOnBhc3N3b3Jk": "bm9jOnBhc3N3b3Jk",
    "https://noc:s3cret@hooks.example/x": "s3cret",
    "client_secret=Ab8Q~xyz&grant_type=x": "Ab8Q~xyz",
    "{'access_token': 'opaque-token-1'}": "opaque-token-1",
    '"password": "p4ssw0rd!"': "p4ssw0rd!",
    "got eyJ0eXAiOiJKV1QiLCJh.eyJhdWQiOiJ4In0.c2ln": "eyJhdWQiOiJ4In0",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\n-----END PRIVATE KEY-----": "MIIEvQIBADAN",
    f"refused {SECRET}": SECRET,
    f"refused {SECRET!r} as well": "Lq/7",
    f"https://x.example/?{quote(SECRET)}": quote(SECRET),
}
"""Words that a defect may hold, and what of them must not leave."""


def fail(message):
    password = PASSWORD  # a variable of the frame: it must stay here
    raise ZeroDivisionError(message, len(password))


def test_a_defect_is_told_with_its_canary_and_without_secrets_or_addresses(ingest, capsys):
    dsn, heard = ingest
    secret_token = token.mint(token.canary_id(b"x" * 10), "relay", "a@b.example", key="k1", secret=b"s" * 32)
    log.configure(json=True, defects=sentry.start(dsn, site="ams1", secrets=lambda: [SECRET]))
    told = " ".join((secret_token, "for someone@contoso.example failed:", *HIDDEN))
    try:
        fail(told)
    except ZeroDivisionError:
        structlog.get_logger("test").exception("path.failed", path="relay", canary="abc", check="relay")
    finally:
        sentry_sdk.flush(5)
        sentry_sdk.init()
        structlog.reset_defaults()
    (envelope,) = heard
    assert "ZeroDivisionError" in envelope
    assert '"canary":"abc"' in envelope
    assert '"environment":"ams1"' in envelope
    assert secret_token not in envelope
    assert "someone@contoso.example" not in envelope
    assert PASSWORD not in envelope
    assert socket.gethostname() not in envelope
    assert [one for one in HIDDEN.values() if one in envelope] == []
    assert "path.failed" in capsys.readouterr().err


def test_what_identifies_an_event_is_left_alone_though_a_secret_looks_like_a_part_of_it(ingest):
    dsn, heard = ingest
    report = sentry.start(dsn, site="ams1", secrets=lambda: ["ams1", *(f"{number:04x}" for number in range(65536))])
    report(ZeroDivisionError("ams1"), {"event": "path.failed"})
    sentry_sdk.flush(5)
    sentry_sdk.init()
    (event,) = items(heard, "event")
    assert re.fullmatch("[0-9a-f]{32}", event["event_id"])
    assert (event["environment"], event["exception"]["values"][-1]["value"]) == ("ams1", "***")


def test_a_dsn_that_is_none_is_said_without_repeating_it():
    with pytest.raises(ValueError, match="not a DSN") as error:
        sentry.start("hunter2", site="ams1")
    assert "hunter2" not in str(error.value)


def test_an_event_without_an_exception_is_no_defect():
    told = []
    log.configure(json=True, defects=lambda *defect: told.append(defect))
    structlog.get_logger("test").error("something.said", why="refused")
    structlog.reset_defaults()
    assert told == []


@pytest.fixture
def check_ins(ingest):
    """Check-ins that go to the endpoint; calling `read` gives all that arrived."""
    dsn, heard = ingest
    sentry.start(dsn, site="ams1")

    def read():
        sentry_sdk.flush(5)
        return items(heard, "check_in")

    yield sentry.CheckIns(site="ams1", alert_after=lambda: 2), read
    sentry_sdk.init()


def ended(canary, outcome, verdict):
    return Conclusion(canary=canary.id, outcome=outcome, verdict=verdict, reasons=("said the server",), end_to_end=1.5)


def test_canaries_that_overlap_have_check_ins_of_their_own_that_are_closed_in_any_order(check_ins):
    to_sentry, read = check_ins
    first, second = (replace(a_canary(), slot=slot) for slot in (1, 2))
    to_sentry.sent(first)
    to_sentry.sent(second)
    to_sentry.concluded(second, ended(second, Outcome.REJECTED, Verdict.FAIL))
    to_sentry.concluded(first, ended(first, Outcome.DELIVERED, Verdict.PASS))
    opened, opened_too, failed, passed = read()
    assert [one["status"] for one in (opened, opened_too, failed, passed)] == ["in_progress"] * 2 + ["error", "ok"]
    assert opened["check_in_id"] == passed["check_in_id"] != opened_too["check_in_id"] == failed["check_in_id"]
    assert {one["monitor_slug"] for one in read()} == {"ams1-relay"}
    assert passed["duration"] == 1.5
    assert "said the server" not in json.dumps(read())
    assert "contoso.example" not in json.dumps(read())


def test_the_monitor_follows_the_settings_of_the_check(check_ins):
    to_sentry, read = check_ins
    limits = Limits(every=300, late_after=60, lost_after=600)
    to_sentry.sent(a_canary(a_check(limits=limits)))
    (opened,) = read()
    assert opened["monitor_config"] == {
        "schedule": {"type": "interval", "value": 5, "unit": "minute"},
        "timezone": "UTC",
        "checkin_margin": 5,
        "max_runtime": 16,
        "failure_issue_threshold": 2,
        "recovery_threshold": 1,
    }


def test_what_nobody_knows_is_neither_ok_nor_an_error(check_ins):
    to_sentry, read = check_ins
    canary = a_canary()
    to_sentry.sent(canary)
    to_sentry.concluded(canary, ended(canary, Outcome.LOCAL_FAULT, Verdict.UNKNOWN))
    assert [one["status"] for one in read()] == ["in_progress"]


def test_an_agent_that_was_started_anew_closes_what_the_one_before_opened(check_ins):
    to_sentry, read = check_ins
    canary = a_canary()
    to_sentry.sent(canary)
    sentry.CheckIns(site="ams1", alert_after=lambda: 2).concluded(canary, ended(canary, Outcome.LATE, Verdict.WARN))
    opened, closed = read()
    assert (closed["status"], closed["check_in_id"]) == ("ok", opened["check_in_id"])


def test_of_a_check_that_runs_every_ten_seconds_one_canary_a_minute_checks_in(check_ins):
    to_sentry, read = check_ins
    check = a_check(limits=Limits(every=10, late_after=5, lost_after=30))
    for slot in range(1000, 1060):
        to_sentry.sent(replace(a_canary(check), slot=slot))
    assert len(read()) == 10


@pytest.mark.parametrize(
    ("site", "check", "wanted"),
    [("ams1", "relay", "ams1-relay"), ("AMS 1", "Relay_2", "ams-1-relay_2"), ("x" * 40, "y" * 40, None)],
)
def test_the_name_of_a_monitor_is_one_that_sentry_takes(site, check, wanted):
    made = sentry.slug(site, check)
    assert re.fullmatch(r"[a-z0-9_-]{1,50}", made)
    assert wanted in {None, made}
    assert sentry.slug(site, check + "2") != made
