"""Listening, being woken, silence, and being closed."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from checks.errors import MailboxUnreadable

pytestmark = pytest.mark.anyio


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("imap-")]


def open_files():
    return sum(1 for _ in Path("/dev/fd").iterdir())


async def failure(awaitable):
    with pytest.raises(MailboxUnreadable) as caught:
        await awaitable
    return caught.value


class Idling:
    """A script that announces each IDLE, and answers NOOP and looks for as long as it is asked."""

    def __init__(self, *, silent=False):
        self.begun = asyncio.Event()
        self.idles = 0
        self.ending = asyncio.Event()
        self.closed = asyncio.Event()
        self.last = []
        self._silent = silent

    async def __call__(self, peer):
        try:
            await self._play(peer)
        finally:
            self.closed.set()

    async def _play(self, peer):
        await peer.begin()
        while line := await peer.line():
            self.last.append(line)
            if line == b"DONE":
                self.ending.set()
            if line.endswith(b" IDLE"):
                peer.tag = line.split()[0]
                await peer.say(b"+ idling\r\n")
                self.idles += 1
                self.begun.set()
            elif not self._silent:
                tag = peer.tag if line == b"DONE" else line.split()[0]
                await peer.say(tag + b" OK done\r\n")


# Refusal


@pytest.mark.parametrize("refusal", [b" NO too many sessions that listen", b" BAD unknown command IDLE"])
async def test_a_server_that_refuses_to_idle_stays_connected_and_is_not_asked_again(scripted, reader_for, kit, refusal):
    async def server(peer):
        await peer.begin(following=5)
        await peer.expect(rb"IDLE")
        await peer.say(peer.tag + refusal + b"\r\n")
        for _ in range(2):
            await peer.answer(rb"NOOP")
            await peer.answer(rb"UID FETCH")
        await peer.gone()

    reader = reader_for(await scripted(server))
    assert not await reader.wait(0.02)
    await reader.look("INBOX", "7:4", since=kit.LONG_AGO)
    assert not await reader.wait(0.02)
    await reader.look("INBOX", "7:4", since=kit.LONG_AGO)
    waiting = asyncio.ensure_future(reader.wait(30))
    reader.wake()
    assert not await waiting


# News


@pytest.mark.parametrize("news", [b"1 EXISTS", b"1 EXPUNGE", b"1 FETCH (FLAGS (\\Seen))"])
async def test_news_end_a_wait(scripted, reader_for, news):
    async def server(peer):
        await peer.begin()
        await peer.idle()
        await peer.say(b"* OK Still here\r\n* " + news[:3])
        await peer.say(news[3:] + b"\r\n")
        await peer.done()

    assert await reader_for(await scripted(server)).wait(30)


async def test_news_before_the_continuation_of_idle_count(scripted, reader_for):
    async def server(peer):
        await peer.begin()
        await peer.expect(rb"IDLE")
        await peer.say(b"* 1 EXISTS\r\n+ IDLE accepted, awaiting DONE command.\r\n")
        await peer.done()

    assert await reader_for(await scripted(server)).wait(30)


async def test_news_with_the_end_of_idle_count_and_those_after_it_are_not_in_the_way(scripted, reader_for, kit):
    async def server(peer):
        await peer.begin(following=5)
        await peer.idle()
        assert await peer.line() == b"DONE"
        await peer.say(b"* 1 EXISTS\r\n" + peer.tag + b" OK done\r\n* 2 EXISTS\r\n")
        await peer.answer(rb"NOOP")
        await peer.answer(rb"UID FETCH 5:504,\*", kit.shown(5), kit.shown(6, seq=2))

    reader = reader_for(await scripted(server))
    assert await reader.wait(0.02)
    look = await reader.look("INBOX", "7:4", since=kit.LONG_AGO)
    assert [message.ref.uid for message in look.messages] == ["5", "6"]


async def test_news_in_the_answer_to_a_look_end_the_next_wait_at_once(scripted, reader_for, kit):
    """The message came after the look was answered, and IDLE does not tell of it again."""

    async def server(peer):
        await peer.begin()
        await peer.answer(rb"UID FETCH", kit.shown(1), b"2 EXISTS")
        await peer.answer(rb"NOOP")
        await peer.answer(rb"UID FETCH", kit.shown(2, seq=2))

    reader = reader_for(await scripted(server))
    first = await reader.look("INBOX", "7:0", since=kit.LONG_AGO)
    assert await reader.wait(30)
    second = await reader.look("INBOX", first.cursor, since=kit.LONG_AGO)
    assert [message.ref.uid for message in second.messages] == ["2"]


async def test_news_while_evidence_is_read_end_the_next_wait_at_once(scripted, reader_for, kit):
    async def server(peer):
        await peer.begin()
        await peer.answer(rb"UID FETCH", kit.shown(1))
        await peer.answer(rb"NOOP", b"2 EXISTS")
        await peer.answer(rb"UID FETCH")
        await peer.gone()

    reader = reader_for(await scripted(server))
    [message] = (await reader.look("INBOX", "7:0", since=kit.LONG_AGO)).messages
    await reader.content(message.ref, 100)
    assert await reader.wait(30)


async def test_a_server_that_repeats_its_news_with_every_answer_is_listened_to(scripted, reader_for, kit):
    """Else there would be a look after a look without end."""

    async def server(peer):
        await peer.begin()
        await peer.answer(rb"UID FETCH", kit.shown(1), b"1 EXISTS")
        await peer.answer(rb"NOOP", b"1 EXISTS")
        await peer.answer(rb"UID FETCH", kit.shown(1), b"1 EXISTS")
        await peer.idle()
        await peer.done()

    reader = reader_for(await scripted(server))
    cursor = (await reader.look("INBOX", "7:0", since=kit.LONG_AGO)).cursor
    assert await reader.wait(30)
    await reader.look("INBOX", cursor, since=kit.LONG_AGO)
    assert not await reader.wait(0.05)


async def test_a_new_uidvalidity_is_news(scripted, reader_for):
    async def server(peer):
        await peer.begin()
        await peer.idle()
        await peer.say(b"* OK [UIDVALIDITY 8] all new\r\n* 1 EXISTS\r\n")
        await peer.done()

    assert await reader_for(await scripted(server)).wait(30)


async def test_an_idle_that_the_server_ends_is_not_ended_again(scripted, reader_for, kit):
    """DONE would be an unknown command by then."""

    async def server(peer):
        await peer.begin()
        await peer.idle()
        await peer.say(peer.tag + b" OK had enough\r\n")
        await peer.answer(rb"NOOP")
        await peer.answer(rb"UID FETCH")

    reader = reader_for(await scripted(server))
    assert not await reader.wait(0.05)
    assert (await reader.look("INBOX", "7:0", since=kit.LONG_AGO)).complete


async def test_goodbye_during_idle_is_an_error_and_the_next_use_connects_anew(scripted, reader_for, kit):
    async def server(peer):
        await peer.begin()
        await peer.idle()
        await peer.say(b"* BYE Connection is closed. 13\r\n")

    async def again(peer):
        await peer.begin()
        await peer.answer(rb"UID SEARCH", b"SEARCH")
        await peer.answer(rb"UID FETCH")

    reader = reader_for(await scripted(server, again))
    error = await failure(reader.wait(30))
    assert error.reason == "closed"
    assert "BYE Connection is closed. 13" in error.detail
    assert (await reader.look("INBOX", None, since=kit.LONG_AGO)).complete


async def test_a_connection_that_ended_while_idle_is_replaced_without_a_word(scripted, reader_for, kit):
    ended = asyncio.Event()

    async def server(peer):
        await peer.begin()
        await peer.answer(rb"UID SEARCH", b"SEARCH")
        await peer.answer(rb"UID FETCH")
        await peer.say(b"* BYE idle for too long\r\n")
        ended.set()

    async def again(peer):
        await peer.begin()
        await peer.answer(rb"UID FETCH")

    reader = reader_for(await scripted(server, again))
    cursor = (await reader.look("INBOX", None, since=kit.LONG_AGO)).cursor
    await ended.wait()
    assert (await reader.look("INBOX", cursor, since=kit.LONG_AGO)).complete


# Waking


async def test_a_wake_ends_a_wait(scripted, reader_for):
    server = Idling()
    reader = reader_for(await scripted(server))
    waiting = asyncio.create_task(reader.wait(30))
    await server.begun.wait()
    reader.wake()
    assert not await waiting


async def test_a_wake_before_the_wait_is_not_lost_and_counts_once(scripted, reader_for):
    server = Idling()
    reader = reader_for(await scripted(server))
    reader.wake()
    reader.wake()
    assert not await reader.wait(30)
    assert server.idles == 0
    waiting = asyncio.create_task(reader.wait(30))
    await server.begun.wait()
    reader.wake()
    assert not await waiting


async def test_wakes_at_any_moment_end_every_wait(scripted, reader_for):
    reader = reader_for(await scripted(Idling()))
    await reader.wait(0.01)
    async with asyncio.timeout(20):
        for turns in range(200):
            waiting = asyncio.create_task(reader.wait(30))
            for _ in range(turns % 40):
                await asyncio.sleep(0)
            reader.wake()
            assert not await waiting


async def test_a_look_interrupts_a_wait_and_leaves_no_wake_behind(scripted, reader_for, kit):
    server = Idling()
    reader = reader_for(await scripted(server))
    waiting = asyncio.create_task(reader.wait(30))
    await server.begun.wait()
    look = await reader.look("INBOX", "7:0", since=kit.LONG_AGO)
    assert look.complete
    assert not await waiting
    server.begun.clear()
    waiting = asyncio.create_task(reader.wait(30))
    await server.begun.wait()
    reader.wake()
    await waiting


async def test_a_cancelled_wait_leaves_the_connection_in_order(scripted, reader_for, kit):
    server = Idling()
    reader = reader_for(await scripted(server))
    waiting = asyncio.create_task(reader.wait(30))
    await server.begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await reader.look("INBOX", "7:0", since=kit.LONG_AGO)).complete
    assert len(threads()) == 1


class Leaping:
    """A clock that leaps by half a minute each time that it is read."""

    seconds = 0.0

    def steady(self):
        self.seconds += 30
        return self.seconds


async def test_idle_is_renewed_before_ten_minutes_are_over(scripted, reader_for):
    server = Idling()
    reader = reader_for(await scripted(server), clock=Leaping(), timeout="10m")
    waiting = asyncio.create_task(reader.wait(3600))
    while not waiting.done():
        reader._first.ring()  # has it read the clock again
        await asyncio.wait({waiting}, timeout=0.001)
    assert not waiting.result()
    assert server.idles >= 4


# Silence


@pytest.mark.parametrize("silence", ["greeting", "login", "select", "idle", "drip"])
async def test_silence_is_a_timeout_at_any_step(scripted, reader_for, kit, silence):
    async def server(peer):
        if silence == "drip":
            while True:
                await peer.say(b"*")
                await asyncio.sleep(0.01)
        if silence != "greeting":
            await peer.greet()
        if silence in {"select", "idle"}:
            await peer.answer(rb"AUTHENTICATE", b"CAPABILITY " + kit.CAPABILITIES)
        if silence == "idle":
            await peer.open()
            await peer.idle()
        await peer.gone()

    error = await failure(reader_for(await scripted(server), host="127.0.0.1", timeout="500ms").wait(0.1))
    assert error.reason == "timeout"
    assert "no complete answer within 0.5 s" in error.detail


# Closing


async def test_closing_ends_a_wait_and_says_goodbye_to_the_server(scripted, reader_for):
    server = Idling(silent=True)
    reader = reader_for(await scripted(server))
    waiting = asyncio.create_task(reader.wait(600))
    await server.begun.wait()
    await reader.close()
    assert threads() == []
    await asyncio.wait({waiting}, timeout=5)
    assert waiting.done()
    assert waiting.exception() is None or waiting.exception().reason == "closed"
    await server.closed.wait()
    assert server.last[-2:] == [b"DONE", b"bye LOGOUT"]


async def test_closing_does_not_wait_for_a_silent_server(scripted, reader_for, kit):
    server = Idling(silent=True)
    reader = reader_for(await scripted(server), timeout="10m")
    waiting = asyncio.create_task(reader.wait(600))
    await server.begun.wait()
    looking = asyncio.create_task(reader.look("INBOX", "7:0", since=kit.LONG_AGO))
    async with asyncio.timeout(5):
        await server.ending.wait()
        await reader.close()
        assert {(await failure(waiting)).reason, (await failure(looking)).reason} == {"closed"}
    assert threads() == []


async def test_a_closed_reader_stays_closed_and_leaks_nothing(scripted, reader_for, kit):
    before = open_files()
    server = Idling()
    reader = reader_for(await scripted(server))
    assert threads() == []
    await reader.look("INBOX", "7:0", since=kit.LONG_AGO)
    await reader.close()
    await reader.close()
    await server.closed.wait()
    assert (await failure(reader.look("INBOX", "7:0", since=kit.LONG_AGO))).reason == "closed"
    assert threads() == []
    assert open_files() <= before + 2  # the listening socket, and asyncio's half of the last connection


async def test_failed_connections_leak_nothing(scripted, reader_for, kit):
    async def server(peer):
        await peer.say(b"* BYE not today\r\n")

    reader = reader_for(await scripted(*[server] * 40))
    await failure(reader.look("INBOX", None, since=kit.LONG_AGO))
    before = open_files()
    for _ in range(30):
        await failure(reader.look("INBOX", None, since=kit.LONG_AGO))
    assert open_files() <= before + 2
    assert len(threads()) == 1
