"""Every fault of the SMTP dialogue: it ends where it should, with the right words, and on its own path only."""

from __future__ import annotations

import base64
import contextlib
import smtplib
import socket
import ssl

import pytest

from checks.lab import Control

PATHS = ["relay", "direct", "submission"]
OTHER = {"relay": "direct", "direct": "submission", "submission": "relay"}

REPLIES = {
    "refuse_greeting": ("greeting", 554, "5.3.2 Service not available"),
    "defer_greeting": ("greeting", 421, "4.3.2 The maximum number of concurrent connections per resource forest"),
    "refuse_ehlo": ("ehlo", 501, "5.5.4 Invalid domain name"),
    "defer_ehlo": ("ehlo", 421, "4.3.2 Service not active"),
    "refuse_starttls": ("starttls", 554, "5.7.3 Unable to initialize security subsystem"),
    "defer_starttls": ("starttls", 454, "4.7.0 TLS not available"),
    "refuse_auth": ("auth", 535, "5.7.3 Authentication unsuccessful ["),
    "defer_auth": ("auth", 454, "4.7.0 Temporary authentication failure"),
    "smtp_auth_disabled": ("auth", 535, "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled"),
    "refuse_mail": ("mail", 550, "5.7.606 Access denied, banned sending IP [127.0.0."),
    "defer_mail": ("mail", 451, "4.3.2 Temporary server error. Please try again later ATTR2"),
    "refuse_rcpt": ("rcpt", 550, "5.4.1 [canary@"),
    "recipient_not_found": ("rcpt", 550, "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient canary@"),
    "defer_rcpt": ("rcpt", 451, "4.7.500 Server busy. Please try again later from [127.0.0."),
    "refuse_data": ("data", 550, "5.7.705 Access denied, tenant has exceeded threshold"),
    "defer_data": ("data", 452, "4.3.1 Insufficient system resources"),
    "refuse_message": ("message", 550, "5.7.509 Access denied, sending domain [CONTOSO.EXAMPLE] does not pass DMARC"),
    "defer_message": ("message", 430, "4.2.0 STOREDRV; mailbox logon failure;"),
}
DROPS = {f"drop_{stage}": stage for stage in ("greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data")}
HANGS = {"hang": "greeting"} | {f"hang_{s}": s for s in ("ehlo", "starttls", "auth", "mail", "rcpt", "data")}


def _on_each_path(faults):
    return [
        pytest.param(path, fault, id=f"{path}-{fault}")
        for fault in faults
        for path in PATHS
        if path == "submission" or "auth" not in fault
    ]


@pytest.mark.parametrize(("path", "fault"), _on_each_path(REPLIES))
def test_a_reply_fault_ends_the_dialogue_at_its_stage(lab, sender, path, fault):
    lab.break_(path, fault)
    outcome = sender(path).send()
    stage, code, text = REPLIES[fault]
    assert (outcome.stage, outcome.code) == (stage, code)
    assert outcome.text.startswith(text)
    assert sender(OTHER[path]).send().accepted
    lab.heal(path, fault)
    assert sender(path).send().accepted


@pytest.mark.parametrize(("path", "fault"), _on_each_path(DROPS))
def test_a_dropped_connection_ends_without_a_word(lab, sender, path, fault):
    lab.break_(path, fault)
    outcome = sender(path).send()
    assert outcome.stage == DROPS[fault]
    assert isinstance(outcome.fault, smtplib.SMTPServerDisconnected)
    assert sender(OTHER[path]).send().accepted


@pytest.mark.parametrize(("path", "fault"), _on_each_path(HANGS))
def test_a_hanging_server_keeps_the_connection_open_and_says_nothing(lab, sender, path, fault):
    lab.break_(path, fault)
    outcome = sender(path, timeout=0.2).send()
    assert outcome.stage == HANGS[fault]
    assert isinstance(outcome.fault, TimeoutError) or "timed out" in str(outcome.fault)


def test_a_hanging_connection_is_closed_when_the_fault_is_healed(lab, sender):
    lab.break_("direct", "hang")
    with socket.create_connection(("127.0.0.1", lab.port("direct")), timeout=10) as client:
        with sender("relay").secured():  # by then the lab has seen the connection above, too
            lab.heal()
        assert client.recv(100) == b""


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("fault", ["drop_after_dot", "hang_after_dot"])
def test_a_message_may_be_taken_without_a_reply(lab, sender, reader, path, fault):
    lab.break_(path, fault)
    outcome = sender(path, timeout=0.5).send()
    assert outcome.stage == "message"
    assert outcome.fault is not None
    assert outcome.code in {0, -1}
    assert reader("outside" if path == "relay" else "inbox").wait(outcome.subject)


