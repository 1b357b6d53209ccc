"""Listening: on the address of the settings, with errors that say what to do, without touching the agent's signals."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket

import pytest

from agent.web.server import WebError, serve

pytestmark = pytest.mark.anyio


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


async def nothing(_scope, _receive, send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def test_port_0_is_any_free_one_and_the_url_has_it(serving):
    async with serving() as client:
        assert client.port != 0
        assert (await client.get("/-/healthy")).status == 200


async def test_requests_are_accepted_from_the_moment_that_the_url_is_known():
    async with serve(nothing, "127.0.0.1", 0) as url:
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback address")
async def test_ipv6_is_served_and_its_address_is_in_brackets(serving):
    async with serving(host="::1") as client:
        answer = await client.get("/-/healthy")

    assert client.url.startswith("http://[::1]:")
    assert answer.status == 200


async def test_a_name_is_served_on_its_addresses(serving):
    async with serving(host="localhost") as client:
        assert (await client.get("/metrics")).status == 200


async def test_a_port_in_use_is_named_with_what_to_do():
    async with serve(nothing, "127.0.0.1", 0) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(WebError, match=rf"^127\.0\.0\.1:{port} is in use: .*web\.listen"):
            async with serve(nothing, "127.0.0.1", port):
                pass


async def test_an_address_of_another_machine_is_named_with_what_to_do():
    with pytest.raises(WebError, match=r"^192\.0\.2\.1:9825 is not an address of this machine: .*web\.listen"):
        async with serve(nothing, "192.0.2.1", 9825):
            pass


async def test_a_name_that_does_not_exist_is_named():
    with pytest.raises(WebError, match=r"^no-such-host\.invalid:9825 cannot be resolved: .*web\.listen"):
        async with serve(nothing, "no-such-host.invalid", 9825):
            pass


async def test_the_agents_signal_handlers_stay_as_they_are(serving):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    async with serving() as client:
        await client.get("/-/healthy")
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


async def test_after_the_end_the_port_is_free_again():
    async with serve(nothing, "127.0.0.1", 0) as url:
        port = int(url.rpartition(":")[2])
    async with serve(nothing, "127.0.0.1", port) as again:
        assert again == url


async def test_a_client_that_keeps_its_connection_does_not_keep_the_agent_from_stopping():
    async with serve(nothing, "127.0.0.1", 0) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 204")
    assert await reader.read() is not None
    writer.close()


async def test_an_answer_under_way_is_finished_before_the_end():
    asked = asyncio.Event()

    async def slow(scope, receive, send) -> None:
        asked.set()
        await stopped_listening(scope["server"][1])
        await nothing(scope, receive, send)

    async with serve(slow, "127.0.0.1", 0) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asked.wait()
    assert (await reader.read()).startswith(b"HTTP/1.1 204")
    writer.close()


async def stopped_listening(port: int) -> None:
    with contextlib.suppress(OSError):
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await reader.read()


async def test_garbage_is_refused_without_a_word_in_the_log(serving, caplog):
    async with serving() as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
        answer = await reader.read()
        writer.close()

    assert answer.startswith(b"HTTP/1.1 400")
    assert caplog.records == []


async def test_what_fails_inside_the_context_comes_out_of_it():
    with pytest.raises(RuntimeError, match="the agent's own"):
        async with serve(nothing, "127.0.0.1", 0):
            raise RuntimeError("the agent's own")
