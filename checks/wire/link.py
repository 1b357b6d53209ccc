"""One SMTP connection on the wire: aiosmtplib's protocol, with a strict eye on who speaks when.

aiosmtplib frames the replies. What it forgives is kept here for the session to judge: bytes that come when nothing
was asked would otherwise be taken for the answer to the next command, and a message would seem accepted that was
not; bytes after the answer to STARTTLS may be an attacker's (RFC 3207 section 6).
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from contextlib import suppress
from typing import cast

from aiosmtplib.errors import SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol

LINGER = 2.0
"""Seconds that a server has to answer QUIT, while nobody waits for it."""

_MAX_UNASKED = 4096
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux
_BARE_LINE_ENDS = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)


def dot_stuffed(message: bytes) -> bytes:
    """Return *message* as it goes over the wire after 354: CRLF line ends, dots doubled, final dot (RFC 5321 4.5.2)."""
    lines = _BARE_LINE_ENDS.sub(b"\r\n", message)
    if not lines.endswith(b"\r\n"):
        lines += b"\r\n"
    return _LEADING_DOT.sub(b"..", lines) + b".\r\n"


class Link(SMTPProtocol):
    """A connection. It is in *links* as long as it is open, so that none is forgotten."""

    def __init__(self, links: set[Link]) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self.lost: Exception | None = None
        self._links = links
        self._tcp: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self._heard = bytearray()
        self._unasked = bytearray()
        self._closed = asyncio.get_running_loop().create_future()
        self._lingering: asyncio.TimerHandle | None = None

    @property
    def local_address(self) -> str:
        """Our own IP address on this connection."""
        assert self._socket is not None  # noqa: S101 - a link is made connected
        return str(self._socket.getsockname()[0])

    @property
    def answered(self) -> bool:
        """Tell whether an answer lies ready that nobody has taken."""
        return self._response_waiter is not None and self._response_waiter.done()

    @property
    def flushed(self) -> bool:
        """Tell whether all that was written has left for the network, as far as this process can know."""
        transports = (self._tcp, cast(asyncio.WriteTransport | None, self.transport))
        return self.is_connected and not any(each.get_write_buffer_size() for each in transports if each)

    @property
    def unasked(self) -> bytes:
        """What the server said without having been asked, at most its beginning."""
        return bytes(self._unasked)

    def take_heard(self) -> bytes:
        """Return the raw bytes of the answer that was read last, or of as much as came, and forget them."""
        heard = bytes(self._heard)
        self._heard.clear()
        if self._buffer and not self.answered:  # more than one answer, to one question
            surplus = bytes(self._buffer)
            self._buffer.clear()
            heard = heard.removesuffix(surplus)
            self._note_unasked(surplus)
        return heard

    def take_unasked(self) -> bytes:
        """Return what the server said without having been asked, and forget it."""
        unasked = bytes(self._unasked)
        self._unasked.clear()
        return unasked

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the TCP connection; called once, TLS comes later by `secure`."""
        super().connection_made(transport)
        self._tcp = cast(asyncio.Transport, transport)
        self._socket = transport.get_extra_info("socket")
        self._links.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note why; who waits for an answer is told by aiosmtplib."""
        self.lost = exc
        super().connection_lost(exc)
        self._forget()

    def data_received(self, data: bytes) -> None:
        """Take bytes as part of the answer that is awaited, else set them apart."""
        if self._response_pending and not self.answered:
            self._heard += data
            super().data_received(data)
        else:
            self._note_unasked(data)

    def write(self, data: bytes) -> None:
        """Write *data* in one piece."""
        super().write(data)
        self._acknowledge_at_once()

    def write_message(self, data: bytes) -> None:
        """Write the dot-stuffed message in one piece; its answer may come from now on."""
        self._response_pending = True
        self.write(data)

    async def secure(self, context: ssl.SSLContext, host: str, limit: float) -> ssl.SSLObject:
        """Do the TLS handshake and go on in TLS; *host* must be in the server's certificate.

        Raises:
            OSError: it failed; ssl.SSLError where TLS itself is why.
            ValueError: *host* cannot stand in a certificate.
        """
        if self._tcp is None or not self.is_connected:
            raise SMTPServerDisconnected("Connection lost")
        try:
            transport = await self._loop.start_tls(
                self._tcp, self, context, server_hostname=host, ssl_handshake_timeout=limit
            )
        except BaseException:
            # asyncio does not call connection_lost for a connection that ends within the handshake.
            self.abort()
            self._forget()
            raise
        if transport is None:  # lost in the moment in which the handshake ended
            raise SMTPServerDisconnected("Connection lost")
        self.transport = transport
        return cast(ssl.SSLObject, transport.get_extra_info("ssl_object"))

    def quit(self) -> None:
        """Say QUIT and let the server close the connection; without waiting, and whatever comes of it."""
        if self.transport is None or not self.is_connected:
            self.abort()
            return
        with suppress(SMTPServerDisconnected):
            self.write(b"QUIT\r\n")
        self._lingering = self._loop.call_later(LINGER, self.abort)

    def abort(self) -> None:
        """Close the connection now, and with it the TLS that is spoken on it.

        The TLS transport itself may be closed already, and that of Python 3.11.2 (Debian 12) cannot be aborted then.
        """
        if self._tcp is not None:
            self._tcp.abort()

    async def wait_closed(self) -> None:
        """Wait until the socket is closed."""
        await asyncio.shield(self._closed)

    def _forget(self) -> None:
        self._links.discard(self)
        if self._lingering is not None:
            self._lingering.cancel()
        if not self._closed.done():
            self._closed.set_result(None)

    def _note_unasked(self, data: bytes) -> None:
        self._unasked += data[: _MAX_UNASKED - len(self._unasked)]

    def _acknowledge_at_once(self) -> None:
        """Have the kernel acknowledge what comes next at once, not 40 ms later.

        A server that writes in pieces (Nagle's algorithm on) holds the next piece until the last one is acknowledged:
        TLS 1.3 session tickets make that the fate of the EHLO after the handshake. Writing puts the kernel back to
        delaying, hence this after every write.
        """
        if _QUICK_ACK is not None and self._socket is not None:
            with suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
