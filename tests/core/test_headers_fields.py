"""Header sections as lists of fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.core.headers.fields import (
    MAX_FIELDS,
    MAX_VALUE,
    Headers,
    decode_text,
    decode_words,
    parse_headers,
    split_message,
)


def test_fields_are_unfolded_in_order_and_found_without_regard_to_case():
    headers = parse_headers(
        b"From x Mon\r\nSubject: a\r\n b\r\n\tc\r\nX-One : 1\r\ngarbage\r\nsubject:2\r\n\r\nX-Body: no"
    )
    assert headers == Headers((("Subject", "a b c"), ("X-One", "1"), ("subject", "2")))
    assert headers.all("SUBJECT") == ("a b c", "2")
    assert headers.first("x-one") == "1"
    assert "x-body" not in headers


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
def test_every_line_end_is_understood(end):
    assert parse_headers(end.join([b"A: 1", b" 2", b"B: 3", b"", b"C: 4"])).fields == (("A", "1 2"), ("B", "3"))


def test_bytes_beyond_ascii_are_utf_8_or_else_latin_1():
    assert parse_headers("A: é".encode()).first("a") == "é"
    assert parse_headers("A: é".encode("latin-1")).first("a") == "é"


def test_a_header_section_is_bounded_in_fields_and_in_values():
    headers = parse_headers(b"X: " + b"y" * 100_000 + b"\n" + b"A: 1\n" * 5000)
    assert len(headers.fields) == MAX_FIELDS
    assert len(headers.first("X")) == MAX_VALUE


def test_a_message_is_split_at_its_first_blank_line():
    assert split_message(b"A: 1\r\n\r\nbody\r\n\r\nmore") == (b"A: 1", b"body\r\n\r\nmore")
    assert split_message(b"A: 1\n \nbody") == (b"A: 1", b"body")
    assert split_message(b"\nno header") == (b"", b"no header")
    assert split_message(b"A: 1") == (b"A: 1", b"")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=?utf-8?Q?Onbestelbaar=3A_proef?=", "Onbestelbaar: proef"),
        ("=?UTF-8?B?TsOj?= =?utf-8?q?o_entregue?= x", "Não entregue x"),
        ("=?iso-8859-1*fr?q?=E9t=E9?=", "été"),
        ("=?nonsense?q?a=20b?=", "a b"),
        ("=?utf-8?b?%%%?=", ""),
        ("=?utf-8?b?A?=", "=?utf-8?b?A?="),
        ("=?idna?q?xn--?=", "xn--"),
        ("no words =? here", "no words =? here"),
    ],
)
def test_encoded_words_are_decoded_and_what_is_broken_stays(value, text):
    assert decode_words(value) == text


@pytest.mark.parametrize(
    "charset", ["idna", "punycode", "zlib", "rot13", "utf-16", "iso-2022-jp", "x-unknown", "", "\0"]
)
def test_no_charset_makes_decoding_fail(charset):
    assert isinstance(decode_text(b"\xff\xfea\x1b$B\x00", charset), str)


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_header_section(block):
    headers = parse_headers(block)
    for name, value in headers.fields:
        assert name.isascii()
        assert "\n" not in value
        decode_words(value)


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True),
            st.from_regex(r"[!-~]([ -~]{0,50}[!-~])?", fullmatch=True),
        )
    ),
)
def test_written_fields_are_read_back(fields):
    block = "".join(f"{name}: {value}\r\n" for name, value in fields).encode()
    assert parse_headers(block).fields == tuple(fields)
