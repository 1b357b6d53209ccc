"""The pages of a check and of a canary, as a reader without JavaScript gets them."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import replace

import pytest
from support.make import a_canary, a_check, accepted
from web.scene import CHECKS, HOSTILE, NOW, a_scene
from web.test_web_status_page import read

from agent.ledger import simulated
from agent.ledger.store import Judgement
from agent.simulated import story
from checks.core.model import Conclusion, Outcome, Verdict

pytestmark = pytest.mark.anyio


async def newest(client, check: str) -> str:
    page = await read(client, f"/checks/{check}")
    return next(link for link in page.links if link.startswith("/canaries/"))


async def test_a_check_tells_how_it_stands_its_latency_outcomes_and_refusals_with_what_to_do(serving, agent, ledger):
    agent.view = await a_scene(ledger)
    async with serving() as client:
        page = await read(client, "/checks/submission")

    assert "submission ✕ fail" in page.text
    assert "9 delivered" in page.text
    assert "3 authentication failed" in page.text
    assert "3 times, last 2023-11-14 23:12:20 UTC" in page.text
    assert "SMTP AUTH is switched off for the whole organisation" in page.text
    assert "agent.contoso.example b.contoso.example ESMTPS" in page.text


async def test_the_charts_show_a_span_that_is_asked_for_with_its_failures(serving, agent, ledger):
    agent.view = await a_scene(ledger, each=12)
    async with serving() as client:
        page = await read(client, "/checks/relay?span=1h")
        strange = await client.get("/checks/relay?span=99y")

    assert "of 12 canaries, a sample of the last 1 h" in page.text
    assert "/checks/relay?span=35d" in page.links
    assert strange.status == 400
    assert "1h, 24h, 7d, 35d is wanted" in strange.text


async def test_mail_that_was_seen_after_nobody_had_looked_is_drawn_as_unsure(serving, agent, ledger):
    agent.view = await a_scene(ledger, each=2)
    at = NOW - 100.0
    canary = a_canary(CHECKS[2], at=at)
    await ledger.start(canary)
    await ledger.attempted(canary, accepted(at, 0.5), online=True, at=at + 1)
    (due,) = [one for one in await ledger.due(NOW + 1e6) if one.facts.canary.id == canary.id]
    times = {"submission": 0.5, "delivery": 70.0, "end_to_end": 70.5, "observation_gap": 68.0}
    why = ("timeliness_unobserved",)
    seen = Conclusion(canary=canary.id, outcome=Outcome.DELIVERED, verdict=Verdict.PASS, reasons=why, **times)
    await ledger.judged([Judgement(due=due, result=seen)], at=NOW)
    async with serving() as client:
        page = await read(client, "/checks/direct")
        answer = await client.get("/checks/direct")

    assert answer.text.count('<circle class="unsure') == 1
    assert "a hollow dot was seen after nobody had looked" in page.text
    assert "delivered; on time or not cannot be told: nobody looked for 1 min 8 s" in page.text
    assert "1 min 10 s nobody had looked for 1 min 8 s" in page.text


async def test_a_list_that_is_longer_than_a_page_goes_on_where_it_ended(serving, agent, ledger):
    agent.view = await a_scene(ledger, each=55)
    async with serving() as client:
        first = await read(client, "/checks/direct")
        (older,) = [link for link in first.links if "before=" in link]
        second = await read(client, older.partition("#")[0])

    shown = [{link for link in page.links if link.startswith("/canaries/")} for page in (first, second)]
    assert len(shown[0] | shown[1]) == 55
    assert not [link for link in second.links if "before=" in link]


async def test_a_check_that_nobody_knows_is_not_found_and_a_page_that_is_none_is_refused(serving, agent, ledger):
    agent.view = await a_scene(ledger)
    async with serving() as client:
        unknown = await client.get("/checks/%3Cscript%3E")
        wrong = [await client.get(f"/checks/relay?before={value}") for value in ("x", "1e9", "9" * 30, "", "%D9%A1")]

    assert unknown.status == 404
    assert "&lt;script&gt;" in unknown.text
    assert "<script>" not in unknown.text.replace("<script src", "")
    assert [answer.status for answer in wrong] == [400] * 5


async def test_a_check_that_left_the_settings_still_shows_what_is_on_record(serving, agent, ledger):
    view = await a_scene(ledger)
    agent.view = replace(view, checks=[one for one in view.checks if one.check.name != "direct"])
    async with serving() as client:
        page = await read(client, "/checks/direct")

    assert "the settings do not have this check any more" in page.text
    assert "12 delivered" in page.text


async def test_a_failure_shows_the_servers_own_words_the_dialogue_and_what_to_do(serving, agent, ledger):
    agent.view = await a_scene(ledger)
    async with serving() as client:
        page = await read(client, await newest(client, "submission"))

    assert "not accepted at auth" in page.text
    assert "EHLO agent" in page.text
    assert "What to do:" in page.text
    assert "learn.microsoft.com" in page.text
    assert "pruned" not in page.text


async def test_a_lost_canary_can_be_traced_and_shows_the_look_that_did_not_find_it(serving, agent, ledger):
    agent.view = await a_scene(ledger, each=2)
    at = NOW - 100.0
    canary = replace(a_canary(CHECKS[2], at=at), key="k1", signature="s" * 43)
    await ledger.start(canary)
    await ledger.attempted(canary, accepted(at, 0.5), online=True, at=at + 1)
    (due,) = [one for one in await ledger.due(NOW + 1e6) if one.facts.canary.id == canary.id]
    lost = Conclusion(
        canary=canary.id, outcome=Outcome.LOST, verdict=Verdict.FAIL, reasons=("not seen in any watched folder",)
    )
    await ledger.judged([Judgement(due=due, result=lost)], at=NOW)
    async with serving() as client:
        page = await read(client, f"/canaries/{canary.id}")

    token = f"rc1.{canary.id}.direct.k1.{'s' * 43}"
    assert f"Message-ID <{token}@{canary.check.sender.rpartition('@')[2]}>" in page.text
    assert f"Subject Mail flow canary {token}" in page.text
    assert "the last complete look into folder INBOX of mailbox inbox: not there" in page.text


async def test_a_success_shows_headers_hops_and_authentication(serving, agent, ledger):
    agent.view = await a_scene(ledger)
    async with serving() as client:
        page = await read(client, await newest(client, "direct"))

    assert "dmarc pass" in page.text
    assert "agent.contoso.example b.contoso.example ESMTPS 2023-11-14 22:13:21 UTC" in page.text
    assert "by their own clocks: 3 s from the first hop to the last" in page.text
    assert "seen in folder INBOX of mailbox inbox" in page.text
    assert "concluded: delivered, verdict pass" in page.text


async def test_what_servers_and_mails_say_is_text_and_nothing_else(serving, agent, ledger):
    agent.view = await a_scene(ledger, said=HOSTILE)
    async with serving() as client:
        paths = ["/checks/submission", await newest(client, "submission"), await newest(client, "direct")]
        answers = [await client.get(path) for path in paths]

    for answer in answers:
        assert "<script>alert" not in answer.text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
        assert "\\u202eevil\\u200f" in answer.text
        assert not re.search("[\x00-\x09\x0b-\x1f\u200e\u200f\u202a-\u202e]", answer.text)


async def test_evidence_that_was_pruned_is_said_to_be(serving, agent, ledger, file):
    agent.view = await a_scene(ledger)
    with sqlite3.connect(file) as vandal:
        vandal.execute("DELETE FROM evidence")
    vandal.close()
    async with serving() as client:
        page = await read(client, await newest(client, "direct"))
        check = await read(client, "/checks/direct")

    assert "Evidence was pruned." in page.text
    assert "No headers are kept" in check.text


async def test_a_canary_of_a_made_up_past_is_marked(serving, agent, ledger, file):
    agent.view = await a_scene(ledger, each=2)
    past = story.past([agent.view.checks[2].check], site="lab", until=agent.view.now_at - 7200, days=0.2, every=3600.0)
    simulated.fill(f"sqlite:///{file}", past)
    async with serving() as client:
        check = await read(client, "/checks/direct")
        canaries = [link for link in check.links if link.startswith("/canaries/")]
        page = await read(client, canaries[-1])

    assert "Simulated past" in check.text
    assert "It was never sent" in page.text


async def test_a_canary_that_nobody_knows_is_not_found(serving):
    async with serving() as client:
        answer = await client.get("/canaries/nothing")

    assert answer.status == 404
    assert "The ledger has no canary nothing" in answer.text


async def test_a_ledger_that_cannot_be_read_is_told(serving, agent, ledger, file):
    agent.view = await a_scene(ledger, each=2)
    vandal = sqlite3.connect(file)
    vandal.execute("ALTER TABLE canaries RENAME TO gone")
    vandal.close()
    async with serving() as client:
        answers = [await client.get(path) for path in ("/checks/relay", "/canaries/abc")]

    assert [answer.status for answer in answers] == [503, 503]
    assert "The ledger cannot be read" in answers[0].text


async def test_mail_of_graph_is_traced_by_its_subject_for_exchange_gives_it_another_message_id(serving, agent, ledger):
    agent.view = await a_scene(ledger, each=2)
    canary = replace(a_canary(a_check("graph", method="graph_send"), at=NOW - 100.0), key="k1", signature="s" * 43)
    await ledger.start(canary)
    async with serving() as client:
        page = await read(client, f"/canaries/{canary.id}")

    assert "Message-ID of Exchange's own making: the subject finds it" in page.text
    assert f"Subject Mail flow canary rc1.{canary.id}.graph.k1.{'s' * 43}" in page.text
