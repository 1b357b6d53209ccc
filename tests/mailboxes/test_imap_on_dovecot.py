"""The reader against Dovecot, with mail that Postfix delivers."""

from __future__ import annotations

import asyncio
import imaplib
import os
import shutil
import signal
import smtplib
import ssl
import subprocess
import time
import uuid
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from checks.errors import MailboxUnreadable

pytestmark = [pytest.mark.anyio, pytest.mark.servers]


@pytest.fixture
def address():
    return f"reader-{uuid.uuid4().hex[:12]}@corp.test"


@pytest.fixture
def send(testbed, address):
    """Hand one message to the MX; return its subject."""

    def hand_over(recipient=None):
        message = EmailMessage()
        message["From"], message["To"] = "sender@corp.test", recipient or address
        message["Subject"] = message["X-Relaycanary"] = uuid.uuid4().hex
        message.set_content("A canary.\n")
        with smtplib.SMTP(testbed.host, testbed.ports.mx) as session:
            session.send_message(message)
        return message["Subject"]

    return hand_over


@pytest.fixture
def dovecot_reader(testbed, reader_for, address):
    def build(**changes):
        settings = {
            "tls": "implicit",
            "ca_file": testbed.certificates.ca,
            "secret": testbed.password,
            "address": address,
        }
        port = testbed.ports.imap if changes.get("tls") == "starttls" else testbed.ports.imaps
        return reader_for(port, **{**settings, **changes})

    return build


def subjects(look):
    return [
        line[9:].decode() for m in look.messages for line in m.headers.splitlines() if line.startswith(b"Subject: ")
    ]


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize("bearer", [False, True])
async def test_every_way_to_log_in_reads_the_mailbox(testbed, dovecot_reader, send, address, tls, bearer):
    sent = await asyncio.to_thread(send)
    await asyncio.to_thread(testbed.wait_for_arrivals, address)
    secret = testbed.issue_token(address) if bearer else testbed.password
    reader = dovecot_reader(tls=tls, bearer=bearer, secret=secret)
    assert subjects(await reader.look("INBOX", None, since=datetime.now(UTC))) == [sent]


async def test_a_revoked_token_is_a_login_failure(testbed, dovecot_reader, address):
    token = testbed.issue_token(address)
    testbed.revoke_token(token)
    with pytest.raises(MailboxUnreadable) as caught:
        await dovecot_reader(bearer=True, secret=token).look("INBOX", None, since=datetime.now(UTC))
    assert caught.value.reason == "login"
    assert token not in str(caught.value)


async def test_idle_tells_of_a_delivery(dovecot_reader, send):
    reader = dovecot_reader()
    cursor = (await reader.look("INBOX", None, since=datetime.now(UTC))).cursor
    waiting = asyncio.create_task(reader.wait(30))
    sent = await asyncio.to_thread(send)
    assert await waiting
    look = await reader.look("INBOX", cursor, since=datetime.now(UTC))
    assert subjects(look) == [sent]


async def test_a_message_in_junk_is_found_there(testbed, dovecot_reader, send):
    junked = f"junk-{uuid.uuid4().hex[:12]}@corp.test"
    sent = await asyncio.to_thread(send, junked)
    await asyncio.to_thread(testbed.wait_for_arrivals, junked, "Junk")
    reader = dovecot_reader(address=junked, folders=["INBOX", "Junk"])
    looks = {folder: await reader.look(folder, None, since=datetime.now(UTC)) for folder in reader.folders}
    assert {folder: subjects(look) for folder, look in looks.items()} == {"INBOX": [], "Junk": [sent]}
    assert [reader.is_junk(folder) for folder in looks] == [False, True]
    refs = [message.ref for message in looks["Junk"].messages]
    assert await reader.delete(refs) == refs
    assert testbed.arrivals(junked, "Junk") == []


async def test_evidence_and_cleanup_touch_nothing_else(testbed, dovecot_reader, send, address):
    sent = [await asyncio.to_thread(send) for _ in range(3)]
    await asyncio.to_thread(testbed.wait_for_arrivals, address, count=3)
    reader = dovecot_reader()
    look = await reader.look("INBOX", None, since=datetime.now(UTC))
    first, second, third = [message.ref for message in look.messages]
    assert b"Received: " in (await reader.headers([first]))[first]
    assert b"A canary." in await reader.content(second, 100_000)
    assert await reader.delete([second]) == [second]
    assert await reader.delete([second]) == [second]
    again = await reader.look("INBOX", None, since=datetime.now(UTC))
    assert subjects(again) == [subject for subject in subjects(look) if subject != subjects(look)[1]]
    assert sorted(subjects(look)) == sorted(sent)
    assert {message.ref for message in again.messages} == {first, third}
    names = [path.name for path in testbed.maildir(address).glob("*/*:2,*")]
    assert not any("S" in name.partition(":2,")[2] for name in names)


