"""The part that all proxies share: a listening port on loopback, and an end for all that goes through it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

from faults.misbehaviour import Act, Ended

HOST = "127.0.0.1"
_LONGEST_LINE = 1 << 20


class Proxy(ABC):
    """Stands between the agent and the server at *upstream*, a port on loopback. A context manager.

    `reached` is called each time that something has gone wrong as told, or is about to.
    """

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.port = 0
        self.connections = 0
        self.reached: Callable[[], None] = lambda: None
        self._blocked: list[socket.socket] = []
        self._open: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}

    @abstractmethod
    async def talk(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Carry one conversation from its first byte to its end."""

    def upstream_tls(self) -> ssl.SSLContext | None:
        """Tell the context for a server that speaks TLS from the first byte."""
        return None

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._unblock()
        await self.cut()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, HOST, self.port, limit=_LONGEST_LINE)
        self.port = self._server.sockets[0].getsockname()[1]

    async def unplug(self, act: Act) -> None:
        """Let no connection come about any more: each is refused, or, with `Act.HANG`, not answered at all."""
        self._server.close()
        if act is Act.HANG:
            # A full backlog: Linux then drops what would be one connection too many.
            full = socket.create_server((HOST, self.port), backlog=0)
            self._blocked = [full, *(socket.socket() for _ in range(3))]
            for client in self._blocked[1:]:
                client.setblocking(False)
                client.connect_ex((HOST, self.port))

    async def plug_in(self) -> None:
        """Listen again, on the same port; nothing happens if it listens."""
        if not self._server.is_serving():
            self._unblock()
            await self._listen()

    def _unblock(self) -> None:
        while self._blocked:
            self._blocked.pop().close()

    async def cut(self) -> None:
        """End every conversation without a word."""
        tasks = list(self._open)
        for task, writers in list(self._open.items()):
            for writer in writers:
                writer.transport.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections += 1
        writers = self._open[task] = [writer]
        try:
            tls = self.upstream_tls()
            server = await asyncio.open_connection(
                HOST, self.upstream, ssl=tls, server_hostname="localhost" if tls else None, limit=_LONGEST_LINE
            )
            writers.append(server[1])
            await self.talk((reader, writer), server)
        except (Ended, OSError, EOFError, asyncio.CancelledError):
            pass  # whoever ended it, the other side learns of it below
        finally:
            for each in writers:
                each.close()
            del self._open[task]
            for each in writers:
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await each.wait_closed()
