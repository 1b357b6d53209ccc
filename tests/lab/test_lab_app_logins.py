"""An app's access token at SMTP and IMAP: roles, permissions on the mailbox, and what shows when."""

from __future__ import annotations

import ssl

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError
from lab.microsoft import GRAPH, ask


@pytest.fixture
def log_in(lab):
    """Log in to the inbox over IMAP with a token."""
    clients = []

    def to(token: str) -> IMAPClient:
        trust = ssl.create_default_context(cafile=str(lab.info.ca_file))
        client = IMAPClient("127.0.0.1", lab.port("inbox"), ssl_context=trust, timeout=10)
        clients.append(client)
        client.oauth2_login("canary@contoso.example", token)
        return client

    yield to
    for client in clients:
        client.shutdown()


def test_a_token_for_graph_opens_neither_smtp_nor_imap(lab, sender, token, log_in):
    wrong = token(lab, GRAPH)
    login = sender("submission", login=lambda client: client.auth("XOAUTH2", lambda *_: xoauth2(wrong))).send()
    assert (login.stage, login.code) == ("auth", 535)
    with pytest.raises(LoginError, match=r"AUTHENTICATE failed\."):
        log_in(wrong)


def xoauth2(token: str) -> str:
    return f"user=noreply@contoso.example\x01auth=Bearer {token}\x01\x01"


def test_without_its_role_smtp_refuses_the_token(lab, sender, log_in, token):
    lab.break_("submission", "role_missing")
    outcome = sender("submission").send()
    assert (outcome.stage, outcome.code) == ("auth", 535)
    assert outcome.text.startswith("5.7.3 Authentication unsuccessful")
    assert log_in(token(lab)).noop()


def test_without_its_role_imap_refuses_the_token(lab, sender, log_in, token):
    lab.break_("inbox", "role_missing")
    with pytest.raises(LoginError, match=r"AUTHENTICATE failed\."):
        log_in(token(lab))
    assert sender("submission").send().accepted


def test_a_missing_permission_on_the_mailbox_shows_after_the_message(lab, sender):
    """As at Exchange Online: AUTH, MAIL, RCPT and DATA go well, and what refuses is a 4xx that never clears."""
    lab.break_("submission", "mailbox_not_permitted")
    outcome = sender("submission").send()
    assert (outcome.stage, outcome.code) == ("message", 430)
    assert outcome.text.startswith("4.2.0 STOREDRV; mailbox logon failure; ")
    assert "MapiExceptionLogonFailed" in outcome.text
    assert sender("submission").send().code == 430
    lab.heal("submission")
    assert sender("submission").send().accepted


def test_a_password_needs_no_permission_of_the_app(lab, sender, secret):
    def login(client):
        client.user, client.password = "noreply@contoso.example", secret(lab, "password-noreply")
        return client.auth("LOGIN", client.auth_login)

    lab.break_("submission", "mailbox_not_permitted")
    assert sender("submission", login=login).send().accepted


def test_a_missing_permission_on_the_mailbox_shows_after_the_login(lab, log_in, token):
    lab.break_("inbox", "mailbox_not_permitted")
    client = log_in(token(lab))
    with pytest.raises(IMAPClientError, match="User is authenticated but not connected"):
        client.select_folder("INBOX")
    assert client.noop()
    lab.heal("inbox")
    assert client.select_folder("INBOX")[b"UIDVALIDITY"]


def test_tokens_of_an_app_whose_secret_has_expired_are_refused(lab, token, log_in):
    old = token(lab)
    lab.break_("entra", "secret_expired")
    assert "access_token" not in ask(lab)
    with pytest.raises(LoginError):
        log_in(old)
    lab.heal("entra")
    assert log_in(old).noop()


def test_submission_leaves_a_copy_in_sent_items(sender, reader):
    outcome = sender("submission").send()
    (copy,) = reader("noreply").wait(outcome.subject, "Sent Items")
    assert not copy.startswith(b"Received:")
