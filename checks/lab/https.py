"""An HTTPS port that can be closed, opened and cut like the others, with uvicorn's protocol on it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from checks.lab.listener import Listener, abort

_SESSION = "session"


class HttpsSession(H11Protocol):
    """One connection."""

    def __init__(self, port: WebEndpoint) -> None:
        super().__init__(port.config, port.state, {_SESSION: self}, asyncio.get_running_loop())
        self._listed = port.listener.sessions

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the base has it
        """List the session."""
        super().connection_made(transport)
        self._listed.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the session."""
        self._listed.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Answer; uvicorn's own server, which is not used here, would keep the date."""
        self.server_state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        super().data_received(data)

    def cut(self) -> None:
        """Close the connection at once."""
        abort(self.transport)


class WebEndpoint:
    """An ASGI application on a port of its own.

    Args:
        name: of the port.
        port: 0 takes one that is free.
        app: what answers.
        tls: the certificate.
        closed: tells whether a fault wants the port closed at this moment.
    """

    def __init__(self, name: str, port: int, app: ASGIApp, tls: ssl.SSLContext, *, closed: Callable[[], bool]) -> None:
        self.config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=60,
        )
        self.config.load()
        self.state = ServerState()
        self.listener: Listener[HttpsSession] = Listener(name, port, lambda: HttpsSession(self), tls)
        self._closed = closed

    async def apply_faults(self) -> None:
        """Open or close the port, as the faults of the moment want it."""
        if self._closed():
            self.listener.close()
        else:
            await self.listener.open()

    async def close(self) -> None:
        """Close the port, and end the requests that are under way."""
        self.listener.close()
        tasks = list(self.state.tasks)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


def cut(request: Request) -> None:
    """Close the connection of a request at once; whatever is answered then, nobody hears it."""
    session: Any = request.scope.get("state", {}).get(_SESSION)
    if isinstance(session, HttpsSession):
        session.cut()
