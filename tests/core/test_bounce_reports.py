"""Notices with a delivery status report (RFC 3464)."""

import base64

import pytest

from checks.core.bounce import Kind, Recipient, classify, may_be_bounce
from checks.core.headers.fields import split_message


def report(status_part, *, text="Delivery failed.", returned="X-Relaycanary: v1.token\r\nSubject: canary", header=""):
    """A multipart/report as servers write them."""
    return (
        f"Return-Path: <>\r\nFrom: postmaster@contoso.example\r\nSubject: Undeliverable: canary\r\n{header}"
        'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="b/1"\r\n\r\n'
        f"--b/1\r\nContent-Type: text/plain\r\n\r\n{text}\r\n"
        f"--b/1\r\nContent-Type: message/delivery-status\r\n\r\n{status_part}\r\n"
        f"--b/1\r\nContent-Type: message/rfc822\r\n\r\n{returned}\r\n\r\nbody\r\n--b/1--\r\n"
    ).encode()


EXCHANGE = report(
    "Reporting-MTA: dns;SG2APC01HT074.mail.protection.outlook.com\r\nReceived-From-MTA: dns;SLXP216MB0381.example\r\n"
    "Arrival-Date: Sun, 5 Aug 2018 03:46:51 +0000\r\n\r\n"
    "Original-Recipient: rfc822;alias@fabrikam.example\r\nFinal-Recipient: rfc822;user@fabrikam.example\r\n"
    "Action: failed\r\nStatus: 5.1.351\r\n"
    "Diagnostic-Code: smtp;550 5.1.351 Remote server returned unknown recipient or\r\n"
    " mailbox unavailable -> 550 Unknown user\r\n"
    "Remote-MTA: dns;mx.fabrikam.example\r\n",
    header=(
        "X-MS-Exchange-Message-Is-Ndr:\r\nIn-Reply-To: <c1@contoso.example>\r\n"
        "References: <c0@x.example> <c1@contoso.example>\r\n"
    ),
)


def test_a_report_tells_who_failed_why_and_according_to_whom():
    found = classify(EXCHANGE)
    assert found.kind is Kind.BOUNCE
    assert found.final
    assert found.reporting_mta == "SG2APC01HT074.mail.protection.outlook.com"
    assert found.recipients == (
        Recipient(
            address="user@fabrikam.example",
            action="failed",
            status="5.1.351",
            code=550,
            diagnostic=(
                "550 5.1.351 Remote server returned unknown recipient or mailbox unavailable -> 550 Unknown user"
            ),
            remote_mta="mx.fabrikam.example",
            original_address="alias@fabrikam.example",
        ),
    )


def test_a_report_carries_all_that_refers_to_the_message():
    found = classify(EXCHANGE)
    assert found.returned_headers == b"X-Relaycanary: v1.token\r\nSubject: canary"
    assert found.returned().first("x-relaycanary") == "v1.token"
    assert found.in_reply_to == "<c1@contoso.example>"
    assert found.references == ("<c0@x.example>", "<c1@contoso.example>")
    assert found.subject == "Undeliverable: canary"


def test_a_delay_is_not_final():
    found = classify(
        report("Reporting-MTA: dns; a\r\n\r\nFinal-Recipient: rfc822; u@b.example\r\nAction: delayed\r\nStatus: 4.4.1")
    )
    assert (found.kind, found.final) == (Kind.DELAYED, False)


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded", "Deliverable"])
def test_a_notice_of_success_is_no_bounce_and_keeps_its_recipient(action):
    found = classify(
        report(
            f"Final-Recipient: rfc822; u@b.example\r\nAction: {action}\r\nStatus: 2.0.0\r\n"
            f"Diagnostic-Code: smtp; 250 2.0.0 Ok"
        )
    )
    assert found.kind is Kind.OTHER
    assert (found.recipients[0].address, found.recipients[0].code) == ("u@b.example", 250)


