"""SMTP replies: codes, texts and Exchange Online's suffix."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.core.model import Reply
from checks.core.reply import (
    MAX_TEXT,
    Origin,
    accepted_message_id,
    clean_text,
    find_enhanced,
    find_origin,
    parse_reply,
    read_reply,
)


def test_the_enhanced_code_is_taken_off_the_text():
    assert parse_reply(250, ["2.1.0 Sender OK"]) == Reply(code=250, enhanced="2.1.0", text="Sender OK")


def test_an_enhanced_code_on_every_line_is_read_once():
    """RFC 2034 has the code on each line of a reply."""
    reply = parse_reply(550, ["5.7.64 TenantAttribution; Relay Access", "5.7.64 Denied SMTP"])
    assert reply == Reply(code=550, enhanced="5.7.64", text="TenantAttribution; Relay Access Denied SMTP")


def test_another_code_on_a_later_line_stays_in_the_text():
    reply = parse_reply(550, [b"5.1.351 Remote server returned unknown recipient", b"5.1.1 No such user"])
    assert (reply.enhanced, reply.text) == ("5.1.351", "Remote server returned unknown recipient 5.1.1 No such user")


def test_a_code_of_another_class_than_the_reply_is_kept_as_written():
    assert parse_reply(451, ["5.7.3 Must issue a STARTTLS command first"]).enhanced == "5.7.3"


def test_a_code_within_the_text_counts_when_no_line_starts_with_one():
    assert parse_reply(550, ["blocked (#5.7.1)"]) == Reply(code=550, enhanced="5.7.1", text="blocked (#5.7.1)")


@pytest.mark.parametrize(
    ("raw", "code", "enhanced", "text"),
    [
        ("535-5.7.3 Authentication unsuccessful", 535, "5.7.3", "Authentication unsuccessful"),
        ("550-5.7.1 first\r\n550 5.7.1 second\r\n", 550, "5.7.1", "first second"),
        (b"  421 4.3.2 busy", 421, "4.3.2", "busy"),
        ("354 Start mail input", 354, None, "Start mail input"),
        ("250", 250, None, ""),
        ("550 5.4.1 [a@example.org]: denied", 550, "5.4.1", "[a@example.org]: denied"),
    ],
)
def test_a_reply_is_read_as_it_came_over_the_wire(raw, code, enhanced, text):
    assert read_reply(raw) == Reply(code=code, enhanced=enhanced, text=text)


@pytest.mark.parametrize("raw", ["", "\r\n", "hello", "5501 x", "650 5.7.1 no such class", "55", b"\xff\xfe"])
def test_a_text_without_a_reply_code_is_no_reply(raw):
    assert read_reply(raw) is None


@pytest.mark.parametrize(
    "text", ["4.1.2.3 is an address", "version 15.20.696.11", "v5.7.1", "5.7.1234", "3.1.1", "85.7.1"]
)
def test_addresses_and_versions_are_no_enhanced_codes(text):
    assert find_enhanced(text) is None


def test_the_suffix_names_server_time_and_session():
    text = "disabled. [CH0PR08CA0021.namprd08.prod.outlook.com 2026-01-09T16:12:30.678Z 08DE4F6D4916B5B3]"
    assert find_origin(text) == Origin(
        host="CH0PR08CA0021.namprd08.prod.outlook.com",
        time=datetime(2026, 1, 9, 16, 12, 30, 678000, tzinfo=UTC),
        session="08DE4F6D4916B5B3",
    )


@pytest.mark.parametrize(
    "suffix", ["[AMS1EPF0000008F.eurprd05.prod.outlook.com]", "[Hostname=P1.EURP2.PROD.OUTLOOK.COM] "]
)
def test_the_suffix_may_be_a_host_alone(suffix):
    assert find_origin(f"Recipients belong to multiple regions {suffix}") == Origin(suffix.strip(" []").split("=")[-1])


@pytest.mark.parametrize(
    "text", ["from [192.0.2.25]", "[a.outlook.com 2026-99-99T16:12:30.678Z 08DE4F6D4916B5B3] and more", "", "["]
)
def test_a_text_without_a_suffix_has_no_origin(text):
    assert find_origin(text) is None


def test_an_impossible_time_in_the_suffix_is_left_out():
    assert find_origin("[a.prod.outlook.com 2026-99-99T16:12:30.678Z 08DE4F6D4916B5B3]") == Origin(
        "a.prod.outlook.com", None, "08DE4F6D4916B5B3"
    )


def test_an_acceptance_names_the_message_id_and_the_server():
    text = (
        "<a1@b.example> [InternalId=123, Hostname=DB9P1.EURP1.PROD.OUTLOOK.COM] 9 bytes in 0.1 Queued mail for delivery"
    )
    assert accepted_message_id(text) == "<a1@b.example>"
    assert find_origin(text) == Origin("DB9P1.EURP1.PROD.OUTLOOK.COM")
    assert accepted_message_id("OK") is None


def test_text_for_display_is_one_bounded_printable_line():
    assert clean_text(b"a\r\n b\x1b[31m\x00") == "a b\\x1b[31m\\x00"
    assert clean_text("name \u202egpj.exe") == "name \\u202egpj.exe"
    assert clean_text("x" * 3000) == "x" * (MAX_TEXT - 1) + "…"


@given(st.one_of(st.text(), st.binary()))
def test_any_text_is_made_printable(raw):
    cleaned = clean_text(raw)
    assert cleaned.isprintable()
    assert len(cleaned) <= MAX_TEXT


@given(st.integers(200, 599), st.lists(st.one_of(st.text(), st.binary())))
def test_any_lines_give_a_reply(code, lines):
    reply = parse_reply(code, lines)
    assert reply.code == code
    assert reply.text.isprintable()
    find_origin(reply.text)
    accepted_message_id(reply.text)


@given(st.one_of(st.text(), st.binary(), st.text().map("550 5.7.1 {}".format)))
def test_reading_a_reply_never_raises(raw):
    reply = read_reply(raw)
    assert reply is None or 200 <= reply.code < 600
