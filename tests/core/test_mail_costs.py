"""What mail that is built to exhaust its reader costs: calls and memory, which are the same on every machine."""

import sys
import tracemalloc

import pytest

from checks.core import findings
from checks.core.bounce import classify, may_be_bounce
from checks.core.headers.authres import arc_authentication_results, authentication
from checks.core.headers.fields import parse_headers

SIZE = 100_000
MOST_CALLS = 400_000  # some 20 ms; a reader that is quadratic makes millions
MEGABYTE = 1 << 20
DAEMON = b"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example\r\nSubject: failure notice\r\n"
REPORT = DAEMON + b"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
UNITS = (
    *(b"a ", b"=\n", b"()", b'"', b"[a", b"<>", b"<p>", b";", b"a=b;", b"\n", b"--x\n", b"550 5.1.1 ", b"<a@b.c>: "),
    *(b"> From: a\n", b"X: y\n", b"from a by b ", b"1 Jan 2025 ", b'"emailAddress":"', b"554 <a@b>... "),
    *(b"Final-Recipient: rfc822; a@b.c\n", b"Action: failed\n\n", b"temporary failure"),
)


def filled(unit, size=SIZE):
    return (unit * (size // len(unit) + 1))[:size]


def in_lines(name, unit, length=500):
    """Many fields of one name."""
    text = filled(unit).replace(b"\n", b" ")
    return b"".join(name + b": " + text[start : start + length] + b"\n" for start in range(0, SIZE, length))


def calls(read, data):
    """How many functions, ours and the interpreter's, are called while *read* reads *data*."""
    number = 0

    def count(_frame, event, _arg):
        nonlocal number
        number += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        read(data)
    finally:
        sys.setprofile(None)
    return number


def read_headers(data):
    headers = parse_headers(data)
    findings.find(data)
    authentication(headers, ["", "mx.example"])
    arc_authentication_results(headers)


def read_notice(data):
    may_be_bounce(data)
    classify(data)


@pytest.mark.parametrize("unit", UNITS, ids=repr)
def test_the_work_for_a_header_section_is_bounded(unit):
    for name in (b"Received", b"Authentication-Results", b"ARC-Authentication-Results"):
        assert calls(read_headers, in_lines(name, unit)) < MOST_CALLS
        assert calls(read_headers, name + b": " + filled(unit).replace(b"\n", b"\n ")) < MOST_CALLS


@pytest.mark.parametrize("unit", UNITS, ids=repr)
def test_the_work_for_a_notice_is_bounded(unit):
    text = filled(unit)
    for head in (b"", DAEMON + b"\n", DAEMON + b"Content-Type: text/html\n\n", REPORT, DAEMON + b"Content-Type: "):
        assert calls(read_notice, head + text) < MOST_CALLS
    assert calls(read_notice, b'From: a@sns.amazonaws.com\n\n{"notificationType":"Bounce",' + text) < MOST_CALLS


@pytest.mark.parametrize(
    "mail",
    [
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3000)),
        b"X: " + b"y" * (10 * MEGABYTE),
        b"Subject: " + b"=?utf-8?B?QUFB?= " * 600_000,
        b"X: y\n" * (2 * MEGABYTE),
        DAEMON + b"Content-Type: text/html\n\n" + b"<p>&amp;" * MEGABYTE,
        DAEMON + b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n" + b"QUFB" * (2 * MEGABYTE),
        DAEMON + b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\n<a@b.example>: 550 no\n" * 400_000,
    ],
    ids=["nested", "one long field", "encoded words", "many fields", "html", "base64", "parts"],
)
def test_the_memory_for_ten_megabytes_is_bounded(mail):
    tracemalloc.start()
    try:
        read_headers(mail)
        read_notice(mail)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * MEGABYTE
