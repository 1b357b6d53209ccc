"""Serve the application on a TCP port, inside the agent's event loop."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from agent.web.tls import ServerTls

_LAST_MOMENT = 2  # seconds for answers under way when the server stops
_NOT_HERE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
_WHY = {
    errno.EADDRINUSE: "is in use: stop what listens there, or set web.listen to another port",
    errno.EADDRNOTAVAIL: "is not an address of this machine: set web.listen to one that is, like 127.0.0.1:9825",
    errno.EAFNOSUPPORT: "is of a kind that this machine does not support: set web.listen to 127.0.0.1:9825",
    errno.EACCES: "is not open to this user: set web.listen to a port above 1023",
}


class WebError(Exception):
    """The server cannot listen; the message names the address and what to do."""


class _Server(uvicorn.Server):
    """Uvicorn without its hold on SIGTERM and SIGINT, which are the agent's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


@asynccontextmanager
async def serve(app: ASGIApp, host: str, port: int, tls: ServerTls | None = None) -> AsyncIterator[str]:
    """Serve *app* for as long as the context lasts; yield its URL, with the real port where *port* is 0.

    Raises:
        WebError: the address cannot be listened on.
        checks.errors.LocalFault: the certificate cannot be used.
    """
    context = None if tls is None else tls.context()
    listeners = await _listen(host, port)
    server = _Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",  # what goes wrong in an answer is logged where it is made, all else is the client's
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_LAST_MOMENT,
            ssl_context_factory=None if context is None else lambda *_: context,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=listeners), name="web")
    try:
        yield f"{'http' if context is None else 'https'}://{_address(host, listeners[0].getsockname()[1])}"
    finally:
        server.should_exit = True
        await serving


async def _listen(host: str, port: int) -> list[socket.socket]:
    """Open a listening socket for each address of *host*; requests wait in its queue from here on."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise WebError(f"{_address(host, port)} cannot be resolved: {error.strerror}; correct web.listen") from None
    listeners: list[socket.socket] = []
    absent: OSError | None = None
    for family, _, _, _, (address, *_) in found:
        try:
            listeners.append(socket.create_server((str(address), port), family=family))
        except OSError as error:
            if error.errno in _NOT_HERE:  # a name may have an IPv6 address where the machine has no IPv6
                absent = error
                continue
            _close(listeners)
            raise _refused(host, port, error) from None
        port = listeners[0].getsockname()[1]  # all on the one that the system chose for the first
    if not listeners:
        raise _refused(host, port, absent or OSError()) from None
    return listeners


def _close(listeners: list[socket.socket]) -> None:
    for listener in listeners:
        listener.close()


def _refused(host: str, port: int, error: OSError) -> WebError:
    why = _WHY.get(error.errno or 0, f"cannot be listened on ({error.strerror}): correct web.listen")
    return WebError(f"{_address(host, port)} {why}")


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
