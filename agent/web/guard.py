"""What stands between a request and its answer: who may ask, by what name, and what a browser may do with it."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.config.pieces import is_loopback

_log = structlog.get_logger("web")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",  # every answer is about this very moment
}


class Hardened:
    """Puts security headers on every answer, and turns a defect into a plain one that gives nothing away."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        started = False

        async def hardened(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, hardened)
        except Exception:
            _log.exception("web.failed", path=scope["path"])
            if started:
                raise  # half an answer must not look like a whole one: the server cuts the connection
            await PlainTextResponse("the agent failed to answer: its log says why\n", 500)(scope, receive, hardened)


class HostCheck:
    """Refuses requests that call the agent by a name which is not its own.

    A web page anywhere can let its own name point to 127.0.0.1 (DNS rebinding), and the browser of a person at this
    machine then sends that page's requests to us, as if they were its own; but the page's name stays in the Host
    field (RFC 9110 7.2). An agent that listens for other machines has names that it cannot know; it demands a login.
    """

    def __init__(self, app: ASGIApp, listen: str, hosts: Sequence[str] = ()) -> None:
        self._app = app
        self._any = not hosts and not is_loopback(listen)
        self._names = {name.lower() for name in (listen, *hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 421 (RFC 9110 15.5.20)."""
        host = Headers(scope=scope).get("host")
        if self._any or host is None or self._knows(host):  # no browser leaves it out
            await self._app(scope, receive, send)
            return
        refusal = PlainTextResponse("this agent is not known by the host name that was asked for\n", 421)
        await refusal(scope, receive, send)

    def _knows(self, host: str) -> bool:
        name = _without_port(host).lower()
        return is_loopback(name) or name in self._names


def bears(authorization: str, token: str) -> bool:
    """Tell whether a field Authorization bears *token* (RFC 6750 2.1); takes as long for a wrong one as for a right."""
    return hmac.compare_digest(credentials(authorization, "bearer"), token.encode())


def credentials(authorization: str, scheme: str) -> bytes:
    """Return what follows the scheme in a field Authorization, as it was sent; nothing if the scheme is another."""
    said, _, rest = authorization.partition(" ")
    return rest.strip().encode("latin-1") if said.lower() == scheme else b""


def _without_port(host: str) -> str:
    """Take the port off a field Host, and the brackets off an IPv6 address."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")
