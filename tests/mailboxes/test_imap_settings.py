"""The settings of an IMAP mailbox, and what needs no server."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.clock import SystemClock
from checks.core.model import MessageRef
from checks.errors import LocalFault, MailboxUnreadable
from checks.mailboxes.imap import Imap
from checks.ports import Login, Look, Tools
from checks.wire.credentials import Password
from checks.wire.imap.doorbell import Doorbell
from checks.wire.imap.fetch import as_set
from checks.wire.imap.reading import headers, look
from checks.wire.imap.session import Opening, Server, Session

MINIMAL = {"host": "imap.example", "credential": "app", "address": "canary@contoso.example"}


def reader(**changes):
    model = Imap.Settings.model_validate({**MINIMAL, **changes})
    return Imap("inbox", model, Tools(clock=SystemClock(), credentials={"app": Password("u", lambda: "p")}))


def test_by_default_exchange_is_read_inside_tls():
    made = Imap.Settings.model_validate(MINIMAL)
    assert (made.tls, made.port, made.folders, made.timeout) == ("implicit", 993, ("INBOX", "Junk Email"), 30.0)


@pytest.mark.parametrize(("tls", "port"), [("implicit", 993), ("starttls", 143), ("none", 143)])
def test_the_port_follows_from_tls(tls, port):
    assert reader(tls=tls, host="127.0.0.1").endpoint().port == port


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tls": "none"}, "plain text"),
        ({"folders": []}, "at least 1"),
        ({"folders": ["INBOX", "inbox"]}, "listed twice"),
        ({"folders": ["IN\r\nBOX"]}, "line break"),
        ({"junk": "Elsewhere"}, "not one of the folders"),
        ({"sent": "Elsewhere"}, "not one of the folders"),
        ({"timeout": "0s"}, "longer than zero"),
        ({"port": 0}, "greater than or equal to 1"),
        ({"password": "x"}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(change, words):
    with pytest.raises(ValidationError, match=words):
        Imap.Settings.model_validate({**MINIMAL, **change})


def test_a_credential_that_is_not_there_is_named():
    with pytest.raises(LocalFault, match="nobody"):
        reader(credential="nobody")


def test_what_a_folder_is_for_is_told_by_its_name():
    assert reader().is_junk("Junk-E-Mail")
    assert not reader().is_junk("INBOX")
    assert reader().is_sent("Sent Items")
    assert not reader().is_sent("INBOX")


def test_junk_can_be_named():
    named = reader(folders=["INBOX", "Indésirables"], junk="indésirables")
    assert named.is_junk("Indésirables")
    assert not named.is_junk("Junk Email")


def test_the_folder_with_copies_of_sent_mail_can_be_named():
    named = reader(folders=["INBOX", "Gesendete Elemente"], sent="gesendete elemente")
    assert named.is_sent("Gesendete Elemente")
    assert not named.is_sent("Sent Items")


async def _close_unused():
    made = reader()
    made.wake()
    await made.close()


def test_a_reader_that_was_never_used_has_no_thread_and_closes():
    before = threading.active_count()
    asyncio.run(_close_unused())
    assert threading.active_count() == before


@given(st.sets(st.integers(1, 2**32 - 1), max_size=60))
def test_a_sequence_set_names_exactly_its_uids(uids):
    named = set()
    for part in filter(None, as_set(sorted(uids)).split(",")):
        first, _, last = part.partition(":")
        named |= set(range(int(first), int(last or first) + 1))
    assert named == uids


def _serve(peer, hostile):
    """Play a well-behaved server up to the first FETCH, and answer that with *hostile*."""
    with peer, peer.makefile("rb") as lines:
        peer.sendall(b"* OK ready\r\n")
        for line in lines:
            tag, command = line.split()[:2]
            said = {
                b"CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\n",
                b"SELECT": b"* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 6] ok\r\n",
            }.get(command, b"")
            if command == b"UID":
                said = hostile
            try:
                peer.sendall(said + tag + b" OK done\r\n")
            except OSError:
                return


_WORDS = (
    *(
        b"* 1 FETCH (UID 5 ",
        b"BODY[HEADER]",
        b"<0> ",
        b"{3}\r\n",
        b"abc",
        b")",
        b"(",
        b'"',
        b"\r\n",
        b"* ",
        b"+ ",
        b"NIL ",
    ),
    *(
        b"FLAGS ",
        b"INTERNALDATE ",
        b"9" * 30,
        b" OK ",
        b"BYE ",
        b"NO ",
        b"[UIDVALIDITY 8] ",
        b"UID ",
        b"\\",
        b"]",
        b" ",
    ),
)
_PIECE = st.one_of(st.binary(max_size=40), st.sampled_from(_WORDS))


@settings(max_examples=150, deadline=None)
@given(st.lists(_PIECE, max_size=14).map(b"".join))
def test_whatever_a_server_answers_it_is_a_look_or_an_unreadable_mailbox(hostile):
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=_serve, args=(theirs, hostile))
    thread.start()
    ours.setblocking(False)
    server = Server(host="server", port=143, tls="none", timeout=0.1)
    doorbell = Doorbell()
    login = Login("user", "password", bearer=False)
    try:
        session = Session(server, Opening(sock=ours, context=None, login=login), doorbell, SystemClock().steady)
        try:
            assert isinstance(look("INBOX", "7:4", SystemClock().now(), session), Look)
            headers("INBOX", [MessageRef(folder="INBOX", validity="7", uid="5")], session)
        except MailboxUnreadable as error:
            assert error.reason in {"protocol", "closed", "timeout"}  # noqa: PT017 - either outcome is right
        finally:
            session.close()
    finally:
        thread.join()
        doorbell.close()
