"""The channels, each against a real receiver on loopback: what arrives there, and what is said when it does not."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from support.make import T0
from support.receiver import Receiver

from agent.alerts.channels.apprise_url import AppriseUrl
from agent.alerts.channels.build import build_channels
from agent.alerts.channels.http import Poster
from agent.alerts.channels.pagerduty import PagerDuty
from agent.alerts.channels.port import NotSent
from agent.alerts.channels.webhook import Webhook
from agent.alerts.page import Affected, Event, Page
from agent.clock import SystemClock
from agent.config.alerts import Alerts
from checks.errors import LocalFault

pytestmark = pytest.mark.anyio
SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
PAGE = Page(
    key="relaycanary/ams1/abc",
    event=Event.OPENED,
    severity="critical",
    site="ams1",
    title="Path relay takes no mail",
    began=T0,
    written=T0 + 60,
    said='550 5.7.64 <script>alert("x")</script> *bold* [link](https://evil.example) @everyone',
    meaning="It means that.",
    fix="Do this.",
    affected=(Affected(check="relay", path="relay", state="fail"),),
    works=("graph",),
    status="https://canary.example/",
)
OVER = replace(PAGE, event=Event.RESOLVED, closed=T0 + 600)


def a_webhook(receiver: Receiver, **more: object) -> Webhook:
    known = {"name": "hook", "url": lambda: f"{receiver.url}/a-secret-path", "secret": lambda: SECRET}
    return Webhook(**{**known, "clock": SystemClock(), "poster": Poster(), **more})


async def test_a_webhook_is_signed_as_standard_webhooks_has_it(receiver: Receiver) -> None:
    await a_webhook(receiver).send(PAGE, 7)
    (got,) = receiver.got
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.content
    expected = base64.b64encode(hmac.new(b"k" * 24, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"
    assert got.headers["webhook-id"] == "relaycanary/ams1/abc/7"
    assert abs(float(got.headers["webhook-timestamp"]) - SystemClock().now().timestamp()) < 600
    assert got.headers["content-type"] == "application/json"


async def test_a_webhook_has_every_part_of_the_page_and_the_text(receiver: Receiver) -> None:
    await a_webhook(receiver, secret=None).send(OVER, 7)
    (got,) = receiver.got
    assert "webhook-signature" not in got.headers
    body = got.json
    assert {name: body[name] for name in ("version", "event", "key", "severity", "site", "closed")} == {
        "version": 1,
        "event": "resolved",
        "key": "relaycanary/ams1/abc",
        "severity": "critical",
        "site": "ams1",
        "closed": "2023-11-14T22:23:20+00:00",
    }
    assert body["checks"] == [{"check": "relay", "path": "relay", "state": "fail"}]
    assert body["delivering"] == ["graph"]
    assert body["text"].startswith("It lasted from")


@pytest.mark.parametrize("status", [400, 403, 404, 410, 500, 502, 301])
async def test_an_answer_that_is_no_success_is_not_taken_for_one(receiver: Receiver, status: int) -> None:
    receiver.answers = [(status, {"Location": receiver.url})]
    with pytest.raises(NotSent, match=f"localhost answered {status}"):
        await a_webhook(receiver).send(PAGE, 1)
    assert len(receiver.got) == 1, "no redirect is followed"


@pytest.mark.parametrize(("wish", "seconds"), [("17", 17.0), ("99999", 99999.0), ("nonsense", None), ("", None)])
async def test_the_receiver_may_say_when_to_come_again(receiver: Receiver, wish: str, seconds: float | None) -> None:
    receiver.answers = [(429, {"Retry-After": wish})]
    with pytest.raises(NotSent) as caught:
        await a_webhook(receiver).send(PAGE, 1)
    assert caught.value.retry_after == seconds


async def test_a_receiver_that_is_not_there_is_named_without_the_secret_in_its_url() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        nobody = Receiver(url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(NotSent) as caught:
            await a_webhook(nobody).send(PAGE, 1)
    assert str(caught.value) == "no TCP connection to 127.0.0.1: Connection refused"


@pytest.mark.parametrize("url", ["http://receiver.example/x", "ftp://receiver.example", "receiver", "https://[bad"])
async def test_a_webhook_goes_nowhere_without_tls_but_to_this_machine(url: str) -> None:
    with pytest.raises(NotSent, match="the URL of this channel is not") as caught:
        await a_webhook(Receiver(), url=lambda: url).send(PAGE, 1)
    assert "receiver" not in str(caught.value)


async def test_a_certificate_that_nobody_vouches_for_is_refused(secure: Receiver) -> None:
    with pytest.raises(NotSent, match="certificate"):
        await a_webhook(secure).send(PAGE, 1)
    assert secure.got == []


async def test_a_ca_file_vouches_for_a_receiver(secure: Receiver, authority: tuple[trustme.CA, Path]) -> None:
    await a_webhook(secure, poster=Poster(authority[1])).send(PAGE, 1)
    assert len(secure.got) == 1


async def test_a_secret_that_cannot_be_read_is_said_and_tried_again() -> None:
    def unreadable() -> str:
        raise LocalFault("the secret file /run/x cannot be read")

    with pytest.raises(NotSent, match="/run/x"):
        await a_webhook(Receiver(), url=unreadable).send(PAGE, 1)
    with pytest.raises(NotSent, match="not Base64"):
        await a_webhook(Receiver(), secret=lambda: "whsec_!").send(PAGE, 1)


def a_pagerduty(secure: Receiver, ca_file: Path) -> PagerDuty:
    return PagerDuty(name="oncall", url=secure.url, routing_key=lambda: "R" * 32, poster=Poster(ca_file))


async def test_pagerduty_gets_an_alert_and_its_resolution_under_one_key(
    secure: Receiver, authority: tuple[trustme.CA, Path]
) -> None:
    channel = a_pagerduty(secure, authority[1])
    for page in (PAGE, replace(PAGE, event=Event.WORSE), OVER):
        await channel.send(page, 1)
    events = [one.json for one in secure.got]
    assert {one.path for one in secure.got} == {"/v2/enqueue"}
    assert [one["event_action"] for one in events] == ["trigger", "trigger", "resolve"]
    assert {one["dedup_key"] for one in events} == {"relaycanary/ams1/abc"}
    assert {one["routing_key"] for one in events} == {"R" * 32}
    payload = events[0]["payload"]
    assert payload["summary"] == "CRITICAL: Path relay takes no mail [ams1]"
    assert (payload["severity"], payload["source"], payload["component"]) == ("critical", "ams1", "relay")
    assert payload["timestamp"] == "2023-11-14T22:13:20+00:00"
    assert payload["custom_details"]["what to do"] == "Do this."
    assert events[0]["links"] == [{"href": "https://canary.example/", "text": "Status page"}]


async def test_a_test_raises_an_alert_and_leaves_none_behind(
    secure: Receiver, authority: tuple[trustme.CA, Path]
) -> None:
    await a_pagerduty(secure, authority[1]).send(replace(PAGE, event=Event.TEST, severity="info"), 0)
    assert [one.json["event_action"] for one in secure.got] == ["trigger", "resolve"]


async def test_what_pagerduty_says_about_a_wrong_event_is_told(
    secure: Receiver, authority: tuple[trustme.CA, Path]
) -> None:
    secure.answers, secure.words = [(400, {})], b'{"message":"Length of \'routing_key\' is incorrect"}\x1b[2J'
    with pytest.raises(NotSent, match=r"localhost answered 400: .*routing_key") as caught:
        await a_pagerduty(secure, authority[1]).send(PAGE, 1)
    assert "\x1b" not in str(caught.value)


def an_apprise(receiver: Receiver, more: str = "") -> AppriseUrl:
    return AppriseUrl(name="chat", url=lambda: receiver.url.replace("http", "json") + f"/a-secret{more}")


@pytest.mark.parametrize(
    ("page", "kind"), [(PAGE, "failure"), (replace(PAGE, severity="warning"), "warning"), (OVER, "success")]
)
async def test_apprise_delivers_title_text_and_kind(receiver: Receiver, page: Page, kind: str) -> None:
    await an_apprise(receiver).send(page, 1)
    (got,) = receiver.got
    assert got.json["type"] == kind
    assert got.json["title"].endswith("Path relay takes no mail [ams1]")
    assert "Delivering now: path graph." in got.json["message"]


async def test_words_of_a_server_stay_text_in_html_and_in_markdown(receiver: Receiver) -> None:
    await an_apprise(receiver, "?format=html").send(PAGE, 1)
    await an_apprise(receiver, "?format=markdown").send(PAGE, 1)
    html, markdown = (one.json["message"] for one in receiver.got)
    assert "<script" not in html
    assert "&lt;script" in html
    assert "*bold*" not in markdown.replace("\\*", "")
    assert "[link](" not in markdown
    assert "@everyone" not in html + markdown


async def test_a_service_that_says_no_is_told_by_its_status_and_not_by_its_url(receiver: Receiver, caplog) -> None:
    receiver.answers = [(503, {})]
    with pytest.raises(NotSent, match="JSON answered 503"):
        await an_apprise(receiver).send(PAGE, 1)
    assert "a-secret" not in caplog.text


async def test_services_that_hang_take_no_thread_from_others(monkeypatch) -> None:
    """Tokens and TLS contexts need one of asyncio's few: a canary would fail for want of it."""
    as_many_as_asyncio_has = min(32, (os.cpu_count() or 1) + 4)
    asked, fail = set(), threading.Event()

    def hang(host: str, *_: object, **__: object) -> None:
        asked.add(host)
        fail.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    def service(number: int) -> AppriseUrl:
        return AppriseUrl(name="chat", url=lambda: f"json://chat{number}.dead.example/")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    sending = [asyncio.ensure_future(service(number).send(PAGE, 1)) for number in range(as_many_as_asyncio_has)]
    try:
        async with asyncio.timeout(30):
            while len(asked) < as_many_as_asyncio_has:
                await asyncio.sleep(0.001)
            assert await asyncio.to_thread(str, "a token") == "a token"
    finally:
        fail.set()
    assert all(isinstance(one, NotSent) for one in await asyncio.gather(*sending, return_exceptions=True))


