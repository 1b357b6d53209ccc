"""The mailboxes over IMAP, whole and broken, with imaplib and IMAPClient."""

from __future__ import annotations

import base64
import contextlib
import imaplib
import ssl

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError

MAILBOXES = {
    "inbox": "canary@contoso.example",
    "noreply": "noreply@contoso.example",
    "outside": "canary@outside.example",
}


@pytest.fixture
def context(lab):
    return ssl.create_default_context(cafile=str(lab.info.ca_file))


@pytest.fixture
def connect(lab, context):
    with contextlib.ExitStack() as stack:

        def open_(mailbox: str, timeout: float = 10.0) -> IMAPClient:
            client = IMAPClient("localhost", lab.port(mailbox), ssl_context=context, timeout=timeout)
            stack.callback(client.shutdown)
            return client

        yield open_


def test_the_greeting_is_that_of_exchange(connect):
    welcome = connect("inbox").welcome
    prefix = b"* OK The Microsoft Exchange IMAP4 service is ready. ["
    assert welcome.startswith(prefix)
    server = base64.b64decode(welcome.removeprefix(prefix).removesuffix(b"]")).decode("utf-16-le")
    assert server.endswith(".PROD.OUTLOOK.COM")


def test_the_other_provider_does_not_greet_like_exchange(connect):
    assert b"Microsoft" not in connect("outside").welcome


def test_what_is_offered_is_what_works(connect):
    offered = set(connect("inbox").capabilities())
    assert {b"IMAP4REV1", b"AUTH=PLAIN", b"AUTH=XOAUTH2", b"SASL-IR", b"UIDPLUS", b"MOVE", b"IDLE"} <= offered
    assert offered & {b"CONDSTORE", b"SPECIAL-USE", b"NAMESPACE", b"UNSELECT"} == set()


@pytest.mark.parametrize("mailbox", MAILBOXES)
def test_a_mailbox_takes_its_password(connect, lab, secret, mailbox):
    connect(mailbox).login(MAILBOXES[mailbox], secret(lab, f"password-{mailbox}"))
    connect(mailbox).plain_login(MAILBOXES[mailbox], secret(lab, f"password-{mailbox}"))


@pytest.mark.parametrize("mailbox", ["inbox", "noreply"])
def test_a_mailbox_of_the_tenant_takes_a_token_of_the_app(connect, lab, token, mailbox):
    connect(mailbox).oauth2_login(MAILBOXES[mailbox].upper(), token(lab))


def test_wrong_credentials_are_refused_in_exchanges_words(connect, lab, token):
    with pytest.raises(LoginError, match=r"LOGIN failed\."):
        connect("inbox").login(MAILBOXES["inbox"], "wrong")
    with pytest.raises(LoginError, match=r"AUTHENTICATE failed\."):
        connect("inbox").oauth2_login(MAILBOXES["inbox"], "wrong")
    with pytest.raises(LoginError, match=r"AUTHENTICATE failed\."):
        connect("inbox").oauth2_login(MAILBOXES["noreply"], token(lab))


def test_a_token_may_stand_in_the_command_itself(lab, context, token):
    """SASL-IR (RFC 4959), as Exchange's documentation shows it."""
    text = f"user=canary@contoso.example\x01auth=Bearer {token(lab)}\x01\x01"
    with imaplib.IMAP4_SSL("127.0.0.1", lab.port("inbox"), ssl_context=context, timeout=10) as client:
        client.send(b"A1 AUTHENTICATE XOAUTH2 " + base64.b64encode(text.encode()) + b"\r\n")
        assert client.readline() == b"A1 OK AUTHENTICATE completed.\r\n"
        client.state = "AUTH"
        assert client.select("INBOX")[0] == "OK"


def test_the_folders_are_those_of_an_english_mailbox_and_fixed(reader):
    client = reader("inbox").client
    assert {name for _, _, name in client.list_folders()} == {"INBOX", "Junk Email", "Sent Items", "Deleted Items"}
    with pytest.raises(IMAPClientError):
        client.create_folder("More")
    with pytest.raises(IMAPClientError):
        client.delete_folder("Junk Email")


def test_idle_announces_each_arrival(reader, sender):
    client = reader("inbox").client
    client.select_folder("INBOX")
    client.idle()
    for _ in range(3):
        assert sender("direct").send().accepted
        assert b"EXISTS" in [notice[1] for notice in client.idle_check(timeout=10)]
    client.idle_done()


