"""Notices that only prose or HTML is left of."""

import pytest

from checks.core.bounce import Kind, classify

RETURNED = (
    "Received: from a by b; 1 Jan 2025 00:00:00 +0000\nX-Relaycanary: v1.token\n"
    "From: canary@contoso.example\nTo: user@fabrikam.example\nSubject: canary\n\nbody\n"
)


def notice(
    text,
    *,
    sender="Mail Delivery System <MAILER-DAEMON@mx.example>",
    subject="Undelivered Mail",
    content_type="text/plain",
    header="",
):
    """A notice without a report part."""
    fields = f"Return-Path: <>\nFrom: {sender}\nTo: canary@contoso.example\nSubject: {subject}\n"
    return f"{fields}Content-Type: {content_type}\n{header}\n{text}".encode()


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        ("<user@fabrikam.example>: host mx said: 550 5.1.1 unknown\n    (in reply to RCPT TO)\n", "5.1.1", 550),
        (
            "Hi. This is the qmail-send program.\n\n<user@fabrikam.example>:\nRemote host said: 553 sorry (#5.7.1)\n",
            "5.7.1",
            553,
        ),
        (
            "The following address failed:\n\n  user@fabrikam.example\n    SMTP error: 550-5.7.25 no PTR\n",
            "5.7.25",
            550,
        ),
        (
            (
                "----- The following addresses had permanent fatal errors -----\n<user@fabrikam.example>\n"
                "    (reason: 552 5.2.2 full)\n"
            ),
            "5.2.2",
            552,
        ),
        (
            "Your message to user@fabrikam.example could not be delivered: [554 5.4.6 Hop count exceeded]\n",
            "5.4.6",
            554,
        ),
        (
            (
                "There was an error delivering your mail to <user@fabrikam.example>.\n\n"
                "mx did not like our final DATA:\n550 5.7.509 denied\n"
            ),
            "5.7.509",
            550,
        ),
        ('"user@fabrikam.example":\nSMTP error from remote server:\n5.2.1 disabled\n', "5.2.1", None),
        ("554 <user@fabrikam.example>... Service unavailable\n", None, 554),
    ],
)
def test_the_recipient_and_the_codes_are_read_from_the_words(text, status, code):
    found = classify(notice(f"{text}\n--- Below this line is a copy of the message.\n\n{RETURNED}"))
    assert found.kind is Kind.BOUNCE
    assert [(one.address, one.action, one.status, one.code) for one in found.recipients] == [
        ("user@fabrikam.example", "failed", status, code)
    ]
    assert found.returned().first("X-Relaycanary") == "v1.token"


EXCHANGE_TEXT = (
    """Delivery has failed to these recipients or groups:

user@fabrikam.example<mailto:user@fabrikam.example>
The email address you entered couldn't be found.

Diagnostic information for administrators:

Generating server: DB9P1.eurp1.prod.outlook.com

user@fabrikam.example
Remote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup'

Original message headers:

"""
    + RETURNED
)


def test_exchanges_notice_is_read_without_its_report_part():
    found = classify(notice(EXCHANGE_TEXT, sender="postmaster@contoso.example", subject="Undeliverable: canary"))
    assert [(one.address, one.status, one.code) for one in found.recipients] == [
        ("user@fabrikam.example", "5.1.10", 550)
    ]
    assert found.returned().first("x-relaycanary") == "v1.token"


def test_exchanges_notice_is_read_from_html_alone():
    html = "<html><head><style>p{color:red}</style><title>x</title></head><body>" + "".join(
        f"<p>{line.replace('<', '&lt;').replace('>', '&gt;')}</p>" if line else "<br>"
        for line in EXCHANGE_TEXT.splitlines()
    )
    sender = "Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@contoso.example>"
    found = classify(
        notice(
            html, sender=sender, subject="=?utf-8?q?Onbestelbaar=3A_canary?=", content_type="text/html; charset=utf-8"
        )
    )
    assert found.kind is Kind.BOUNCE
    assert [(one.address, one.status, one.code) for one in found.recipients] == [
        ("user@fabrikam.example", "5.1.10", 550)
    ]
    assert found.subject == "Onbestelbaar: canary"


def test_each_recipient_has_the_codes_that_stand_with_it():
    text = "one@fabrikam.example: 550 5.1.1 unknown\ntwo@fabrikam.example: 552 5.2.2 full\n"
    found = classify(notice(text))
    assert [(one.address, one.status, one.code) for one in found.recipients] == [
        ("one@fabrikam.example", "5.1.1", 550),
        ("two@fabrikam.example", "5.2.2", 552),
    ]


def test_codes_in_the_returned_message_are_not_the_notices():
    found = classify(
        notice(
            f"<user@fabrikam.example>: gone\n\n------ This is a copy of the message. ------\n\n{RETURNED}550 5.7.1 x\n"
        )
    )
    assert (found.recipients[0].status, found.recipients[0].code) == (None, None)


