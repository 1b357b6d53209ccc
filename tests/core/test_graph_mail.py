import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.make import a_canary

from checks.core import message, recognise, token
from checks.core.graph_mail import LARGEST_HEADER, header_block, read_page, read_row, recognisable, send_mail
from checks.core.headers.fields import parse_headers

LINK, DELTA = "https://graph.example/v1.0/next", "https://graph.example/v1.0/delta"
KEYS = ["value", "id", "from", "name"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner),
)


def named(*fields):
    return [{"name": name, "value": value} for name, value in fields]


@pytest.mark.parametrize(
    ("headers", "block"),
    [
        (named(("Subject", "x"), ("X-A", "1")), b"Subject: x\r\nX-A: 1\r\n"),
        (named(("Received", "a"), ("Received", "b")), b"Received: a\r\nReceived: b\r\n"),
        (named(("Subject", "caf\u00e9 \U0001f600")), "Subject: café 😀\r\n".encode()),
        (named(("Subject", "\ud800")), b"Subject: ?\r\n"),
        (named(("X-A", "one\r\nX-Relaycanary: forged")), b"X-A: one X-Relaycanary: forged\r\n"),
        (named(("X-A", "folded\r\n\tover lines")), b"X-A: folded over lines\r\n"),
        (named(("X A", "1"), ("X\r\nB", "2"), ("", "3"), ("X:C", "4")), b""),
        ([None, 5, "x", {}, {"name": "X"}, {"value": "y"}, {"name": 1, "value": 2}], b""),
    ],
)
def test_a_header_is_written_line_by_line_and_nothing_in_a_value_makes_a_line_of_its_own(headers, block):
    assert header_block(headers) == block


def test_a_header_without_end_is_cut():
    assert len(header_block(named(*[("X-A", "y" * 1000)] * 1000))) <= LARGEST_HEADER


def test_a_row_has_its_header_its_stand_in_and_when_it_came():
    row = read_row(
        {
            "id": "AAk1",
            "internetMessageHeaders": named(("Subject", "whole")),
            "internetMessageId": "<1@x.example>",
            "subject": "short",
            "from": {"emailAddress": {"name": "N", "address": "n@x.example"}},
            "receivedDateTime": "2026-11-26T03:04:05Z",
        }
    )
    assert (row.id, row.header, row.whole, row.removed) == ("AAk1", b"Subject: whole\r\n", True, False)
    assert row.stand_in == b"Message-ID: <1@x.example>\r\nSubject: short\r\nFrom: n@x.example\r\n"
    assert row.received == datetime(2026, 11, 26, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("item", "whole", "removed", "block"),
    [
        ({"id": "a", "@removed": {"reason": "deleted"}}, False, True, b""),
        ({"id": "a", "isRead": True, "parentFolderId": "f"}, False, False, b""),
        (
            {"id": "a", "subject": "s", "internetMessageId": "<i>", "receivedDateTime": "x"},
            True,
            False,
            b"Message-ID: <i>\r\nSubject: s\r\n",
        ),
        ({"id": "a", "internetMessageHeaders": []}, False, False, b""),
        ({"id": "a", "internetMessageHeaders": None, "from": 5}, False, False, b""),
    ],
)
def test_a_row_that_says_less_tells_so(item, whole, removed, block):
    row = read_row(item)
    assert (row.whole, row.removed, row.block()) == (whole, removed, block)


@pytest.mark.parametrize("item", [{}, {"id": ""}, {"id": 5}, {"id": None}])
def test_a_row_without_an_id_is_none(item):
    assert read_row(item) is None


@pytest.mark.parametrize(
    ("document", "ids", "following", "again"),
    [
        ({"value": [{"id": "a"}, {"id": "b"}], "@odata.nextLink": LINK}, ["a", "b"], LINK, None),
        ({"value": [], "@odata.deltaLink": DELTA}, [], None, DELTA),
        ({"value": [{"id": "a"}, 5, {}], "@odata.deltaLink": DELTA}, ["a"], None, DELTA),
        ({"value": [], "@odata.nextLink": LINK, "@odata.deltaLink": DELTA}, [], LINK, None),
    ],
)
def test_a_page_goes_on_or_is_the_last_of_its_round(document, ids, following, again):
    page = read_page(document)
    assert ([row.id for row in page.rows], page.following, page.again) == (ids, following, again)


@pytest.mark.parametrize(
    "document", [{}, {"value": []}, {"@odata.deltaLink": DELTA}, {"value": {}, "@odata.deltaLink": DELTA}]
)
def test_what_lists_nothing_or_leads_nowhere_is_no_page(document):
    assert read_page(document) is None


def test_of_other_peoples_mail_only_what_recognition_needs_is_kept():
    block = header_block(named(("Subject", "private?"), ("X-Secret", "no"), ("message-id", "<1@x>"), ("To", "you@x")))
    assert recognisable(block) == b"Subject: private?\r\nmessage-id: <1@x>\r\n"


@given(JSON)
def test_nothing_that_a_service_sends_raises(document):
    pages = {"value": document, "@odata.deltaLink": DELTA}, {"value": [document], "@odata.nextLink": LINK}
    for one in (document, *pages):
        if isinstance(one, dict):
            read_page(one)
            read_row(one)
    header_block(document if isinstance(document, list) else [document])


def test_a_canary_that_is_sent_as_json_is_recognised_and_leaves_no_copy():
    canary = a_canary()
    check = canary.check
    signed = token.mint(canary.id, check.name, check.recipient, key="k1", secret=b"x" * 32)
    body = json.loads(json.dumps(send_mail(message.compose(canary, signed), check.sender, check.recipient)))
    assert body["saveToSentItems"] is False
    mail = body["message"]
    assert mail["from"] == {"emailAddress": {"address": check.sender}}
    assert mail["toRecipients"] == [{"emailAddress": {"address": check.recipient}}]
    assert mail["body"]["contentType"] == "text"
    assert "this is an automatic test message" in mail["body"]["content"]
    own = mail["internetMessageHeaders"]
    assert [one["name"] for one in own] == ["X-Relaycanary", "X-Auto-Response-Suppress"]
    arrived = header_block([*own, {"name": "Subject", "value": mail["subject"]}])
    claims = recognise.claims(parse_headers(arrived))
    proven = recognise.prove(claims, lambda _: recognise.Sent([check.recipient]), {"k1": b"x" * 32})
    assert isinstance(proven, recognise.Genuine)
    assert proven.id == canary.id