@pytest.mark.parametrize("path", PATHS)
def test_a_message_may_be_lost_without_a_reply(lab, sender, reader, path):
    lab.break_(path, "drop_after_dot_lost")
    lost = sender(path).send()
    assert lost.stage == "message"
    assert isinstance(lost.fault, smtplib.SMTPServerDisconnected)
    lab.heal()
    inbox = reader("outside" if path == "relay" else "inbox")
    inbox.wait(sender(path).send().subject)
    assert inbox.uids(lost.subject) == []


@pytest.mark.parametrize("path", PATHS)
def test_a_closed_port_refuses_connections_and_cuts_sessions(lab, sender, path):
    with contextlib.closing(sender(path).secured()) as kept:
        lab.break_(path, "port_closed")
        with pytest.raises((smtplib.SMTPServerDisconnected, OSError)):
            kept.noop()
    assert isinstance(sender(path).send().fault, ConnectionRefusedError)
    assert sender(OTHER[path]).send().accepted
    lab.heal(path)
    assert sender(path).send().accepted


@pytest.mark.parametrize("path", PATHS)
def test_without_tls_neither_the_list_nor_the_command_knows_it(lab, sender, path):
    lab.break_(path, "tls_not_offered")
    with sender(path).connect() as client:
        client.ehlo()
        assert "starttls" not in client.esmtp_features
        assert client.docmd("STARTTLS") == (500, b"5.3.3 Unrecognized command")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("tls_broken", "alert handshake failure"),
        ("tls_expired", "certificate has expired"),
        ("tls_wrong_name", "certificate is not valid for"),
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_a_tls_fault_fails_the_handshake_for_its_reason(lab, sender, path, fault, reason):
    lab.break_(path, fault)
    outcome = sender(path).send()
    assert outcome.stage == "starttls"
    assert isinstance(outcome.fault, ssl.SSLError)
    assert reason in str(outcome.fault)
    assert sender(OTHER[path]).send().accepted


def test_a_lost_connector_refuses_relay_to_the_outside_only(lab, sender):
    """Mail to hosted recipients is then taken as direct send: only an outside recipient proves a connector."""
    lab.break_("relay", "connector_mismatch")
    assert sender("relay").send().text.startswith("5.7.64 TenantAttribution; Relay Access Denied [")
    assert sender("relay", certificate=True).send().text.startswith("5.7.64")
    assert sender("relay", recipient="canary@contoso.example").send().accepted


def test_reject_direct_send_refuses_anonymous_mail_from_the_tenants_domain_only(lab, sender):
    lab.break_("direct", "direct_send_rejected")
    outcome = sender("direct").send()
    assert (outcome.stage, outcome.code) == ("rcpt", 550)
    assert outcome.text.startswith("5.7.68 TenantInboundAttribution; Direct Send not allowed for this organization")
    assert sender("direct", sender="someone@outside.example").send().accepted
    assert sender("direct", certificate=True).send().accepted
    assert sender("relay").send().accepted


def test_retired_basic_auth_refuses_passwords_and_takes_tokens(lab, sender, secret):
    def password(client: smtplib.SMTP) -> tuple[int, bytes]:
        client.user, client.password = "noreply@contoso.example", secret(lab, "password-noreply")
        return client.auth("LOGIN", client.auth_login)

    lab.break_("submission", "basic_auth_retired")
    outcome = sender("submission", login=password).send()
    assert (outcome.stage, outcome.code) == ("auth", 550)
    assert outcome.text.startswith("5.7.30 Basic authentication is not supported for Client Submission.")
    assert sender("submission").send().accepted


def test_an_oauth_challenge_comes_before_the_refusal(lab, sender, token):
    lab.break_("submission", "oauth_challenge")
    with sender("submission", login=None).secured() as client:
        text = f"user=noreply@contoso.example\x01auth=Bearer {token(lab)}\x01\x01"
        code, challenge = client.docmd("AUTH", f"XOAUTH2 {base64.b64encode(text.encode()).decode()}")
        assert code == 334
        assert b'"status": "401"' in base64.b64decode(challenge)
        code, text = client.docmd("")
        assert code == 535
        assert text.startswith(b"5.7.3 Authentication unsuccessful")


def test_every_fault_of_the_catalogue_is_tested_somewhere(request):
    """A fault that is added without a test is found here: its name stands in no file of this folder."""
    written = "".join(file.read_text() for file in request.path.parent.glob("test_lab_*.py"))
    names = {name for name, _, _ in Control(request.path.parent).faults()}
    generated = DROPS.keys() | HANGS.keys()
    assert {name for name in names if f'"{name}' not in written} - generated == set()
