"""A port that can be closed and opened again while the lab runs, and the sessions on it."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from checks.lab.errors import LabError

HOST = "127.0.0.1"


def abort(transport: asyncio.BaseTransport | None) -> None:
    """Close a connection at once, also one that is closing."""
    if isinstance(transport, asyncio.WriteTransport):
        with suppress(AttributeError):  # one with TLS that is closing, in Python 3.11.2 (Debian 12)
            transport.abort()


class Session(Protocol):
    """A connection that can be cut."""

    def cut(self) -> None:
        """Close the connection at once."""
        ...


SessionT = TypeVar("SessionT", bound=Session)


class Listener(Generic[SessionT]):
    """One port on loopback."""

    def __init__(
        self, name: str, port: int, protocol: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None = None
    ) -> None:
        self.name = name
        self.port = port
        self.sessions: set[SessionT] = set()
        self._protocol = protocol
        self._tls = tls
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen; port 0 takes a free one and keeps it.

        Raises:
            LabError: the port is taken.
        """
        if self._server is not None:
            return
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._protocol, HOST, self.port, ssl=self._tls)
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
            raise LabError(f"port {self.port} of {self.name} {reason}") from error
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop listening, and cut the sessions."""
        if self._server is not None:
            # Not wait_closed(): it would wait for a client that is in the middle of its TLS handshake.
            self._server.close()
            self._server = None
        self.cut()

    def cut(self) -> None:
        """Cut the sessions, go on listening."""
        for session in list(self.sessions):
            session.cut()