async def test_messages_that_arrive_during_looks_are_each_shown_once(dovecot_reader, send):
    reader = dovecot_reader()

    def deliver():
        return [send() for _ in range(25)]

    delivering = asyncio.create_task(asyncio.to_thread(deliver))
    seen, cursor = [], None
    async with asyncio.timeout(25):
        while len(seen) < 25:
            look = await reader.look("INBOX", cursor, since=datetime.now(UTC))
            seen, cursor = seen + subjects(look), look.cursor
            if len(seen) % 3 == 2:
                await reader.wait(0.02)
    assert sorted(seen) == sorted(await delivering)
    assert (await reader.look("INBOX", cursor, since=datetime.now(UTC))).messages == []


async def test_mail_that_arrives_after_the_server_was_set_back_is_shown_though_its_uids_have_passed_the_cursor(
    testbed, dovecot_reader, send, address, tmp_path
):
    def deliver(present):
        sent = [send() for _ in range(2)]
        testbed.wait_for_arrivals(address, count=present)
        return sent

    def append_an_hour_ago(count):
        """INTERNALDATE has whole seconds, and this test sets a server back within one."""
        context = ssl.create_default_context(cafile=testbed.certificates.ca)
        with imaplib.IMAP4_SSL(testbed.host, testbed.ports.imaps, ssl_context=context) as client:
            client.login(address, testbed.password)
            for _ in range(count):
                client.append("INBOX", "", imaplib.Time2Internaldate(time.time() - 3600), b"Subject: x\r\n\r\n")

    def copy(old, new):
        subprocess.run(["cp", "-a", old, new], check=True)

    def set_back():
        """Put the backup in the place of the mailbox, UIDVALIDITY, UIDNEXT and all."""
        shutil.rmtree(maildir)
        copy(tmp_path / "backup", maildir)

    maildir = testbed.maildir(address)
    saved = await asyncio.to_thread(deliver, 2)
    reader = dovecot_reader()
    assert sorted(subjects(await reader.look("INBOX", None, since=datetime.now(UTC)))) == sorted(saved)
    copy(maildir, tmp_path / "backup")
    await asyncio.to_thread(append_an_hour_ago, 2)
    look = await reader.look("INBOX", None, since=datetime.now(UTC))
    assert [message.ref.uid for message in look.messages] == ["1", "2", "3", "4"]
    await reader.close()
    await asyncio.to_thread(set_back)
    anew = await asyncio.to_thread(deliver, 4)
    anew += await asyncio.to_thread(deliver, 6)
    again = await dovecot_reader().look("INBOX", look.cursor, since=datetime.now(UTC))
    assert [message.ref.uid for message in again.messages] == ["1", "2", "3", "4", "5", "6"]
    assert sorted(subjects(again)) == sorted(saved + anew)
    assert again.messages[0].ref.validity == look.messages[0].ref.validity


async def test_a_missing_folder_is_named_with_those_that_exist(dovecot_reader):
    reader = dovecot_reader(folders=["INBOX", "Junk Email"])
    with pytest.raises(MailboxUnreadable, match=r"Junk Email.*folders there: INBOX, Junk") as caught:
        await reader.look("Junk Email", None, since=datetime.now(UTC))
    assert caught.value.reason == "folder"


async def test_a_stopped_server_is_a_timeout_and_does_not_keep_the_reader_from_closing(testbed, dovecot_reader):
    """The kernel still takes our bytes, as it does for a machine that hangs."""
    reader = dovecot_reader(timeout="300ms")
    cursor = (await reader.look("INBOX", None, since=datetime.now(UTC))).cursor
    stopped = testbed.dovecot.processes()
    try:
        for process in stopped:
            os.kill(process, signal.SIGSTOP)
        with pytest.raises(MailboxUnreadable) as caught:
            await reader.look("INBOX", cursor, since=datetime.now(UTC))
        assert caught.value.reason == "timeout"
        await reader.close()
    finally:
        for process in stopped:
            os.kill(process, signal.SIGCONT)


async def test_the_junk_folder_is_known_by_its_mark_whatever_it_is_called(dovecot_reader):
    reader = dovecot_reader(folders=["INBOX", "Junk"], junk="INBOX")
    assert not reader.is_junk("Junk")
    await reader.look("Junk", None, since=datetime(2020, 1, 1, tzinfo=UTC))
    assert reader.is_junk("Junk")
