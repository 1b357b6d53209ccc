"""The reader against pymap, an IMAP server written by others."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from checks.core.model import MessageRef
from checks.errors import MailboxUnreadable
from checks.wire.imap.reading import PAGE

pytestmark = pytest.mark.anyio


async def everything(reader, folder, cursor, since):
    """Look until a look is complete."""
    messages = []
    while True:
        look = await reader.look(folder, cursor, since=since)
        messages += look.messages
        cursor = look.cursor
        if look.complete:
            return messages, cursor


async def deliver_until(pymap, waiting):
    """Deliver until the wait ends; more than once, as pymap overlooks what comes just before it begins to idle."""
    uids = []
    while not waiting.done():
        uids.append(str(await pymap.deliver()))
        await asyncio.wait({waiting}, timeout=0.05)
    return uids


async def test_a_first_look_shows_what_is_there_and_the_next_only_what_is_new(pymap_for, reader_for, kit):
    pymap = await pymap_for()
    reader = reader_for(pymap.port)
    old = await pymap.deliver(b"X-Relaycanary: one\r\n")
    first = await reader.look("INBOX", None, since=kit.LONG_AGO)
    new = await pymap.deliver(b"X-Relaycanary: two\r\n")
    second = await reader.look("INBOX", first.cursor, since=kit.LONG_AGO)
    third = await reader.look("INBOX", second.cursor, since=kit.LONG_AGO)
    assert [[message.ref.uid for message in look.messages] for look in (first, second, third)] == [
        [str(old)],
        [str(new)],
        [],
    ]
    assert b"X-Relaycanary: two" in second.messages[0].headers
    assert second.messages[0].stored.utcoffset() == timedelta(0)
    assert third.cursor == second.cursor
    assert all(look.complete for look in (first, second, third))


async def test_a_look_is_idempotent(pymap_for, reader_for, kit):
    pymap = await pymap_for()
    reader = reader_for(pymap.port)
    start = (await reader.look("INBOX", None, since=kit.LONG_AGO)).cursor
    await pymap.deliver()
    assert await reader.look("INBOX", start, since=kit.LONG_AGO) == await reader.look(
        "INBOX", start, since=kit.LONG_AGO
    )


async def test_a_first_look_begins_at_since_with_a_day_to_spare(pymap_for, reader_for):
    pymap = await pymap_for()
    reader = reader_for(pymap.port)
    now = datetime.now(UTC)
    await pymap.deliver(stored=now - timedelta(days=9))
    wanted = await pymap.deliver(stored=now - timedelta(hours=3))
    look = await reader.look("INBOX", None, since=now)
    assert [message.ref.uid for message in look.messages] == [str(wanted)]


async def test_what_a_server_with_a_slow_clock_dates_too_early_is_in_the_first_look(pymap_for, reader_for):
    pymap = await pymap_for()
    reader = reader_for(pymap.port)
    slow = await pymap.deliver(stored=datetime.now(UTC) - timedelta(days=9))
    look = await reader.look("INBOX", None, since=datetime.now(UTC))
    assert [(message.ref.uid, message.overlap) for message in look.messages] == [(str(slow), True)]
    assert look.complete
    new = await pymap.deliver()
    look = await reader.look("INBOX", look.cursor, since=datetime.now(UTC))
    assert [(message.ref.uid, message.overlap) for message in look.messages] == [(str(new), False)]


async def test_a_cursor_of_another_uidvalidity_is_void(pymap_for, reader_for, kit):
    pymap = await pymap_for()
    reader = reader_for(pymap.port)
    uid = await pymap.deliver()
    look = await reader.look("INBOX", "1:999", since=kit.LONG_AGO)
    assert f":{uid}:" in look.cursor
    assert [message.ref.uid for message in look.messages] == [str(uid)]


@pytest.mark.parametrize("cursor", ["", "nonsense", "7", "7:", ":7", "7:x"])
async def test_a_cursor_that_nobody_could_have_written_is_void_too(pymap_for, reader_for, kit, cursor):
    pymap = await pymap_for()
    uid = await pymap.deliver()
    look = await reader_for(pymap.port).look("INBOX", cursor, since=kit.LONG_AGO)
    assert [message.ref.uid for message in look.messages] == [str(uid)]


async def test_many_messages_come_in_pages_and_each_once(pymap_for, reader_for, kit):
    pymap = await pymap_for()
    reader = reader_for(pymap.port)
    uids = [str(await pymap.deliver()) for _ in range(2 * PAGE + 3)]
    look = await reader.look("INBOX", None, since=kit.LONG_AGO)
    assert len(look.messages) == PAGE
    assert not look.complete
    messages, cursor = await everything(reader, "INBOX", None, kit.LONG_AGO)
    assert [message.ref.uid for message in messages] == uids
    assert (await reader.look("INBOX", cursor, since=kit.LONG_AGO)).messages == []


async def test_a_gap_in_the_uids_is_crossed_at_once(pymap_for, reader_for, kit):
    pymap = await pymap_for()
    reader = reader_for(pymap.port)
    start = (await reader.look("INBOX", None, since=kit.LONG_AGO)).cursor
    box = await pymap.folders.get_mailbox("INBOX")
    uids = [await pymap.deliver() for _ in range(3 * PAGE)]
    await box.delete(uids[:-1])
    looks = [await reader.look("INBOX", start, since=kit.LONG_AGO)]
    looks.append(await reader.look("INBOX", looks[0].cursor, since=kit.LONG_AGO))
    assert [(len(look.messages), look.complete) for look in looks] == [(0, False), (1, True)]
    assert looks[1].messages[0].ref.uid == str(uids[-1])


async def test_when_nothing_is_new_a_look_takes_two_round_trips(pymap_for, reader_for, kit):
    pymap = await pymap_for()
    reader = reader_for(pymap.port)
    await pymap.deliver()
    cursor = (await reader.look("INBOX", None, since=kit.LONG_AGO)).cursor
    pymap.commands.clear()
    await reader.look("INBOX", cursor, since=kit.LONG_AGO)
    assert [line.split()[1] for line in pymap.commands] == [b"NOOP", b"UID"]


async def test_messages_that_arrive_during_looks_are_each_shown_once(pymap_for, reader_for, kit):
    """Whatever the interleaving of deliveries, looks, waits and wakes: no message is missed, none comes twice."""
    chance = random.Random(20261123)  # noqa: S311 - repeatable, not secret
    pymap = await pymap_for()
    reader = reader_for(pymap.port)
    delivered = []
    over = asyncio.Event()

    async def deliver():
        for _ in range(400):
            delivered.append(str(await pymap.deliver()))
            for _ in range(chance.choice((0, 0, 1, 3, 10))):
                await asyncio.sleep(0)
            if chance.random() < 0.1:
                reader.wake()
        over.set()

    async def watch():
        seen, cursor = [], None
        while True:
            last = over.is_set()
            messages, cursor = await everything(reader, "INBOX", cursor, kit.LONG_AGO)
            seen += [message.ref.uid for message in messages]
            if last:
                return seen
            if chance.random() < 0.7:
                await reader.wait(0.05)

    async with asyncio.timeout(20):
        seen, _ = await asyncio.gather(watch(), deliver())
    assert seen == delivered


async def test_idle_reports_a_new_message(pymap_for, reader_for, kit):
    pymap = await pymap_for()
    reader = reader_for(pymap.port)
    cursor = (await reader.look("INBOX", None, since=kit.LONG_AGO)).cursor
    waiting = asyncio.create_task(reader.wait(20))
    uids = await deliver_until(pymap, waiting)
    assert waiting.result()
    assert [m.ref.uid for m in (await reader.look("INBOX", cursor, since=kit.LONG_AGO)).messages] == uids


async def test_without_idle_a_wait_only_takes_its_time(pymap_for, reader_for, kit):
    pymap = await pymap_for(idle=False)
    reader = reader_for(pymap.port)
    await reader.look("INBOX", None, since=kit.LONG_AGO)
    assert not await reader.wait(0.05)
    assert not any(b"IDLE" in line for line in pymap.commands)


async def test_reading_never_marks_a_message_as_seen(pymap_for, reader_for, kit):
    pymap = await pymap_for()
    reader = reader_for(pymap.port)
    uid = await pymap.deliver(b"X-Long: " + b"y" * 500 + b"\r\n")
    look = await reader.look("INBOX", None, since=kit.LONG_AGO)
    ref = look.messages[0].ref
    assert b"X-Long" not in look.messages[0].headers
    assert b"X-Long" in (await reader.headers([ref]))[ref]
    assert (await reader.content(ref, 10_000)).endswith(b"\r\nbody\r\n")
    assert await reader.content(ref, 20) == b"Subject: hello\r\nX-Lo"
    assert await pymap.flags(uid) == frozenset()


async def test_evidence_of_a_message_that_is_gone_is_left_out(pymap_for, reader_for, kit):
    pymap = await pymap_for()
    reader = reader_for(pymap.port)
    for _ in range(2):
        await pymap.deliver()
    gone, there = [m.ref for m in (await reader.look("INBOX", None, since=kit.LONG_AGO)).messages]
    box = await pymap.folders.get_mailbox("INBOX")
    await box.delete([int(gone.uid)])
    assert list(await reader.headers([gone, there])) == [there]
    assert await reader.content(gone, 100) is None
    void = MessageRef(folder="INBOX", validity="1", uid=there.uid)
    assert await reader.content(void, 100) is None
    assert await reader.headers([void]) == {}


async def test_only_what_is_named_is_deleted_even_if_others_are_marked(pymap_for, reader_for, kit):
    pymap = await pymap_for()
    reader = reader_for(pymap.port)
    for _ in range(4):
        await pymap.deliver()
    refs = [m.ref for m in (await reader.look("INBOX", None, since=kit.LONG_AGO)).messages]
    box = await pymap.folders.get_mailbox("INBOX")
    await box.delete([int(refs[0].uid)])
    void = MessageRef(folder="INBOX", validity="1", uid=refs[3].uid)
    assert await reader.delete([refs[0], refs[1], void]) == [refs[0], refs[1]]
    assert await pymap.flags(int(refs[1].uid)) is None
    assert await pymap.flags(int(refs[2].uid)) == frozenset()
    assert await pymap.flags(int(refs[3].uid)) == frozenset()


async def test_a_mailbox_is_read_over_two_connections_however_many_folders_it_has(pymap_for, reader_for, kit):
    names = ["INBOX", "Junk Email", "Entwürfe & Mehr", "Zurückgewiesen"]
    pymap = await pymap_for()
    for name in names[1:]:
        await pymap.folders.add_mailbox(name)
    reader = reader_for(pymap.port, folders=names)
    for name in names:
        await pymap.deliver(folder=name)
    waiting = asyncio.create_task(reader.wait(20))
    for _ in range(3):
        looks = [reader.look(name, None, since=kit.LONG_AGO) for name in names]
        assert [len(look.messages) for look in await asyncio.gather(*looks)] == [1, 1, 1, 1]
    await waiting
    assert pymap.connections == 2


async def test_a_missing_folder_is_named_with_those_that_exist(pymap_for, reader_for, kit):
    pymap = await pymap_for()
    await pymap.folders.add_mailbox("Courrier indésirable")
    reader = reader_for(pymap.port, folders=["INBOX", "Junk Email"])
    with pytest.raises(MailboxUnreadable, match=r"Junk Email.*folders there: Courrier indésirable, INBOX") as caught:
        await reader.look("Junk Email", None, since=kit.LONG_AGO)
    assert caught.value.reason == "folder"


@pytest.mark.parametrize("secret", ["opensesame", 'quo"te', "back\\slash", "sp ace (){%*]", "Schlüssel"])
@pytest.mark.parametrize("bearer", [False, True])
async def test_secrets_with_special_characters_arrive_as_they_are(pymap_for, reader_for, kit, secret, bearer):
    pymap = await pymap_for(secret=secret)
    reader = reader_for(pymap.port, secret=secret, bearer=bearer)
    assert (await reader.look("INBOX", None, since=kit.LONG_AGO)).complete


@pytest.mark.parametrize("bearer", [False, True])
async def test_a_wrong_secret_is_a_login_failure_that_does_not_show_it(pymap_for, reader_for, kit, bearer):
    pymap = await pymap_for()
    reader = reader_for(pymap.port, secret="wrongwrong", bearer=bearer)
    with pytest.raises(MailboxUnreadable) as caught:
        await reader.look("INBOX", None, since=kit.LONG_AGO)
    assert caught.value.reason == "login"
    assert "wrongwrong" not in repr(caught.value)


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
async def test_a_mailbox_is_read_inside_tls(pymap_for, reader_for, kit, server_tls, ca_file, tls):
    pymap = await pymap_for(context=server_tls, starttls=tls == "starttls")
    reader = reader_for(pymap.port, tls=tls, ca_file=ca_file)
    await pymap.deliver()
    assert len((await reader.look("INBOX", None, since=kit.LONG_AGO)).messages) == 1
    waiting = asyncio.create_task(reader.wait(20))
    await deliver_until(pymap, waiting)
    assert waiting.result()
