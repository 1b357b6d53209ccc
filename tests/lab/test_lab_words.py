"""What the SMTP endpoints say: greetings, extensions and replies of Exchange Online."""

from __future__ import annotations

import re
import smtplib

import pytest

SUFFIX = re.compile(r"\[[\w.]+\.outlook(?:\.office365)?\.com \d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z [0-9A-F]{16}\]$")
BEFORE_TLS = ["size", "pipelining", "dsn", "enhancedstatuscodes", "starttls", "8bitmime", "binarymime", "chunking"]


@pytest.mark.parametrize("path", ["relay", "direct"])
def test_the_mx_endpoint_greets_like_exchange_online_protection(sender, path):
    client = smtplib.SMTP(timeout=10)
    code, text = client.connect("127.0.0.1", sender(path).lab.port(path))
    client.close()
    assert code == 220
    pattern = rb"\w+\.mail\.protection\.outlook\.com Microsoft ESMTP MAIL Service ready at \w{3}, .* \+0000"
    assert re.fullmatch(pattern, text)


def test_submission_greets_like_office365(sender):
    client = smtplib.SMTP(timeout=10)
    _, text = client.connect("127.0.0.1", sender("submission").lab.port("submission"))
    client.close()
    assert re.match(rb"\w+\.outlook\.office365\.com Microsoft ESMTP MAIL Service ready at ", text)


@pytest.mark.parametrize("path", ["relay", "direct", "submission"])
def test_the_extensions_before_tls_are_those_of_exchange_online(sender, path):
    with sender(path).connect() as client:
        client.ehlo()
        assert list(client.esmtp_features) == [*BEFORE_TLS, "smtputf8"]
        assert client.esmtp_features["size"] == "157286400"


def test_submission_offers_auth_only_after_tls_and_never_plain(sender):
    with sender("submission", login=None).secured() as client:
        assert "starttls" not in client.esmtp_features
        assert client.esmtp_features["auth"].split() == ["LOGIN", "XOAUTH2"]


def test_the_mx_endpoint_never_offers_auth(sender):
    with sender("direct").secured() as client:
        assert "auth" not in client.esmtp_features
        assert client.docmd("AUTH", "LOGIN")[0] == 504


def test_each_step_is_answered_in_the_words_of_exchange(sender):
    with sender("direct").connect() as client:
        client.ehlo()
        assert client.docmd("NOOP") == (250, b"2.0.0 OK")
        assert client.docmd("DATA") == (503, b"5.5.2 Need rcpt command")
        assert client.mail("canary@contoso.example") == (250, b"2.1.0 Sender OK")
        assert client.rcpt("canary@contoso.example") == (250, b"2.1.5 Recipient OK")
        assert client.docmd("DATA") == (354, b"Start mail input; end with <CRLF>.<CRLF>")
        client.send(b"Message-ID: <words@client.example>\r\n\r\nhello\r\n.\r\n")
        code, text = client.getreply()
        assert code == 250
        assert re.match(
            rb"2\.6\.0 <words@client\.example> \[InternalId=\d+, Hostname=[\w.]+\] \d+ bytes in .* Queued", text
        )
        assert client.docmd("RSET") == (250, b"2.0.0 Resetting")
        assert client.docmd("NONSENSE") == (500, b"5.3.3 Unrecognized command")
        assert client.quit() == (221, b"2.0.0 Service closing transmission channel")


def test_submission_names_message_and_mailbox_server_when_it_accepts(sender):
    outcome = sender("submission").send()
    assert outcome.accepted
    assert re.fullmatch(rf"2\.0\.0 OK <{outcome.subject}@client\.example> \[Hostname=[\w.]+\]", outcome.text)


@pytest.mark.parametrize("mechanism", ["PLAIN", "CRAM-MD5", "NTLM"])
def test_a_mechanism_that_exchange_has_not_is_refused(sender, mechanism):
    with sender("submission", login=None).secured() as client:
        assert client.docmd("AUTH", mechanism) == (504, b"5.7.4 Unrecognized authentication type")


def test_auth_before_tls_is_refused(sender):
    with sender("submission").connect() as client:
        client.ehlo()
        assert client.docmd("AUTH", "LOGIN") == (504, b"5.7.4 Unrecognized authentication type")


