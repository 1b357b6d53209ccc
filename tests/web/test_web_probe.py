"""One canary on demand, told in blackbox_exporter's way."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.make import T0, a_canary, a_check, accepted, expecting, refused
from web.scene import HOSTILE

from agent.probe import Sent
from checks.core.model import (
    Cause,
    Certificate,
    DialogueLine,
    Protocol,
    Refused,
    Reply,
    Stage,
    StageTiming,
    TlsFacts,
    Untried,
)

pytestmark = pytest.mark.anyio
TOKEN = "correct horse battery staple"
LEAF = Certificate(
    subject='CN=mx"\n.contoso.example',
    issuer="CN=An Authority",
    names=("mx.contoso.example", "contoso.example"),
    not_after=datetime(2026, 12, 1, tzinfo=UTC),
    sha256="ab" * 32,
)


class Runs:
    """Hands out canaries that went as it is told; `to_come` keeps them on their way."""

    def __init__(self, attempt=None, *, online=True, check=None, to_come=None):
        self.sent = [] if attempt is None else [attempt]
        self.check = check or a_check()
        self.online = online
        self.to_come = to_come
        self.asked = []

    def __call__(self, name):
        self.asked.append(name)
        return asyncio.ensure_future(self._send()) if name == self.check.name else None

    async def _send(self):
        if self.to_come is not None:
            await self.to_come.wait()
        if not self.sent:
            return None
        return Sent(canary=a_canary(self.check), attempt=self.sent[0], online=self.online)


def samples(answer):
    assert answer.status == 200, answer.text
    return {
        (one.name, *sorted(one.labels.values())): one.value
        for family in text_string_to_metric_families(answer.text)
        for one in family.samples
    }


def with_evidence(attempt, **changes):
    stages = [
        StageTiming(stage=stage, seconds=seconds)
        for stage, seconds in ((Stage.DNS, 0.25), (Stage.CONNECT, 0.5), (Stage.STARTTLS, 0.125))
    ]
    tls = TlsFacts(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384", chain=[LEAF])
    known = replace(attempt.transcript, stages=stages, tls=tls, **changes)
    return replace(attempt, transcript=known)


async def test_what_was_accepted_is_told_under_the_names_of_blackbox_exporter(serving):
    async with serving(run=Runs(with_evidence(accepted(T0, 1.5)))) as client:
        answer = await client.get("/probe?check=relay")

    found = samples(answer)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert found["probe_success",] == 1
    assert found["probe_duration_seconds",] == 1.5
    assert found["probe_dns_lookup_time_seconds",] == 0.25
    assert found["probe_smtp_duration_seconds", "connect"] == 0.5
    assert found["probe_smtp_duration_seconds", "starttls"] == 0.125
    assert found["probe_smtp_status_code",] == 250
    assert found["probe_tls_version_info", "TLS 1.3"] == 1
    assert found["probe_tls_cipher_info", "TLS_AES_256_GCM_SHA384"] == 1
    assert found["probe_ssl_earliest_cert_expiry",] == LEAF.not_after.timestamp()
    leaf = sorted((LEAF.sha256, LEAF.subject, LEAF.issuer, "mx.contoso.example,contoso.example"))
    assert found["probe_ssl_last_chain_info", *leaf] == 1


async def test_openmetrics_is_answered_if_asked_for(serving):
    async with serving(run=Runs(accepted())) as client:
        answer = await client.get("/probe?check=relay", Accept="application/openmetrics-text;version=1.0.0")

    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    ("attempt", "code"),
    [
        (refused(Stage.RCPT, 550, "5.7.64"), 550),
        (refused(Stage.CONNECT, cause=Cause.CONNECT), 0),
        (replace(refused(Stage.TOKEN, 401, "AADSTS7000222"), protocol=Protocol.ENTRA), 0),
    ],
    ids=["rejected", "unreachable", "no token"],
)
async def test_a_failure_is_no_success_and_no_error(serving, attempt, code):
    async with serving(run=Runs(attempt)) as client:
        found = samples(await client.get("/probe?check=relay"))

    assert (found["probe_success",], found["probe_smtp_status_code",]) == (0, code)


async def test_a_check_that_must_be_refused_succeeds_by_that_alone(serving):
    check = a_check(expect=expecting(refused="5.4.1|5.7.*"))
    answers = []
    for attempt in (refused(Stage.RCPT, 550, "5.4.1"), accepted(), refused(Stage.RCPT, 550, "5.1.1")):
        async with serving(run=Runs(attempt, check=check)) as client:
            answers.append(samples(await client.get("/probe?check=relay"))["probe_success",])

    assert answers == [1, 0, 0]


@pytest.mark.parametrize(
    ("attempt", "online", "said"),
    [
        (Untried(at=T0, detail="the password cannot be read"), True, "the password cannot be read"),
        (refused(Stage.CONNECT, cause=Cause.CONNECT), False, "connect"),
        (replace(refused(Stage.DATA, cause=Cause.DROPPED), sent=True), True, "no answer to the message"),
        (None, True, "the log of the agent says why"),
    ],
    ids=["not tried", "offline", "in doubt", "not written down"],
)
async def test_what_nobody_knows_is_neither_success_nor_failure_but_a_scrape_that_fails(serving, attempt, online, said):
    async with serving(run=Runs(attempt, online=online)) as client:
        answer = await client.get("/probe?check=relay")

    assert answer.status == 503
    assert said in answer.text
    assert "probe_success" not in answer.text


async def test_who_gives_up_before_the_hand_over_has_ended_is_told_nothing_false(serving):
    never = asyncio.Event()
    async with serving(run=Runs(accepted(), to_come=never)) as client:
        answer = await client.get("/probe?check=relay", X_Prometheus_Scrape_Timeout_Seconds="0.5")
        never.set()

    assert answer.status == 504
    assert "probe_success" not in answer.text


async def test_those_who_ask_at_once_share_one_canary_and_ten_seconds_later_there_is_another(serving, agent):
    run = Runs(accepted())
    async with serving(run=run) as client:
        answers = await asyncio.gather(*(client.get("/probe?check=relay") for _ in range(5)))
        agent.view = replace(agent.view, now_at=agent.view.now_at + 10)
        answers.append(await client.get("/probe?check=relay"))

    assert [samples(one)["probe_success",] for one in answers] == [1] * 6
    assert run.asked == ["relay", "relay"]


async def test_a_question_without_a_check_or_with_an_unknown_one_is_refused(serving):
    async with serving(run=Runs(accepted())) as client:
        none, unknown = await client.get("/probe"), await client.get("/probe?check=rely%1b[31m")

    assert (none.status, "/probe?check=NAME" in none.text) == (400, True)
    assert (unknown.status, "\x1b" in unknown.text) == (404, False)


async def test_where_there_is_a_token_it_is_demanded_and_nothing_is_sent_without(serving):
    run = Runs(accepted())
    async with serving(run=run, token=lambda: TOKEN) as client:
        refused_ones = [
            (await client.get("/probe?check=relay", **given)).status for given in ({}, {"Authorization": "Bearer x"})
        ]
        assert run.asked == []
        answer = await client.get("/probe?check=relay", Authorization=f"Bearer {TOKEN}")

    assert refused_ones == [401, 401]
    assert samples(answer)["probe_success",] == 1


async def test_a_page_of_another_site_cannot_send_mail_through_the_browser_of_a_reader(serving):
    run = Runs(accepted())
    async with serving(run=run) as client:
        strange = [(await client.get("/probe?check=relay", Sec_Fetch_Site=it)).status for it in ("cross-site", "x")]
        assert run.asked == []
        own = [(await client.get("/probe?check=relay", Sec_Fetch_Site=it)).status for it in ("none", "same-origin")]

    assert (strange, own) == ([403, 403], [200, 200])


async def test_with_debug_all_that_was_said_is_told_and_nothing_of_it_acts_on_a_terminal(serving):
    attempt = refused(Stage.RCPT, 550, "5.7.64")
    said = DialogueLine(at=T0 + 0.5, who="S", text=f"550 5.7.64 {HOSTILE}")
    reply = Reply(code=550, enhanced="5.7.64", text=f"TenantAttribution {HOSTILE}")
    attempt = with_evidence(replace(attempt, reply=reply), dialogue=[said])
    assert isinstance(attempt, Refused)
    async with serving(run=Runs(attempt)) as client:
        answer = await client.get("/probe?check=relay&debug=true")

    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert not {"\x1b", "\u202e", "\x07"} & set(answer.text)
    for words in (
        "Logs for the probe:",
        "+0.500 S 550 5.7.64 \\u001b[31m",
        "not accepted at rcpt: 550 5.7.64 TenantAttribution",
        "meaning: ",
        "what to do: ",
        "evidence: /canaries/",
        "Metrics that would have been returned:",
        "probe_success 0.0",
        "Check configuration:",
        "every: 60s",
    ):
        assert words in answer.text, words


async def test_with_debug_it_is_also_told_what_could_not_be_tried(serving):
    async with serving(run=Runs(Untried(at=T0, detail="the password cannot be read"))) as client:
        answer = await client.get("/probe?check=relay&debug=true")

    assert answer.status == 200
    assert "could not be tried: the password cannot be read" in answer.text
    assert "nobody can say whether the path works" in answer.text
