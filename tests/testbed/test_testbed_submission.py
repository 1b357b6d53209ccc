"""Submission: STARTTLS or implicit TLS, and AUTH by password or token."""

import asyncio
import base64
import contextlib
import json
import smtplib

import aiosmtplib
import pytest

pytestmark = pytest.mark.servers


@contextlib.contextmanager
def starttls(testbed):
    with smtplib.SMTP(testbed.host, testbed.ports.submission) as session:
        session.starttls(context=testbed.client_context())
        session.ehlo()
        yield session


def xoauth2(address, token):
    return base64.b64encode(f"user={address}\x01auth=Bearer {token}\x01\x01".encode()).decode()


def oauthbearer(address, token):
    return base64.b64encode(f"n,a={address},\x01auth=Bearer {token}\x01\x01".encode()).decode()


def test_without_tls_nothing_is_taken(testbed):
    with smtplib.SMTP(testbed.host, testbed.ports.submission) as session:
        session.ehlo()
        assert not session.has_extn("auth")
        code, text = session.mail("printer@corp.test")
    assert (code, text.startswith(b"5.7.0 Must issue a STARTTLS")) == (530, True)


def test_without_authentication_no_recipient_is_taken(testbed, address):
    with starttls(testbed) as session:
        session.mail("printer@corp.test")
        code, text = session.rcpt(address)
    assert (code, text.startswith(b"5.7.1 ")) == (554, True)


def test_the_mechanisms_are_offered_after_starttls(testbed):
    with starttls(testbed) as session:
        assert set(session.esmtp_features["auth"].split()) == {"PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"}


@pytest.mark.parametrize("mechanism", ["plain", "login"])
def test_a_password_sends_inside_and_outside(testbed, message, address, mechanism):
    outside = address.replace("corp.test", "remote.test")
    with starttls(testbed) as session:
        session.user, session.password = address, testbed.password
        session.auth(mechanism, getattr(session, f"auth_{mechanism}"))
        session.send_message(message(address, address))
        session.send_message(message(address, outside))
    assert testbed.wait_for_arrivals(address)
    assert testbed.wait_for_arrivals(outside)


@pytest.mark.parametrize("mechanism", ["plain", "login"])
def test_a_wrong_password_is_refused(testbed, address, mechanism):
    with starttls(testbed) as session:
        session.user, session.password = address, "wrong"
        with pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
            session.auth(mechanism, getattr(session, f"auth_{mechanism}"))
    assert refusal.value.smtp_code == 535
    assert refusal.value.smtp_error.startswith(b"5.7.8 ")


def test_implicit_tls_sends_too(testbed, message, address):
    with smtplib.SMTP_SSL(testbed.host, testbed.ports.smtps, context=testbed.client_context()) as session:
        session.login(address, testbed.password)
        session.send_message(message(address, address))
    assert testbed.wait_for_arrivals(address)


@pytest.mark.parametrize(("mechanism", "response"), [("XOAUTH2", xoauth2), ("OAUTHBEARER", oauthbearer)])
def test_a_token_authenticates(testbed, message, address, mechanism, response):
    token = testbed.issue_token(address)
    with starttls(testbed) as session:
        code, text = session.docmd("AUTH", f"{mechanism} {response(address, token)}")
        assert (code, text) == (235, b"2.7.0 Authentication successful")
        session.send_message(message(address, address))
    assert testbed.wait_for_arrivals(address)


def test_aiosmtplib_authenticates_by_token(testbed, message, address):
    sent = message(address, address)

    async def send():
        client = aiosmtplib.SMTP(
            hostname=testbed.host, port=testbed.ports.submission, tls_context=testbed.client_context(), start_tls=True
        )
        async with client:
            await client.auth_xoauth2(address, testbed.issue_token(address))
            await client.send_message(sent)

    asyncio.run(send())
    assert testbed.wait_for_arrivals(address)


@pytest.mark.parametrize("fault", ["made up", "expired", "revoked", "somebody else's"])
def test_a_bad_token_is_challenged_and_then_refused(testbed, address, fault):
    """Dovecot first explains itself in a challenge; the refusal comes after the client's empty line."""
    token = testbed.issue_token("other@corp.test" if fault == "somebody else's" else address)
    if fault == "made up":
        token = "made-up"
    elif fault == "expired":
        testbed.expire_token(token)
    elif fault == "revoked":
        testbed.revoke_token(token)
    with starttls(testbed) as session:
        code, challenge = session.docmd("AUTH", f"XOAUTH2 {xoauth2(address, token)}")
        assert code == 334
        assert json.loads(base64.b64decode(challenge))["status"].startswith("40")
        code, text = session.docmd("")
    assert (code, text.startswith(b"5.7.8 ")) == (535, True)
