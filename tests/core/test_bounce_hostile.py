"""Whatever is sent to a watched mailbox, reading it ends, soon, with an answer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.core.bounce import Kind, Notification, classify, may_be_bounce

DAEMON = b"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example\r\nSubject: failure notice\r\n"
REPORT = (
    b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"<p>u@b.example</p>=20\r\n550 5.1.1 no\r\n"
    b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a.example\r\n\r\n"
    b"Final-Recipient: rfc822; u@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    b"Diagnostic-Code: smtp; 550 5.1.1 no\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nReceived: from a by b; 1 Jan 2025 00:00:00 +0000\r\n"
    b"Subject: canary\r\n\r\nx\r\n--b--\r\n"
)
PROSE = (
    b"X-Failed-Recipients: u@b.example\r\n\r\nSorry.\r\n\r\n<u@b.example>:\r\n552 5.2.2 full\r\n\r\n"
    b"--- Below is a copy of the message.\r\n\r\n"
    b"Received: from a by b\r\nTo: u@b.example\r\nFrom: c@d.example\r\nSubject: canary\r\n\r\nx\r\n"
)
JSON = (
    b"From: no-reply@sns.amazonaws.com\r\n\r\n"
    b'{"notificationType":"Bounce","bounce":{"bouncedRecipients":[{"emailAddress":"u@b.example","status":"5.1.1"}]}}'
)
MAILS = (DAEMON + REPORT, DAEMON + PROSE, JSON)


def check(message):
    found = classify(message)
    assert isinstance(found, Notification)
    assert found.subject.isprintable()
    for recipient in found.recipients:
        assert all(
            text is None or text.isprintable()
            for text in (recipient.address, recipient.diagnostic, recipient.remote_mta)
        )
    may_be_bounce(message)
    return found


@pytest.mark.parametrize("message", MAILS)
def test_the_samples_are_bounces(message):
    assert check(message).kind is Kind.BOUNCE


@pytest.mark.parametrize("message", MAILS)
def test_a_mail_cut_off_anywhere_is_read(message):
    for end in range(len(message)):
        check(message[:end])


@given(st.sampled_from(MAILS), st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=12)), max_size=6))
@settings(max_examples=300, deadline=None)
def test_a_mail_with_bytes_replaced_anywhere_is_read(message, changes):
    for where, insert in changes:
        at = int(where * len(message))
        message = message[:at] + insert + message[at + len(insert) // 2 :]
    check(message)


@given(st.binary(max_size=3000))
@settings(deadline=None)
def test_any_bytes_are_read(message):
    check(message)
    check(DAEMON + b"\r\n" + message)
    check(DAEMON + b"Content-Type: " + message)


@pytest.mark.parametrize(
    "message",
    [
        DAEMON + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3000)),
        DAEMON + b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n" * 200_000,
        DAEMON + b"Content-Type: message/rfc822\n\n" * 5000,
        DAEMON + b"\n" + b" " * 300_000,
        DAEMON + b"Content-Type: text/html\n\n&#" + b"9" * 100_000 + b";" + b"<" * 100_000 + b"<style>" * 10_000,
        DAEMON + b"Content-Type: text/plain; charset=idna\n\n" + b"x" * 100_000,
        DAEMON + b"Content-Transfer-Encoding: base64\n\n" + b"A" * 100_001,
        DAEMON + b"\n" + b"u@b.example\n" * 100_000,
        b"X: " + b"y\n " * 3_000_000,
        b"\n" * 10_000_000,
    ],
    ids=[
        "nested",
        "many parts",
        "messages in messages",
        "spaces",
        "html",
        "charset",
        "base64",
        "recipients",
        "folded",
        "newlines",
    ],
)
def test_what_is_built_to_exhaust_is_bounded(message):
    assert len(check(message).recipients) <= 100
