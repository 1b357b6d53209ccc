"""The API for programs: what it answers, and that it is what it says it is."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator
from web.scene import HOSTILE, a_scene, a_silence

from agent.report.archive import Archive
from agent.web.api import Api
from agent.web.bearer import Bearer
from agent.web.lists import Lists
from agent.web.login import Failures
from agent.web.on_demand import OnDemand
from agent.web.silences import Silences

pytestmark = pytest.mark.anyio
TOKEN = "correct horse battery staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
LISTS = ["/api/v1/checks", "/api/v1/canaries", "/api/v1/incidents", "/api/v1/reports", "/api/v1/silences"]
LISTS += ["/api/v1/mailboxes", "/api/v1/endings"]


async def described(client):
    return json.loads((await client.get("/api/openapi.json")).text)


def schema_of(document, path: str, status: str, method: str = "get"):
    schema = document["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": document["components"]})


async def test_every_list_answers_as_it_is_described(serving, agent, ledger, file):
    agent.view = await a_scene(ledger)
    Archive(file.parent / "reports").put("2023-W46", {"html": b"x", "json": b"{}"})
    await ledger.silence(a_silence())
    async with serving() as client:
        document = await described(client)
        answers = {path: json.loads((await client.get(path)).text) for path in LISTS}

    for path, content in answers.items():
        schema_of(document, path, "200").validate(content)
        assert content["items"], path
    assert answers[LISTS[0]]["items"][1]["diagnosis"]["meaning"].startswith("SMTP AUTH is switched off")
    assert [one["silenced_until"] is None for one in answers[LISTS[0]]["items"]] == [False, True, True]
    assert [one["ended"] is None for one in answers[LISTS[2]]["items"]] == [True, False]
    assert answers[LISTS[3]]["items"][0]["links"] == {
        "html": "/reports/2023-W46/html",
        "json": "/reports/2023-W46/json",
    }


async def test_the_description_is_a_valid_schema_and_has_every_address(serving, ledger, file):
    async with serving() as client:
        document = await described(client)
    on_demand = OnDemand(lambda _: None, lambda: 0.0)
    lists, bearer = Lists(ledger), Bearer(None, Failures(lambda: 0.0))
    routes = [
        *Api(lambda: None, lists, Archive(file), bearer, on_demand).routes(),
        *Silences(lambda: None, ledger, lists, bearer).routes(),
    ]
    known = {(route.path, method.lower()) for route in routes for method in route.methods - {"HEAD"}}

    assert {(path, method) for path, methods in document["paths"].items() for method in methods} == known
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert named <= set(document["components"]["schemas"])


@pytest.mark.parametrize("check", ["submission", "direct"])
async def test_the_evidence_about_a_canary_answers_as_it_is_described(serving, agent, ledger, check):
    agent.view = await a_scene(ledger)
    async with serving() as client:
        document = await described(client)
        newest = json.loads((await client.get(f"/api/v1/canaries?check={check}&limit=1")).text)["items"][0]
        answer = await client.get(f"/api/v1/canaries/{newest['canary']}")
        again = await client.get(f"/api/v1/canaries/{newest['canary']}", If_None_Match=answer.headers["etag"])
        missing = await client.get("/api/v1/canaries/nothing")

    found = json.loads(answer.text)
    schema_of(document, "/api/v1/canaries/{canary}", "200").validate(found)
    assert {name: found[name] for name in newest} == newest
    assert found["dialogue"][0]["text"] == "EHLO agent"
    assert found["subject"] == f"Mail flow canary rc1.{newest['canary']}"
    refused = check == "submission"
    assert (found["reply"]["code"], bool(found["diagnosis"])) == (535 if refused else 250, refused)
    assert bool(found["hops"]) is bool(found["seen"]) is (check == "direct")
    assert (again.status, missing.status) == (304, 404)
    assert json.loads(missing.text)["error"] == "the ledger has no canary nothing"


async def test_mailboxes_tell_why_they_cannot_be_read_and_endings_how_urgent_they_are(serving, agent, ledger):
    agent.view = await a_scene(ledger)
    async with serving() as client:
        inbox, outside = json.loads((await client.get("/api/v1/mailboxes")).text)["items"]
        (certificate,) = json.loads((await client.get("/api/v1/endings")).text)["items"]

    assert (inbox["up"], inbox["why"], inbox["checks"]) == (True, None, ["relay", "submission", "direct"])
    assert (outside["up"], outside["reason"], outside["why"]) == (False, "unreachable", "connection refused")
    assert outside["diagnosis"]["fix"]
    assert (certificate["what"], certificate["urgency"]) == ("our client certificate on path relay", "fail")


async def test_a_list_is_walked_through_by_its_cursor_and_nothing_is_told_twice(serving, agent, ledger):
    agent.view = await a_scene(ledger)
    async with serving() as client:
        for path, number in (("/api/v1/canaries", 36), ("/api/v1/canaries?check=relay", 12), ("/api/v1/checks", 3)):
            mark, found = "", []
            while mark is not None:
                joined = "&" if "?" in path else "?"
                page = json.loads((await client.get(f"{path}{joined}limit=2{mark}")).text)
                found += [json.dumps(one) for one in page["items"]]
                mark = page["next"] and f"&cursor={page['next']}"
            assert len(found) == len(set(found)) == number


async def test_who_knows_the_answer_already_gets_none(serving, agent, ledger):
    agent.view = await a_scene(ledger)
    async with serving() as client:
        for path in [*LISTS, "/api/openapi.json"]:
            first = await client.get(path)
            known = await client.get(path, If_None_Match=f'"other", W/{first.headers["etag"]}')
            other = await client.get(path, If_None_Match='"other"')
            assert (first.status, known.status, other.status) == (200, 304, 200)
            assert known.body == b""


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "limit=", "cursor=x", "cursor=" + "9" * 40])
async def test_a_question_that_is_not_understood_is_refused_with_the_reason(serving, query):
    async with serving() as client:
        for path in LISTS:
            answer = await client.get(f"{path}?{query}")
            assert answer.status == 400
            assert json.loads(answer.text)["error"].startswith(query.partition("=")[0])


async def test_a_ledger_that_cannot_be_read_is_told(serving, file):
    vandal = sqlite3.connect(file)
    vandal.execute("ALTER TABLE canaries RENAME TO gone")
    vandal.close()
    async with serving() as client:
        answer = await client.get("/api/v1/canaries")

    assert answer.status == 503
    assert "ledger" in json.loads(answer.text)["error"]


async def test_words_of_servers_arrive_as_they_were_in_plain_ascii(serving, agent, ledger):
    agent.view = await a_scene(ledger, said=HOSTILE)
    async with serving() as client:
        answer = await client.get("/api/v1/canaries?check=submission&limit=1")

    assert answer.body.isascii()
    assert answer.headers["content-type"] == "application/json"
    assert "\u202eevil" in json.loads(answer.text)["items"][0]["reasons"][0]


async def test_a_canary_is_sent_for_who_has_the_token_and_not_too_often(serving, agent, ledger):
    agent.view = await a_scene(ledger, each=2)
    ran: list[str] = []

    def run(name: str) -> asyncio.Task[None] | None:
        ran.append(name)
        return asyncio.ensure_future(asyncio.sleep(0)) if name == "relay" else None

    async with serving(token=lambda: TOKEN, run=run) as client:
        first = await client.request("POST", "/api/v1/checks/relay/run", **BEARER)
        again = await client.request("POST", "/api/v1/checks/relay/run", **BEARER)
        unknown = await client.request("POST", "/api/v1/checks/nothing/run", **BEARER)
        agent.view = replace(agent.view, now_at=agent.view.now_at + 10)
        later = await client.request("POST", "/api/v1/checks/relay/run", **BEARER)

    assert [one.status for one in (first, again, unknown, later)] == [202, 429, 404, 202]
    assert int(again.headers["retry-after"]) > 0
    assert ran == ["relay", "nothing", "relay"]


async def test_nothing_is_sent_without_the_token(serving):
    def run(_name: str) -> None:
        raise AssertionError

    path = "/api/v1/checks/relay/run"
    async with serving(token=lambda: TOKEN, run=run) as client:
        wrong = [await client.request("POST", path, Authorization=one) for one in ("", "Bearer x", f"Basic {TOKEN}")]
        read = await client.get(path)
    async with serving(run=run) as client:
        off = await client.request("POST", path, **BEARER)

    assert [one.status for one in wrong] == [401] * 3
    assert all(one.headers["www-authenticate"].startswith("Bearer") for one in wrong)
    assert read.status == 405
    assert (off.status, "web.token" in off.text) == (403, True)
