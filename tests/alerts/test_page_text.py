"""What a page says, as a person reads it; and what the words of a server cannot do in it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.make import T0

from agent.alerts import page as pages
from agent.alerts.page import Affected, Event, Page
from agent.alerts.text import body, subject

PAGE = Page(
    key="relaycanary/ams1/abc",
    event=Event.OPENED,
    severity="critical",
    site="ams1",
    title="Path relay: the connector does not recognise us (550 5.7.64)",
    began=T0,
    written=T0 + 75,
    said="550 5.7.64 TenantAttribution; Relay Access Denied",
    meaning="No connector matches.",
    fix="Compare the addresses.",
    source="learn.microsoft.com/x",
    affected=(
        Affected(check="relay", path="relay", state="fail, rejected, 2 in a row"),
        Affected(check="b", path="relay", state="fail"),
    ),
    works=("submission", "graph"),
    evidence="https://canary.example/canaries/c1",
    status="https://canary.example/",
)

OPENED = """\
Since Tue 2023-11-14 22:13:20 UTC, for 1 min 15 s.

In the words of the other side: 550 5.7.64 TenantAttribution; Relay Access Denied

What it means: No connector matches.

What to do: Compare the addresses.

Affected:
- check relay: fail, rejected, 2 in a row
- check b (path relay): fail

Delivering now: paths submission, graph.

Evidence: https://canary.example/canaries/c1
Status: https://canary.example/
Source: learn.microsoft.com/x"""

RESOLVED = """\
It lasted from Tue 2023-11-14 22:13:20 UTC until Tue 2023-11-14 22:23:20 UTC, 10 min.

It had been said: 550 5.7.64 TenantAttribution; Relay Access Denied

How it is now:
- check relay: pass

Delivering now: path relay.

Evidence: https://canary.example/canaries/c1
Status: https://canary.example/"""


def test_a_page_reads_from_what_is_broken_to_what_to_do():
    assert subject(PAGE) == "CRITICAL: Path relay: the connector does not recognise us (550 5.7.64) [ams1]"
    assert body(PAGE) == OPENED


def test_a_resolution_is_short_and_says_how_long_it_took():
    over = replace(
        PAGE,
        event=Event.RESOLVED,
        closed=T0 + 600,
        written=T0 + 600,
        affected=(Affected(check="relay", path="relay", state="pass"),),
        works=("relay",),
    )
    assert subject(over).startswith("RESOLVED: Path relay")
    assert body(over) == RESOLVED


def test_where_nothing_delivers_it_is_said():
    assert "No path is known to deliver now." in body(replace(PAGE, works=()))


def test_a_long_list_of_checks_is_cut_and_counted():
    many = tuple(Affected(check=f"c{number}", path="relay", state="fail") for number in range(40))
    text = body(replace(PAGE, affected=many))
    assert text.count("- check") == 12
    assert "- and 28 more" in text


def test_the_name_of_the_site_is_not_told_twice():
    assert subject(replace(PAGE, title="No path delivers mail at site ams1")) == (
        "CRITICAL: No path delivers mail at site ams1"
    )


@pytest.mark.parametrize("hostile", ["\x1b[2J", "a\r\nResolved: all is well", "\u202egnorw", "\x00", "\u2028"])
def test_words_of_a_server_are_one_line_of_visible_characters(hostile):
    page = replace(PAGE, said=hostile, title=hostile, meaning=hostile, note=hostile)
    lines = subject(page) + body(page)
    assert not any(one in lines for one in ("\x1b", "\r", "\u202e", "\x00", "\u2028"))
    assert "\nResolved" not in lines


@pytest.mark.parametrize(
    "mention", ["@everyone", "@here", "@channel", "<!channel>", "<!here>", "<@U123>", "<at>a</at>"]
)
def test_words_of_a_server_call_nobody_by_name(mention):
    page = replace(PAGE, said=f"550 {mention} come")
    assert mention not in body(page)
    assert mention in body(page).replace("\u200b", "")


def test_a_page_is_read_back_as_it_was_written():
    assert pages.load(pages.dump(PAGE)) == PAGE