def test_mail_that_arrives_during_select_and_idle_is_announced(reader, sender):
    """What comes between two commands is not lost for IDLE."""
    client = reader("inbox").client
    before = client.select_folder("INBOX")[b"EXISTS"]
    outcome = sender("direct").send()
    reader("inbox").wait(outcome.subject)  # it is there, and this session has not been told
    client.idle()
    assert (before + 1, b"EXISTS") in [notice[:2] for notice in client.idle_check(timeout=10)]
    client.idle_done()


def test_flags_moves_copies_and_expunges_work_by_uid(reader, sender):
    subject = sender("direct").send().subject
    box = reader("inbox")
    box.wait(subject)
    (uid,) = box.uids(subject)
    box.client.add_flags([uid], [b"\\Seen"])
    assert b"\\Seen" in box.client.get_flags([uid])[uid]
    box.client.copy([uid], "Sent Items")
    box.client.move([uid], "Junk Email")
    assert box.uids(subject) == []
    for folder in ("Junk Email", "Sent Items"):
        (moved,) = box.uids(subject, folder)
        box.client.delete_messages([moved])
        box.client.uid_expunge([moved])
        assert box.uids(subject, folder) == []


def test_an_appended_message_is_seen_by_other_sessions(reader):
    box = reader("noreply")
    box.client.append("INBOX", b"Subject: appended-by-a-client\r\n\r\nhello\r\n")
    assert len(reader("noreply").wait("appended-by-a-client")) == 1


@pytest.mark.parametrize("mailbox", MAILBOXES)
def test_a_mailbox_that_is_down_refuses_connections_and_cuts_sessions(lab, connect, reader, mailbox):
    kept = reader(mailbox).client
    lab.break_(mailbox, "imap_down")
    with pytest.raises((IMAPClientError, OSError)):
        kept.noop()
    with pytest.raises(ConnectionRefusedError):
        connect(mailbox)
    others = [other for other in MAILBOXES if other != mailbox]
    assert [reader(other).uids("nothing") for other in others] == [[], []]
    lab.heal(mailbox)
    assert reader(mailbox).uids("nothing") == []


def test_refused_logins_leave_open_sessions_alone(lab, connect, reader, secret, token):
    kept = reader("inbox").client
    lab.break_("inbox", "imap_login_refused")
    with pytest.raises(LoginError):
        connect("inbox").login(MAILBOXES["inbox"], secret(lab, "password-inbox"))
    with pytest.raises(LoginError):
        connect("inbox").oauth2_login(MAILBOXES["inbox"], token(lab))
    assert kept.noop()
    assert reader("outside").uids("nothing") == []


def test_bye_ends_open_sessions_and_new_ones_after_login(lab, connect, reader, secret):
    idling, resting = reader("inbox").client, reader("inbox").client
    idling.select_folder("INBOX")
    idling.idle()
    lab.break_("inbox", "imap_bye")
    assert idling.idle_check(timeout=10)[0][0] == b"BYE"
    with pytest.raises((IMAPClientError, OSError)):
        resting.noop()
    fresh = connect("inbox")
    fresh.login(MAILBOXES["inbox"], secret(lab, "password-inbox"))
    with pytest.raises((IMAPClientError, OSError)):
        fresh.select_folder("INBOX")
    assert reader("outside").client.noop()


def test_a_silent_mailbox_answers_nothing_and_announces_nothing(lab, connect, reader, sender):
    idling = reader("inbox").client
    idling.select_folder("INBOX")
    idling.idle()
    lab.break_("inbox", "imap_silent")
    with pytest.raises(TimeoutError):
        connect("inbox", timeout=0.3)
    outcome = sender("direct").send()
    assert outcome.accepted
    assert idling.idle_check(timeout=0.3) == []
    lab.heal("inbox")
    assert reader("inbox").wait(outcome.subject)


def test_a_session_that_was_kept_waiting_is_cut_when_the_mailbox_speaks_again(lab, reader):
    waiting = reader("inbox").client
    lab.break_("inbox", "imap_silent")
    waiting.socket().sendall(b"X1 NOOP\r\n")
    lab.break_("inbox", "imap_login_refused")  # a round trip through the lab: it has read the line above
    lab.heal("inbox", "imap_silent")
    with pytest.raises((IMAPClientError, OSError)):
        waiting.noop()
