"""What a server may do instead of answering, in any protocol of lines: the acts, and how each is carried out."""

from __future__ import annotations

import asyncio
import enum
import socket
import struct


class Act(enum.StrEnum):
    """One way to misbehave at a stage."""

    DEFER = "4xx"
    REFUSE = "5xx"
    CLOSING = "421"
    BYE = "bye"
    RESET = "reset"
    CLOSE = "close"
    HALF_CLOSE = "half_close"
    HANG = "hang"
    DRIP = "drip"
    GARBAGE = "garbage"
    OVERSIZED = "oversized"


_GARBAGE = b"\x16\x03\x01\x00\xff\xfe<html>\x00\x1b[31m not a word of it\r\n"
_OVERSIZED = 200_000  # bytes in one line; RFC 5321 4.5.3.1.5 allows a reply line 512
_DRIP = 20.0  # seconds for an answer without end, and
_TRUE_DRIP = 0.25  # for a true one: well within the limit of a stage, which stands for minutes


class Ended(Exception):
    """The conversation is over; the proxy closes what is left of it."""


async def misbehave(act: Act, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, begun: bytes) -> None:
    """Do *act* to the client; *begun* is how an answer that drips or has no end would begin.

    Raises:
        Ended: always, once the client has gone, or at once where the act itself ends the connection.
    """
    if act is Act.RESET:
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        raise Ended
    if act is Act.CLOSE:
        raise Ended
    if act is Act.HALF_CLOSE:
        writer.get_extra_info("socket").shutdown(socket.SHUT_WR)
    elif act is Act.DRIP:
        await drip(b"".join(begun + b" still thinking\r\n" for _ in range(100)), writer, _DRIP)
    elif act is Act.GARBAGE:
        writer.write(_GARBAGE)
    elif act is Act.OVERSIZED:
        writer.write(begun + b"x" * _OVERSIZED + b"\r\n")
    await gone(reader)
    raise Ended


async def drip(answer: bytes, writer: asyncio.StreamWriter, seconds: float = _TRUE_DRIP) -> None:
    """Send *answer* byte by byte in so many *seconds*."""
    for number in range(len(answer)):
        writer.write(answer[number : number + 1])
        await writer.drain()
        await asyncio.sleep(seconds / len(answer))


async def gone(reader: asyncio.StreamReader) -> None:
    """Wait until the client has closed its side."""
    while await reader.read(65536):
        pass