async def test_a_url_that_apprise_does_not_know_is_said_without_it(capfd) -> None:
    with pytest.raises(NotSent, match="none that Apprise knows") as caught:
        await AppriseUrl(name="chat", url=lambda: "nosuch://token-of-somebody").send(PAGE, 1)
    assert "token-of-somebody" not in str(caught.value) + "".join(capfd.readouterr())


async def test_a_service_that_is_not_there_is_told_without_its_url(capfd) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"json://127.0.0.1:{taken.getsockname()[1]}/a-secret"
        with pytest.raises(NotSent, match="JSON could not be reached"):
            await AppriseUrl(name="chat", url=lambda: url).send(PAGE, 1)
    assert "a-secret" not in "".join(capfd.readouterr())


def test_channels_are_made_as_the_settings_say() -> None:
    url = {"env": "URL"}
    wanted = Alerts.model_validate(
        {
            "channels": [
                {"url": url},
                {"name": "hook", "kind": "webhook", "url": url, "secret": url},
                {"name": "eu", "kind": "pagerduty", "routing_key": url, "api_url": "https://events.eu.pagerduty.com"},
            ]
        }
    )
    made = build_channels(wanted, SystemClock())
    assert {name: type(one) for name, one in made.items()} == {
        wanted.channels[0].own_name: AppriseUrl,
        "hook": Webhook,
        "eu": PagerDuty,
    }
    assert made["eu"].url == "https://events.eu.pagerduty.com"