def test_mail_without_auth_is_refused_at_submission(sender):
    outcome = sender("submission", login=None).send()
    assert (outcome.stage, outcome.code) == ("mail", 530)
    assert outcome.text.startswith("5.7.57 Client not authenticated to send mail.")


def test_a_wrong_password_and_a_wrong_token_are_refused_differently(sender):
    def wrong_password(client: smtplib.SMTP) -> tuple[int, bytes]:
        client.user, client.password = "noreply@contoso.example", "wrong"
        return client.auth("LOGIN", client.auth_login)

    outcome = sender("submission", login=wrong_password).send()
    assert (outcome.stage, outcome.code) == ("auth", 535)
    assert outcome.text.startswith("5.7.139 Authentication unsuccessful, the user credentials were incorrect.")

    def wrong_token(client: smtplib.SMTP) -> tuple[int, bytes]:
        return client.auth("XOAUTH2", lambda *_: "user=noreply@contoso.example\x01auth=Bearer x\x01\x01")

    outcome = sender("submission", login=wrong_token).send()
    assert (outcome.stage, outcome.code) == ("auth", 535)
    assert re.fullmatch(r"5\.7\.3 Authentication unsuccessful \[.*\]", outcome.text)


def test_a_password_logs_in_at_submission(sender, lab, secret):
    def login(client: smtplib.SMTP) -> tuple[int, bytes]:
        client.user, client.password = "noreply@contoso.example", secret(lab, "password-noreply")
        return client.auth("LOGIN", client.auth_login)

    assert sender("submission", login=login).send().accepted


def test_a_token_may_come_in_a_second_line(sender, lab, token):
    def login(client: smtplib.SMTP) -> tuple[int, bytes]:
        text = f"user=noreply@contoso.example\x01auth=Bearer {token(lab)}\x01\x01"
        return client.auth("XOAUTH2", lambda challenge=None: None if challenge is None else text)

    assert sender("submission", login=login).send().accepted


def test_a_long_token_is_read_to_its_end(sender):
    """Tokens of Entra are longer than a command line of RFC 5321, and are judged, not cut."""

    def login(client: smtplib.SMTP) -> tuple[int, bytes]:
        return client.auth("XOAUTH2", lambda *_: f"user=noreply@contoso.example\x01auth=Bearer {'t' * 3000}\x01\x01")

    outcome = sender("submission", login=login).send()
    assert (outcome.stage, outcome.code) == ("auth", 535)


def test_the_account_of_the_other_provider_cannot_submit(sender, lab, token):
    def login(client: smtplib.SMTP) -> tuple[int, bytes]:
        text = f"user=canary@outside.example\x01auth=Bearer {token(lab)}\x01\x01"
        return client.auth("XOAUTH2", lambda *_: text)

    assert sender("submission", login=login).send().code == 535


@pytest.mark.parametrize("path", ["relay", "direct", "submission"])
def test_every_refusal_ends_with_server_time_and_session(sender, lab, path):
    lab.break_(path, "refuse_mail")
    assert SUFFIX.search(sender(path).send().text)


def test_a_message_may_come_in_chunks(sender, reader):
    """BDAT is listed as CHUNKING (RFC 3030), so it has to work, dots and all."""
    with sender("direct").secured() as client:
        client.mail("canary@contoso.example", ["BODY=BINARYMIME", "RET=HDRS", "ENVID=x"])
        client.rcpt("canary@contoso.example", ["NOTIFY=NEVER"])
        client.send(b"BDAT 25\r\nSubject: chunks-of-mail\r\n")
        assert client.getreply()[0] == 250
        client.send(b"BDAT 9 LAST\r\n\r\n.\r\nend\n")
        assert client.getreply()[0] == 250
    (message,) = reader("inbox").wait("chunks-of-mail")
    assert message.endswith(b"Subject: chunks-of-mail\r\n\r\n.\r\nend\n")


def test_a_message_beyond_the_limit_is_refused_by_its_announced_size(sender):
    with sender("direct").secured() as client:
        code, text = client.mail("canary@contoso.example", ["SIZE=40000000"])
        assert (code, text) == (552, b"5.3.4 Message size exceeds fixed maximum message size")