def test_one_failed_recipient_among_others_makes_a_bounce():
    found = classify(
        report(
            "Reporting-MTA: dns; a\r\n\r\nFinal-Recipient: rfc822; one@b.example\r\nAction: delivered\r\n"
            "Status: 2.0.0\r\n\r\n"
            "Final-Recipient: rfc822; two@b.example\r\nAction: failed (bad mailbox)\r\nStatus: 5.1.1 (bad)\r\n"
        )
    )
    assert found.kind is Kind.BOUNCE
    assert [(one.address, one.action, one.status) for one in found.recipients] == [
        ("one@b.example", "delivered", "2.0.0"),
        ("two@b.example", "failed", "5.1.1"),
    ]


@pytest.mark.parametrize(
    "fields",
    [
        "Final-Recipient: rfc822; u@b.example\n\nAction: failed\nStatus: 5.1.1",
        "\n\n\nFinal-Recipient: RFC822; <u@b.example>\nAction: failed\n  \nStatus: 5.1.1\n",
        "Action: failed\nFinal-Recipient: rfc822;u@b.example\nStatus: 5.1.1 (User unknown)",
        "Status: 5.1.1\nOriginal-Recipient: rfc822; u@b.example\nFinal-Recipient: x400; /S=u/",
        "Final-Recipient: u@b.example\nDiagnostic-Code: smtp; 550 #5.1.1 unknown",
    ],
)
def test_reports_are_read_as_they_are_written(fields):
    found = classify(report("Reporting-MTA: dns; a\n\n" + fields))
    assert [(one.address, one.action, one.status) for one in found.recipients] == [("u@b.example", "failed", "5.1.1")]


def test_recipients_without_a_blank_line_between_them_are_told_apart():
    found = classify(
        report(
            "Final-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.1.1\n"
            "Final-Recipient: rfc822; c@d.example\nAction: failed\nStatus: 5.2.2"
        )
    )
    assert [(one.address, one.status) for one in found.recipients] == [
        ("a@b.example", "5.1.1"),
        ("c@d.example", "5.2.2"),
    ]


@pytest.mark.parametrize(
    ("status", "diagnostic", "wanted"),
    [
        ("5.0.0", "smtp; 550 5.7.1 refused", ("5.7.1", 550)),
        ("5.1.1", "smtp; 550 5.0.0 refused", ("5.1.1", 550)),
        ("5.1.1", "smtp; 550 5.7.1 refused", ("5.7.1", 550)),
        ("5.1.1", "smtp; 550-5.7.1 first 550 5.7.26 second", ("5.7.1", 550)),
        ("5.1.1", "smtp; 550 no such user", ("5.1.1", 550)),
        ("4.4.7", "smtp; 554 4.4.7 expired <421 4.4.2 timed out>", ("4.4.2", 421)),
        ("5.2.2", "X-Postfix; host a[192.0.2.1] said: 552 5.2.2 full", ("5.2.2", 552)),
        ("5.4.4", "X-Unix; 255", ("5.4.4", None)),
        ("5.6.0", "smtp; message of 5000 bytes from 10.5.1.1 refused", ("5.6.0", None)),
    ],
)
def test_the_refusing_servers_own_code_stands_before_the_summary(status, diagnostic, wanted):
    found = classify(
        report(f"Final-Recipient: rfc822; u@b.example\nAction: failed\nStatus: {status}\nDiagnostic-Code: {diagnostic}")
    )
    assert (found.recipients[0].status, found.recipients[0].code) == wanted


def test_an_answer_that_the_report_leaves_out_is_taken_from_the_words():
    found = classify(
        report(
            "Final-Recipient: rfc822; u@b.example\nAction: failed\nStatus: 5.0.0",
            text="These failed:\r\n\r\n<u@b.example>: host mx said: 550 5.7.25 reverse DNS\r\n",
        )
    )
    assert (found.recipients[0].status, found.recipients[0].code) == ("5.7.25", 550)


def test_an_encoded_report_is_decoded():
    plain = b"Final-Recipient: rfc822; u@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    encoded = report(base64.encodebytes(plain).decode()).replace(
        b"message/delivery-status\r\n", b"message/delivery-status\r\nContent-Transfer-Encoding: base64\r\n"
    )
    assert classify(encoded).recipients[0].status == "5.1.1"


