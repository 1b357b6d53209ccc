"""The status page, as a reader without JavaScript gets it."""

from __future__ import annotations

import json
import re
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from web.scene import CHECKS, HOSTILE, a_scene, an_agent

from agent.ledger import simulated
from agent.simulated import story
from agent.status import Ahead

pytestmark = pytest.mark.anyio
VOID = {"meta", "link", "img", "br", "input", "wbr"}


class Page(HTMLParser):
    """Collects what matters of a page, and checks that every element that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []
        self.inline: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.within_word = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.links += [value for name, value in attrs if name in {"href", "src"} and value]
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag == "style" or "style" in known or (tag == "script" and "src" not in known):
            self.inline.append(tag)
        self.inline += [name for name in known if name.startswith("on")]
        self.within_word = tag == "wbr"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.within_word:  # a line may end there, and no word does
            data = self.words.pop() + data
        self.within_word = False
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


async def read(client, path="/") -> Page:
    answer = await client.get(path)
    assert answer.status == 200
    page = Page(answer.text)
    assert page.open == []
    assert page.inline == []
    assert len(page.ids) == len(set(page.ids))
    return page


async def test_every_check_is_there_with_verdict_reason_latency_and_what_to_do(serving, agent, ledger):
    agent.view = await a_scene(ledger)
    async with serving() as client:
        page = await read(client)

    assert "1 failing" in page.text
    assert "authentication failed; 535 5.7.139 Authentication unsuccessful" in page.text
    assert "SMTP AUTH is switched off for the whole organisation" in page.text
    assert "What to do:" in page.text
    assert "2.63 s" in page.text
    assert "as of 2023-11-14 23:13:20 UTC" in page.text
    assert "/checks/submission" in page.links


async def test_an_open_incident_is_told_and_one_that_is_over_too(serving, agent, ledger):
    agent.view = await a_scene(ledger)
    async with serving() as client:
        page = await read(client)

    assert "open path submission: authentication failed" in page.text
    assert "3 failures of submission" in page.text
    assert "over path relay: rejected" in page.text


async def test_an_incident_of_a_check_that_was_taken_out_of_the_settings_is_not_open_and_not_called_over(
    serving, agent, ledger
):
    await a_scene(ledger)
    agent.view = an_agent([check for check in CHECKS if check.name != "submission"])
    async with serving() as client:
        page = await read(client)
        (first, _) = json.loads((await client.get("/api/v1/incidents")).text)["items"]

    assert "open path" not in page.text
    assert "no longer tested path submission: authentication failed" in page.text
    assert "its check was taken out of the settings, or moved to another path: nobody has seen it mended" in page.text
    assert "over path relay: rejected" in page.text
    assert (first["path"], first["removed"], first["ended"] is None) == ("submission", True, False)


async def test_before_settings_are_in_force_no_check_is_taken_for_removed(serving, agent, ledger):
    agent.view = replace(await a_scene(ledger), applied=False, checks=[])
    async with serving() as client:
        page = await read(client)

    assert "open path submission: authentication failed" in page.text


async def test_mailboxes_tell_why_they_cannot_be_read_and_what_runs_out_is_listed(serving, agent, ledger):
    view = await a_scene(ledger)
    end = Ahead(what="path submission: passwords end", when=view.now_at + 40 * 86400.0, fix="change to OAuth")
    agent.view = replace(view, retiring=[end], web_certificate=datetime(2023, 12, 1, tzinfo=UTC))
    async with serving() as client:
        page = await read(client)

    assert "1 failing, 1 mailbox cannot be read" in page.text
    assert "not up mailbox outside" in page.text
    assert "connection refused" in page.text
    assert "our client certificate on path relay put a new one in its place" in page.text
    assert "the certificate of these pages renew the files that web.tls names" in page.text
    assert page.text.index("our client certificate") < page.text.index("path submission: passwords end")
    assert "5 d" in page.text


async def test_words_of_servers_are_text_and_nothing_else(serving, agent, ledger):
    agent.view = await a_scene(ledger, said=HOSTILE)
    async with serving() as client:
        answer = await client.get("/")

    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert "\\u202e" in answer.text
    assert not re.search("[\x00-\x09\x0b-\x1f\u200e\u200f\u202a-\u202e]", answer.text)
    assert "x" * 400 not in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


async def test_a_ledger_that_cannot_be_read_makes_every_check_unknown_and_says_so(serving, agent, ledger, file):
    agent.view = await a_scene(ledger)
    vandal = sqlite3.connect(file)
    vandal.execute("ALTER TABLE canaries RENAME TO gone")
    vandal.close()
    async with serving() as client:
        page = await read(client)

    assert "Nobody can tell: the ledger cannot be read" in page.text
    assert "✓ pass" not in page.text


async def test_a_made_up_past_is_marked(serving, agent, ledger, file):
    agent.view = await a_scene(ledger)
    checks = [one.check for one in agent.view.checks]
    async with serving() as client:
        before = await read(client)
        past = story.past(checks, site="lab", until=agent.view.now_at - 7200, days=1.0, every=3600.0)
        simulated.fill(f"sqlite:///{file}", past)
        after = await read(client)

    assert "Simulated past" not in before.text
    assert "Simulated past" in after.text


async def test_an_agent_without_checks_says_what_to_do(serving, agent):
    agent.view = replace(an_agent(()), paths=(), mailboxes=())
    async with serving() as client:
        page = await read(client)

    assert "No check is configured" in page.text
    assert "relaycanary init" in page.text


async def test_an_agent_whose_settings_are_not_in_force_says_so(serving, agent):
    agent.view = replace(agent.view, applied=False)
    async with serving() as client:
        assert "settings are not in force yet" in (await read(client)).text


async def test_the_page_needs_nothing_but_our_own_files_and_they_are_there(serving, agent, ledger):
    agent.view = await a_scene(ledger)
    async with serving() as client:
        page = await read(client)
        own = sorted({link for link in page.links if link.startswith("/static/")})
        answers = [await client.get(link) for link in own]
        missing = await client.get("/static/..%2fapp.py")

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert not [link for link in page.links if not link.startswith(("/", "#"))]
    assert missing.status == 404
