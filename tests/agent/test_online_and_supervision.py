"""Before we blame others: are we online? And a part that breaks stops alone."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import threading

import pytest
import structlog
from support.deaf import a_deaf_address
from support.simulation import SimulatedClock, SimulatedLoop, simulate

from agent import log, online
from agent.clock import SystemClock
from agent.online import Online
from agent.supervise import supervise
from checks.ports import Endpoint
from checks.wire.tcp import ConnectFailed

MORE_THAN_ASYNCIO_HAS_THREADS = min(32, (os.cpu_count() or 1) + 4) + 1


def endpoint(port: int) -> Endpoint:
    return Endpoint(host="127.0.0.1", port=port, tls="none")


def named(host: str, port: int) -> Endpoint:
    return Endpoint(host=host, port=port, tls="none")


def dead_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


def test_a_connection_since_the_moment_proves_that_we_are_online():
    async def story():
        known = Online(SystemClock(), [endpoint(dead_port())])
        known.connected(100.0)
        assert await known.since(99.0)
        assert await known.since(100.0)
        assert not await known.since(100.1)

    asyncio.run(story())


def test_without_one_any_configured_host_that_answers_is_proof():
    async def story():
        clock = SystemClock()
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            alive = server.sockets[0].getsockname()[1]
            known = Online(clock, [endpoint(dead_port()), endpoint(alive)])
            assert await known.since(clock.steady())

    asyncio.run(story())


def test_who_asks_while_another_tries_is_not_judged_by_what_was_tried_before(monkeypatch):
    """A host that swallows everything keeps one trial alive for seconds, and the others have answered long before."""

    async def story():
        clock = SystemClock()
        swallowing, held = "192.0.2.1", asyncio.Event()
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        connect = online.connect

        async def connecting(addresses, source):
            if addresses[0].ip == swallowing:
                await held.wait()
                raise ConnectFailed
            return await connect(addresses, source)

        monkeypatch.setattr(online, "connect", connecting)
        async with server:
            known = Online(clock, [endpoint(server.sockets[0].getsockname()[1]), named(swallowing, 25)])
            first = asyncio.ensure_future(known.since(clock.steady()))
            while not known._connected_at > 0:
                await asyncio.sleep(0)
            joined_at = clock.steady()
            second = asyncio.ensure_future(known.since(joined_at))
            await asyncio.sleep(0)
            held.set()
            assert await first
            assert await second

    asyncio.run(story())


@pytest.fixture
def deaf():
    with a_deaf_address() as address:
        yield address


def test_a_host_whose_first_address_is_a_black_hole_is_reached_at_the_second(deaf, monkeypatch):
    """As the paths and readers reach it, with IPv6 that leads nowhere; and it is looked up once."""
    asked = []

    async def story():
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        answers = server.sockets[0].getsockname()

        def two_addresses(host, *_):
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in (deaf, answers)]

        monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
        async with server:
            clock = SystemClock()
            assert await Online(clock, [named("dual-stack.example", 993)]).since(clock.steady())

    asyncio.run(story())
    assert asked == ["dual-stack.example"]


def test_names_that_hang_do_not_keep_another_from_being_tried(monkeypatch):
    fail, resolve = threading.Event(), socket.getaddrinfo

    def hanging(host, *arguments, **more):
        if host.endswith(".dead.example"):
            fail.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return resolve("127.0.0.1", *arguments, **more)

    async def story():
        clock = SystemClock()
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        dead = [named(f"mx{number}.dead.example", 25) for number in range(MORE_THAN_ASYNCIO_HAS_THREADS)]
        async with server:
            known = Online(clock, [*dead, named("z.healthy.example", server.sockets[0].getsockname()[1])])
            asking = asyncio.ensure_future(known.since(clock.steady(), unresolved="mx0.dead.example"))
            while not (asking.done() or known._connected_at > 0):
                await asyncio.sleep(0.001)
            fail.set()
            assert await asking

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    try:
        asyncio.run(story())
    finally:
        fail.set()


def test_a_name_that_cannot_be_looked_up_is_blamed_on_others_only_if_another_name_can_be():
    """With a connection that is kept open, TCP works long after the machine's own name servers have gone."""

    async def story():
        clock = SystemClock()
        server = await asyncio.start_server(lambda _, writer: writer.close(), "localhost", 0)
        async with server:
            alive = server.sockets[0].getsockname()[1]
            began = clock.steady()
            known, unknown = named("localhost", alive), named("mx.invalid", 25)
            nobody = Online(clock, [unknown, named("imap.invalid", 993), endpoint(alive)])
            assert await nobody.since(began)
            assert not await nobody.since(began, unresolved="mx.invalid")
            somebody = Online(clock, [unknown, known])
            assert await somebody.since(began, unresolved="mx.invalid")
            alone = Online(clock, [unknown, endpoint(alive)])
            assert await alone.since(began, unresolved="mx.invalid")

    asyncio.run(story())


def test_a_part_that_breaks_is_started_again_with_growing_pauses():
    loop = SimulatedLoop()
    clock = SimulatedClock(loop)
    starts = []

    async def part():
        starts.append(clock.steady())
        raise ZeroDivisionError

    async def story():
        running = asyncio.ensure_future(supervise("part", part, clock))
        await clock.sleep(400)
        running.cancel()

    with structlog.testing.capture_logs() as logs:
        simulate(story(), loop)
    pauses = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert pauses[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert all(entry["event"] == "part.failed" for entry in logs)


def test_a_part_is_started_again_also_where_what_it_awaited_was_cancelled_by_others():
    loop = SimulatedLoop()
    clock = SimulatedClock(loop)
    starts = []

    async def part():
        starts.append(clock.steady())
        gone = asyncio.get_running_loop().create_future()
        gone.cancel()
        await gone

    async def story():
        running = asyncio.ensure_future(supervise("part", part, clock))
        await clock.sleep(10)
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled()

    with structlog.testing.capture_logs() as logs:
        simulate(story(), loop)
    assert [at - starts[0] for at in starts] == [0, 1, 3, 7]
    assert {entry["event"] for entry in logs} == {"part.failed"}


def test_servers_words_cannot_act_on_a_terminal():
    event = log.escape(None, "info", {"why": "550 \x1b[2Jgone\r\nFAKE LINE \u202eevil", "n": 1})
    assert event == {"why": "550 \\u001b[2Jgone\\u000d\\u000aFAKE LINE \\u202eevil", "n": 1}


def test_long_words_are_cut():
    assert len(log.plain("x" * 100_000)) == 2001
