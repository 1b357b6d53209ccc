"""A connection whose every wait has a limit and can be ended from outside."""

from __future__ import annotations

import contextlib
import math
import re
import select
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from checks.errors import MailboxUnreadable
from checks.wire.imap.doorbell import Doorbell
from checks.wire.tls import sent_chain, tls_failure

_Result = TypeVar("_Result")

_CHUNK = 65536
_UNREAD = 1_048_576  # bytes that may lie here unread while nobody has asked for anything
_REMEMBERED = 500  # bytes of one status line that may be shown to people
_STATUS = re.compile(rb"\S{1,32} (?:NO|BAD|BYE)\b", re.IGNORECASE)

_KEEPALIVE = (
    ("TCP_KEEPIDLE", 60),
    ("TCP_KEEPALIVE", 60),  # macOS' name for it
    ("TCP_KEEPINTVL", 15),
    ("TCP_KEEPCNT", 4),
)


class Transport:
    """A byte stream to the server, over *sock*, which is connected and does not block; belongs to one thread.

    `begin` sets how long the next exchange may take and how many bytes it may bring; all that follows is held to
    both, however slowly or generously the server sends. Whatever fails is a `MailboxUnreadable` with reason tls,
    timeout, closed or protocol. `heard` keeps the last lines in which the server refused something.
    """

    def __init__(self, sock: socket.socket, doorbell: Doorbell, steady: Callable[[], float]) -> None:
        self.heard: deque[bytes] = deque(maxlen=3)
        self.steady = steady
        self._doorbell = doorbell
        self._sock: socket.socket | None = sock
        self._buffer = bytearray()
        self._deadline = 0.0
        self._limit = 0.0
        self._allowance = 0
        _keep_alive(sock)

    def begin(self, limit: float, allowance: int) -> None:
        """Start an exchange: *limit* seconds, *allowance* bytes."""
        self._deadline = self.steady() + limit
        self._limit = limit
        self._allowance = allowance
        self.heard.clear()

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Turn the connection into TLS, verified for *host* by *context*."""
        if self._buffer:
            # They would be taken for bytes from inside TLS, and anybody on the way may have added them.
            raise MailboxUnreadable("tls", "the server spoke on in plain text after it had agreed to STARTTLS")
        try:
            self._connected.getpeername()  # of one that is gone, wrap_socket leaves a half that nobody can close
            secured = context.wrap_socket(self._connected, server_hostname=host, do_handshake_on_connect=False)
            self._sock = secured
            self._patiently(secured.do_handshake)
        except ssl.SSLError as error:
            raise MailboxUnreadable("tls", tls_failure(error, host)) from None
        except (OSError, ValueError) as error:
            raise MailboxUnreadable("tls", f"the TLS handshake with {host} failed: {_reason(error)}") from None

    def sent_chain(self) -> Sequence[bytes]:
        """Return the certificates that the server has shown, in DER, leaf first; none without TLS."""
        return sent_chain(self._sock) if isinstance(self._sock, ssl.SSLSocket) else ()

    # Talking

    def send(self, data: bytes) -> None:
        """Write all of *data*."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._patiently(self._connected.send, rest) :]
        except OSError as error:
            raise MailboxUnreadable("closed", f"the connection broke: {_reason(error)}") from None

    def readline(self) -> bytes:
        """Return the next line with its end."""
        scanned = 0
        while (end := self._buffer.find(b"\n", scanned)) < 0:
            scanned = len(self._buffer)
            self._receive()
        line = self._take(end + 1)
        if _STATUS.match(line):
            self.heard.append(line[:_REMEMBERED])
        return line

    def read(self, size: int) -> bytes:
        """Return exactly *size* bytes, if that many are allowed."""
        if size - len(self._buffer) > self._allowance:
            raise MailboxUnreadable("protocol", "the server announced far more data than was asked for")
        while len(self._buffer) < size:
            self._receive()
        return self._take(size)

    # Listening

    def pause(self, until: float) -> None:
        """Return when there may be something to read, when the doorbell has rung, or at *until*."""
        if not (self.has_line or self._pending):
            self._ready(self._connected, select.POLLIN, until)

    def take_in(self) -> bool:
        """Read what has arrived, without waiting; False when the server has closed the connection."""
        try:
            data = self._connected.recv(_CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        except OSError:
            return False
        self._buffer += data
        if len(self._buffer) > _UNREAD:
            raise MailboxUnreadable("protocol", "the server sends without being asked and without end")
        return bool(data)

    @property
    def has_line(self) -> bool:
        """Tell whether `readline` would return at once."""
        return b"\n" in self._buffer

    @property
    def has_goodbye(self) -> bool:
        """Tell whether the server has announced that it closes, in what has been read but not asked for."""
        return b"* BYE" in self._buffer

    # Ending

    def close(self, last_words: bytes = b"") -> None:
        """Close the connection, saying *last_words* if that needs no waiting."""
        if self._sock is not None:
            with contextlib.suppress(OSError, ValueError):
                if last_words:
                    self._sock.send(last_words)
            self._sock.close()
            self._sock = None

    # Inside

    @property
    def _connected(self) -> socket.socket:
        if self._sock is None:
            raise MailboxUnreadable("closed", "the connection is closed")
        return self._sock

    @property
    def _pending(self) -> bool:
        # TLS decrypts by the record; poll does not see what is left of one.
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _receive(self) -> None:
        try:
            data = self._patiently(self._connected.recv, _CHUNK)
        except OSError as error:
            raise MailboxUnreadable("closed", f"the connection broke: {_reason(error)}") from None
        if not data:
            raise MailboxUnreadable("closed", "the server closed the connection")
        self._allowance -= len(data)
        if self._allowance < 0:
            raise MailboxUnreadable("protocol", "the server sent far more data than was asked for")
        self._buffer += data

    def _patiently(self, operation: Callable[..., _Result], *arguments: Any) -> _Result:
        """Repeat a non-blocking *operation* until it is done, or the exchange has taken too long."""
        while True:
            try:
                return operation(*arguments)
            except ssl.SSLWantWriteError:
                events = select.POLLOUT
            except ssl.SSLWantReadError:
                events = select.POLLIN
            except BlockingIOError:
                events = select.POLLOUT if arguments and isinstance(arguments[0], memoryview) else select.POLLIN
            self._ready(self._connected, events, self._deadline)
            if self.steady() >= self._deadline:
                raise MailboxUnreadable("timeout", f"no complete answer within {self._limit:g} s")

    def _ready(self, sock: socket.socket, events: int, until: float) -> None:
        """Wait for *events* on *sock*, for the doorbell, or for *until*, whichever comes first."""
        poll = select.poll()
        poll.register(sock, events)
        poll.register(self._doorbell, select.POLLIN)
        # Rounded up: a poll that returns early would make a busy loop of the last millisecond.
        poll.poll(max(0, math.ceil((until - self.steady()) * 1000)))
        self._doorbell.silence()
        if self._doorbell.shut:
            raise MailboxUnreadable("closed", "the reader is being closed")


def _keep_alive(sock: socket.socket) -> None:
    """Have a peer noticed within two minutes that vanished without a word: a NAT that forgot us, a power cut."""
    with contextlib.suppress(OSError):  # macOS refuses it once the peer has reset; reading will tell that soon enough
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if (option := getattr(socket, name, None)) is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]
