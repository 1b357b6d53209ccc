"""Bounces, automatic answers, complaints and ordinary mail are told apart."""

import pytest

from checks.core.bounce import Kind, classify, may_be_bounce
from checks.core.headers.fields import split_message


def mail(header, body="Hello.\n"):
    return f"{header}\n\n{body}".encode()


@pytest.mark.parametrize(
    "header",
    [
        "From: Ann <ann@b.example>\nSubject: Automatic reply: canary\nAuto-Submitted: auto-replied",
        "From: Ann <ann@b.example>\nSubject: re: canary\nAuto-Submitted: auto-replied (vacation)\nReturn-Path: <>",
        "From: ann@b.example\nSubject: x\nX-Autoreply: yes",
        "From: ann@b.example\nSubject: x\nPrecedence: auto_reply",
        "From: ann@b.example\nSubject: Out of Office: x",
        "From: ann@b.example\nSubject: =?utf-8?q?Automatisch_antwoord=3A_x?=",
        (
            "From: ann@b.example\nSubject: Read: x\n"
            "Content-Type: multipart/report; report-type=disposition-notification; boundary=b"
        ),
    ],
)
def test_an_automatic_answer_is_no_bounce(header):
    message = mail(header, "I am away until Monday. Write to bob@b.example, or call 550 5.1.1.\n")
    assert classify(message).kind is Kind.AUTO_REPLY
    assert may_be_bounce(split_message(message)[0])


@pytest.mark.parametrize(
    "message",
    [
        mail(
            "From: f@b.example\nContent-Type: multipart/report; report-type=feedback-report; boundary=b",
            "--b\n\nabuse\n--b--",
        ),
        mail(
            "From: postmaster@b.example\nContent-Type: multipart/mixed; boundary=b",
            (
                "--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n--b\n"
                "Content-Type: message/rfc822\n\nSubject: canary\n\n--b--"
            ),
        ),
    ],
)
def test_a_complaint_is_a_feedback_report(message):
    found = classify(message)
    assert (found.kind, found.recipients) == (Kind.FEEDBACK_REPORT, ())


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\r\n\r\n",
        mail("From: ann@b.example\nSubject: lunch"),
        mail(
            "From: ann@b.example\nSubject: Delivery failure?",
            "<user@fabrikam.example>: 550 5.1.1 unknown, what does it mean?",
        ),
        mail("From: ann@b.example\nSubject: Fwd: Undeliverable: x", "> <user@fabrikam.example>: 550 5.1.1 unknown\n"),
        mail(
            "From: news@b.example\nReturn-Path: <bounces@list.b.example>\nSubject: News",
            "ann@b.example has a new job\n",
        ),
        mail(
            "From: postmaster@b.example\nSubject: Maintenance on Sunday", "For questions write to:\n\nann@b.example\n"
        ),
        mail("From: cron@b.example\nAuto-Submitted: auto-generated\nSubject: backup", "ann@b.example: ok\n"),
        mail("From: MAILER-DAEMON@b.example\nSubject: Undelivered", "Something failed.\n"),
    ],
)
def test_other_mail_is_other(message):
    found = classify(message)
    assert (found.kind, found.recipients) == (Kind.OTHER, ())


@pytest.mark.parametrize(
    "header", ["From: ann@b.example\nSubject: lunch", "Return-Path: <ann@b.example>\nFrom: ann@b.example", ""]
)
def test_the_body_of_ordinary_mail_is_not_fetched(header):
    assert not may_be_bounce(header.encode())


@pytest.mark.parametrize(
    "header",
    [
        "Return-Path: <>\nFrom: ann@b.example",
        "From: Mail Delivery Subsystem <x@b.example>",
        "From: postmaster@b.example",
        "From: =?utf-8?q?Microsoft_Outlook?= <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@contoso.example>",
        "From: x@b.example\nX-MS-Exchange-Message-Is-Ndr:",
        "From: x@b.example\nSubject: =?utf-8?q?N=C3=A3o_entregue=3A_canary?=",
        "From: x@b.example\nX-Failed-Recipients: u@b.example",
        "From: x@b.example\nAuto-Submitted: auto-generated",
        "From: x@b.example\nContent-Type: Multipart/Report; boundary=x",
        "From: AWS <no-reply@sns.amazonaws.com>",
    ],
)
def test_one_sign_in_the_headers_is_enough_to_fetch_the_body(header):
    assert may_be_bounce(header.encode())
