"""Silences over HTTP: made and ended by whoever has the token, shown to everybody who may read."""

from __future__ import annotations

import json
import re
import subprocess
from asyncio import to_thread
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.passwords import a_hash
from web.scene import HOSTILE, NOW, a_scene, a_silence

pytestmark = pytest.mark.anyio
TOKEN = "correct horse battery staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ADDRESS = "/api/v1/silences"
GOOD = {"author": "Ada", "reason": "new firewall", "check": "relay", "duration": "2h"}


@pytest.fixture(autouse=True)
async def _scene(agent, ledger):
    agent.view = await a_scene(ledger, each=2)


async def post(client, content, **headers):
    """Send a body of JSON, with the token."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    known = {"Content_Type": "application/json", **BEARER, **headers}
    answer = await client.request("POST", ADDRESS, body=body, **known)
    return answer.status, answer.headers, answer.text


def moment(at):
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


async def test_a_silence_is_made_found_and_ended(serving, ledger):
    async with serving(token=lambda: TOKEN) as client:
        status, headers, body = await post(client, GOOD)
        made = json.loads(body)
        listed = json.loads((await client.get(ADDRESS)).text)["items"]
        found = await client.get(headers["location"])
        known = await client.get(headers["location"], If_None_Match=found.headers["etag"])
        ended = await client.request("DELETE", headers["location"] + "?author=Grace", **BEARER)
        again = await client.request("DELETE", headers["location"], **BEARER)
        after = json.loads((await client.get(ADDRESS)).text)["items"]
        past = json.loads((await client.get(headers["location"])).text)

    assert status == 201
    assert headers["location"] == f"{ADDRESS}/{made['silence']}"
    assert (made["starts"], made["ends"], made["active"]) == (moment(NOW), moment(NOW + 7200), True)
    assert listed == [made] == [json.loads(found.text)]
    assert known.status == 304
    assert (ended.status, json.loads(ended.text)["ended_by"]) == (200, "Grace")
    assert (again.status, after, past["active"]) == (404, [], False)
    assert [one.ended_by for one in await ledger.silences(ending_after=0)] == ["Grace"]


async def test_one_that_is_to_come_is_told_as_such(serving):
    begins, ends = moment(NOW + 3600), "2023-11-15T12:00:00+02:00"
    async with serving(token=lambda: TOKEN) as client:
        coming = {"author": "Ada", "reason": "a move", "site": "ams1", "starts": begins, "ends": ends}
        _, _, body = await post(client, coming)

    made = json.loads(body)
    assert (made["starts"], made["ends"], made["active"]) == (begins, "2023-11-15T10:00:00.000+00:00", False)


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        ({**GOOD, "check": "rely"}, 400, "check: there is no check 'rely'; there is direct, relay, submission"),
        ({**GOOD, "check": None}, 400, "say what it is about: a check, a path, or site: ams1 for everything"),
        ({**GOOD, "author": None}, 400, "author: is missing"),
        ({**GOOD, "reason": " "}, 400, "reason: is missing"),
        ({**GOOD, "duration": "31d"}, 400, "ends: the longest silence is 30 d"),
        ({**GOOD, "duration": "soon"}, 400, "duration: 'soon' is not a duration: write a number and a unit, like"),
        ({**GOOD, "duration": None}, 400, "say until when by exactly one of ends (like 2026-11-30T06:00:00Z) and dur"),
        ({**GOOD, "ends": "2026-11-30T06:00:00Z"}, 400, "say until when by exactly one of ends"),
        ({**GOOD, "starts": "2026-11-30T06:00:00"}, 400, "starts: '2026-11-30T06:00:00' is no moment with an offset"),
        ({**GOOD, "starts": "tomorrow"}, 400, "starts: 'tomorrow' is no moment with an offset"),
        ({**GOOD, "until": "x"}, 400, "until: is not known; allowed are author, check, duration, ends, path, reason"),
        ({**GOOD, "reason": 7}, 400, "reason: is not text"),
        ([GOOD], 400, "the body is not a JSON object"),
        (b"{", 400, "the body is not JSON"),
        (b"[" * 10_000, 400, "the body is not JSON"),
        (b"\xff", 400, "the body is not JSON"),
        ({**GOOD, "reason": "x" * 20_000}, 413, "the body is larger than 16 kB"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_the_field(serving, ledger, content, status, said):
    async with serving(token=lambda: TOKEN) as client:
        answered, _, body = await post(client, content)

    assert answered == status
    assert json.loads(body)["error"].startswith(said)
    assert await ledger.silences(ending_after=0) == []


async def test_what_any_page_can_send_is_refused(serving, ledger):
    """A form of another site can carry text/plain, and no JSON and no token."""
    async with serving(token=lambda: TOKEN) as client:
        form = await post(client, GOOD, Content_Type="text/plain")
        without = await post(client, GOOD, Authorization="")
    async with serving() as client:
        off = await post(client, GOOD)

    assert [form[0], without[0], off[0]] == [415, 401, 403]
    assert "web.token" in off[2]
    assert await ledger.silences(ending_after=0) == []


async def test_where_there_are_users_reading_wants_a_login_and_writing_the_token(serving):
    async with serving(token=lambda: TOKEN, users={"noc": a_hash}) as client:
        read = await client.get(ADDRESS)
        by_token = await client.get(ADDRESS, **BEARER)
        made = await post(client, GOOD)
        ended = await client.request("DELETE", made[1]["location"], **BEARER)

    assert (read.status, by_token.status, made[0], ended.status) == (401, 401, 201, 200)


async def test_so_many_at_once_and_no_more(serving, agent):
    async with serving(token=lambda: TOKEN) as client:
        made = [(await post(client, GOOD))[0] for _ in range(31)]
        agent.view = replace(agent.view, now_at=agent.view.now_at + 10)
        later = await post(client, GOOD)

    assert made == [201] * 30 + [429]
    assert later[0] == 201


async def test_curl_makes_one_as_the_documentation_says(serving, ledger):
    async with serving(token=lambda: TOKEN) as client:
        done = await to_thread(
            subprocess.run,
            [
                "curl",
                "-sS",
                "--noproxy",
                "*",
                "--oauth2-bearer",
                TOKEN,
                "--json",
                json.dumps(GOOD),
                client.url + ADDRESS,
            ],
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["check"] == "relay"
    assert len(await ledger.silences(ending_after=0)) == 1


async def test_pages_show_who_is_silenced_until_when_and_why(serving, ledger):
    await ledger.silence(a_silence(reason=f"new firewall {HOSTILE[:900]}"))
    await ledger.silence(a_silence(check=None, path="direct", starts=NOW + 3600, ends=NOW + 7200, reason="to come"))
    async with serving() as client:
        status, relay, direct = [(await client.get(path)).text for path in ("/", "/checks/relay", "/checks/direct")]

    assert len(re.findall(r"silenced until <time", status)) == 1
    assert "Ada: new firewall" in status
    assert "to come" in status
    assert "silenced until" in relay
    assert "silenced until" not in direct
    for text in (status, relay):
        assert "<script>alert" not in text
        assert not {"\x1b", "\u202e"} & set(text)