def test_the_international_report_is_read_too():
    """RFC 6533 has types of its own for addresses beyond ASCII."""
    message = report("Final-Recipient: utf-8; ü@b.example\nAction: failed\nStatus: 5.1.1")
    message = message.replace(b"message/delivery-status", b"message/global-delivery-status").replace(
        b"message/rfc822", b"message/global-headers"
    )
    found = classify(message)
    assert found.recipients[0].address == "ü@b.example"
    assert found.returned_headers.startswith(b"X-Relaycanary")


def test_a_report_that_cannot_be_read_is_still_a_bounce():
    """Its returned message proves whose it is; the signature is checked by the caller."""
    found = classify(report("Reporting-MTA: dns; a.example\n"))
    assert (found.kind, found.recipients) == (Kind.BOUNCE, ())
    assert found.returned().first("X-Relaycanary") == "v1.token"


def test_a_gateways_notice_around_a_notice_is_the_inner_one():
    outer = (
        b"From: MAILER-DAEMON@gw.example\r\nSubject: Returned mail\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n"
        b"--o\r\n\r\nSee the attached.\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n" + EXCHANGE + b"\r\n--o--\r\n"
    )
    found = classify(outer)
    assert found.kind is Kind.BOUNCE
    assert found.returned().first("X-Relaycanary") == "v1.token"


def test_a_person_who_forwards_a_bounce_has_not_bounced():
    forwarded = (
        b"From: Ann <ann@contoso.example>\r\nSubject: Fwd: Undeliverable: canary\r\n"
        b"Content-Type: multipart/mixed; boundary=o\r\n\r\n"
        b"--o\r\n\r\nWhat is this?\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n" + EXCHANGE + b"\r\n--o--\r\n"
    )
    assert classify(forwarded).kind is Kind.OTHER


@pytest.mark.parametrize("message", [EXCHANGE, EXCHANGE.replace(b"\r\n", b"\n")])
def test_line_ends_make_no_difference(message):
    assert classify(message).recipients == classify(EXCHANGE).recipients


def test_a_report_is_suspected_from_its_headers_alone():
    assert may_be_bounce(split_message(EXCHANGE)[0])


def test_an_unreadable_report_is_about_the_only_recipient_of_the_returned_message():
    message = (
        b"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example\r\nTo: canary@contoso.example\r\nSubject: Undelivered\r\n"
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        b"--b\r\n\r\n--- Delivery report unavailable ---\r\n"
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\n"
        b"From: canary@contoso.example\r\nTo: %s\r\nSubject: x\r\n\r\nx\r\n--b--\r\n"
    )
    found = classify(message % b"user@fabrikam.example")
    assert (found.kind, [one.address for one in found.recipients]) == (Kind.BOUNCE, ["user@fabrikam.example"])
    several = classify(message % b"user@fabrikam.example, other@fabrikam.example")
    assert (several.kind, several.recipients) == (Kind.BOUNCE, ())


@pytest.mark.parametrize("word", ["\\u0000ailed", "\x1b[31mfailed", "f" * 500])
def test_an_action_is_one_short_word_whoever_writes_it(word):
    notice = f'{{"notificationType":"Bounce","x":[{{"emailAddress":"u@b.example","action":"{word}"}}]}}'
    report = f"Reporting-MTA: dns; a\r\n\r\nFinal-Recipient: rfc822; u@b.example\r\nAction: {word}\r\n"
    for message in (
        f"From: no-reply@sns.amazonaws.com\r\n\r\n{notice}",
        (
            "From: MAILER-DAEMON@mx.example\r\nContent-Type: multipart/report; boundary=b\r\n\r\n"
            f"--b\r\nContent-Type: message/delivery-status\r\n\r\n{report}\r\n--b--\r\n"
        ),
    ):
        (recipient,) = classify(message.encode()).recipients
        assert recipient.action.isalpha()
        assert len(recipient.action) <= 20