def test_a_header_names_the_failed_recipient():
    found = classify(
        notice(
            "It failed: 550 5.2.1 off.\nhelp@mx.example can help.\n",
            header="X-Failed-Recipients: user@fabrikam.example\n",
        )
    )
    assert [(one.address, one.status) for one in found.recipients] == [("user@fabrikam.example", "5.2.1")]


def test_an_expanded_address_is_told_with_the_one_that_was_written_to():
    text = (
        "The following address failed:\n\n  box@store.example\n    (generated from user@fabrikam.example)\n"
        "    550 5.1.1 unknown\n"
    )
    recipient = classify(notice(text)).recipients[0]
    assert (recipient.address, recipient.original_address) == ("box@store.example", "user@fabrikam.example")


def test_a_sender_who_writes_to_himself_can_be_the_failed_recipient():
    returned = RETURNED.replace("user@fabrikam.example", "canary@contoso.example")
    found = classify(notice(f"<canary@contoso.example>: 552 5.2.2 full\n\n{returned}"))
    assert [one.address for one in found.recipients] == ["canary@contoso.example"]


@pytest.mark.parametrize(
    "text",
    [
        (
            "Message to user@fabrikam.example has been delayed.\n"
            "No action is required on your part; the server will keep trying.\n"
        ),
        (
            "THIS IS A WARNING MESSAGE ONLY. Your message has not been delivered yet to:\n"
            "<user@fabrikam.example>: 421 4.4.2 busy\nDelivery attempts will continue to be made.\n"
        ),
    ],
)
def test_a_delay_in_words_is_not_final(text):
    found = classify(notice(text, subject="Warning: message delayed 24 hours"))
    assert (found.kind, found.final) == (Kind.DELAYED, False)


def test_a_notice_that_has_given_up_is_a_bounce_though_it_had_been_delayed():
    text = "<user@fabrikam.example>: delayed for 2 days, 421 4.4.2 busy. The server has given up.\n"
    assert classify(notice(text)).kind is Kind.BOUNCE


def test_amazons_notice_is_json():
    body = (
        '{"notificationType":"Bounce",'
        '"bounce":{"bouncedRecipients":[{"emailAddress":"user@fabrikam.example","action":"failed",'
        '"status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 user unknown"}],"reportingMTA":"dsn; a1.smtp-out.example"},'
        '"mail":{"headers":[{"name":"X-Relaycanary","value":"v1.token"}!\n ,{"name":"Subject","value":"canary"}]}}'
    )
    for text in (body, '{"Message" : "' + body.replace('"', '\\"') + '"}'):
        found = classify(notice(text, sender="no-reply@sns.amazonaws.com", subject="AWS Notification Message"))
        assert (found.kind, found.reporting_mta) == (Kind.BOUNCE, "a1.smtp-out.example")
        assert [(one.address, one.status, one.code) for one in found.recipients] == [
            ("user@fabrikam.example", "5.1.1", 550)
        ]
        assert found.returned().first("X-Relaycanary") == "v1.token"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("554 <user@fabrikam.example>... 550 Host unknown (Authoritative answer from name server)", 550),
        ("554 <user@fabrikam.example>... Remote protocol error", 554),
    ],
)
def test_the_answer_that_a_server_passes_on_counts_more_than_its_own_code(line, code):
    found = classify(notice(f"   ----- Transcript of session follows -----\n{line}\n\n{RETURNED}"))
    assert [(one.address, one.code) for one in found.recipients] == [("user@fabrikam.example", code)]


def test_a_report_pasted_into_the_text_is_completed_from_the_words_before_it():
    text = (
        "<user@fabrikam.example>\n\n   ----- Transcript of session follows -----\n"
        "554 <user@fabrikam.example>... Service unavailable\n\nReporting-MTA: dns; mx.example\n\n"
        "Final-Recipient: RFC822; user@fabrikam.example\nAction: failed\nStatus: 5.5.0\n"
    )
    found = classify(notice(text))
    assert [(one.status, one.code) for one in found.recipients] == [("5.5.0", 554)]


def test_a_mail_systems_words_that_name_nobody_are_only_suspected_to_be_a_bounce():
    found = classify(notice(f"Your message was rejected, since it could not be saved.\n\n{RETURNED}"))
    assert (found.kind, found.suspected, found.recipients) == (Kind.OTHER, Kind.BOUNCE, ())
    assert found.returned().first("X-Relaycanary") == "v1.token"


def test_a_person_who_forwards_a_bounce_is_not_suspected():
    found = classify(notice(f"It was rejected.\n\n{RETURNED}", sender="user@fabrikam.example", subject="Fwd: failure"))
    assert (found.kind, found.suspected) == (Kind.OTHER, None)
