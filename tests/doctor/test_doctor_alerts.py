"""The doctor on what tells people: reached where it can be, never sent to, and no secret shown to anybody."""

from __future__ import annotations

import ssl

import pytest
from support.receiver import receiving

from agent.doctor import Status

pytestmark = pytest.mark.anyio
CLOSED = 1  # nobody listens there


@pytest.fixture
def secret(tmp_path):
    def write(name, content):
        file = tmp_path / name
        file.write_text(content)
        file.chmod(0o600)
        return {"file": str(file)}

    return write


@pytest.fixture
def receiver(ca):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    with receiving(context) as made:
        yield made


async def found(report, subject, **alerts):
    examined = await report(CLOSED, alerts=alerts)
    return {one.id: one for one in examined.by_subject().get(subject, [])}


def webhook(url, **more):
    return {"name": "hook", "kind": "webhook", "url": url, **more}


async def test_a_receiver_is_reached_without_its_secret_address_and_without_a_page(report, receiver, secret, ca_file):
    receiver.answers = [(404, {})]
    url = secret("url", f"{receiver.url}/a/secret/place?key=secret")
    findings = await found(report, "channel hook", channels=[webhook(url, ca_file=str(ca_file))])
    assert (findings["alerts.reach"].status, findings["alerts.reach"].found) == (Status.OK, "localhost answers")
    assert [(one.method, one.path, one.content) for one in receiver.got] == [("HEAD", "/", b"")]
    assert findings["alerts.page"].status is Status.NOT_TESTED
    assert "relaycanary alerts test --channel hook" in findings["alerts.page"].found


async def test_the_user_and_password_in_an_address_are_not_shown_to_the_receiver(report, secret):
    with receiving() as plain:
        url = secret("url", plain.url.replace("://", "://user:password@") + "/x")
        findings = await found(report, "channel hook", channels=[webhook(url)])
        assert findings["alerts.reach"].status is Status.OK
        assert [one.headers.get("authorization") for one in plain.got] == [None]


async def test_a_receiver_with_a_certificate_of_nobody_that_is_trusted_is_a_failure(report, receiver, secret):
    url = secret("url", f"{receiver.url}/secret-place")
    findings = await found(report, "channel hook", channels=[webhook(url)])
    reach = findings["alerts.reach"]
    assert reach.status is Status.FAILURE
    assert "certificate" in reach.found
    assert "secret-place" not in str(findings)


async def test_a_pagerduty_that_nobody_answers_for_is_a_failure(report, secret):
    channel = {"name": "duty", "kind": "pagerduty", "routing_key": secret("key", "k" * 32)}
    channel["api_url"] = "https://localhost:1"
    findings = await found(report, "channel duty", channels=[channel])
    assert findings["alerts.reach"].status is Status.FAILURE
    assert "no TCP connection to localhost" in findings["alerts.reach"].found


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("json://localhost/x", Status.OK),
        ("what is this", Status.FAILURE),
    ],
)
async def test_of_a_service_of_apprise_only_the_url_is_looked_at(report, secret, url, status):
    channel = {"name": "chat", "kind": "apprise", "url": secret("url", url)}
    findings = await found(report, "channel chat", channels=[channel])
    assert findings["alerts.url"].status is status
    assert findings["alerts.page"].status is Status.NOT_TESTED


async def test_the_watchdog_is_reached_and_not_called(report, secret):
    with receiving() as watchdog:
        heartbeat = {"url": secret("url", f"{watchdog.url}/ping/secret")}
        findings = await found(report, "heartbeat", heartbeat=heartbeat)
        assert findings["alerts.reach"].status is Status.OK
        assert findings["alerts.heartbeat"].status is Status.NOT_TESTED
        assert [(one.method, one.path) for one in watchdog.got] == [("HEAD", "/")]


async def test_without_channels_and_heartbeat_there_is_nothing_to_say_about_them(report):
    examined = await report(CLOSED)
    assert not [one for one in examined.findings if one.id.startswith("alerts")]
