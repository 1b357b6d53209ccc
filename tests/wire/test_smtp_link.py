"""The connection on the wire: one write per command, and a message as the standard wants it."""

from __future__ import annotations

import asyncio
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.wire.link import Link, dot_stuffed

pytestmark = pytest.mark.anyio


class RecordingTransport(asyncio.Transport):
    """Keeps what is written, as it was written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0


async def test_a_command_and_a_message_are_one_write_each():
    link, transport = Link(set()), RecordingTransport()
    link.connection_made(transport)
    link.data_received(b"220 hi\r\n")
    await link.read_response()
    asking = asyncio.ensure_future(link.execute_command(b"MAIL FROM:<a@b.example>"))
    await asyncio.sleep(0)
    link.data_received(b"250 OK\r\n")
    await asking
    message = dot_stuffed(b"Subject: x\n\n.\n" * 1000)
    link.write_message(message)

    assert transport.writes == [b"MAIL FROM:<a@b.example>\r\n", message]


@given(st.binary(max_size=300))
def test_a_stuffed_message_ends_where_its_final_dot_is_and_nowhere_else(message):
    data = dot_stuffed(message)

    assert data.endswith(b"\r\n.\r\n") or data == b".\r\n"
    assert data.find(b"\r\n.\r\n") in {-1, len(data) - 5}
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert b"\r" not in data.replace(b"\r\n", b"")


@given(st.lists(st.sampled_from([b"", b".", b"..", b"text", b".text"]), max_size=8))
def test_undoing_the_stuffing_gives_the_message_again(lines):
    message = b"".join(line + b"\r\n" for line in lines) or b"\r\n"
    received = [line.removeprefix(b".") for line in dot_stuffed(message).split(b"\r\n")[:-2]]

    assert b"".join(line + b"\r\n" for line in received) == message


async def test_a_connection_whose_tls_is_closing_can_still_be_closed_at_once(ca, ca_file, server_context):
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0, ssl=server_context("127.0.0.1", issuer=ca))
    async with server:
        loop, links = asyncio.get_running_loop(), set()
        port = server.sockets[0].getsockname()[1]
        _, link = await loop.create_connection(lambda: Link(links), "127.0.0.1", port)
        await link.secure(ssl.create_default_context(cafile=ca_file), "127.0.0.1", limit=10)
        for _ in range(2):
            link.transport.close()
        link.abort()
        await link.wait_closed()
        assert links == set()
