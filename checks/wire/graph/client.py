"""Requests to Graph for one mailbox: with a token, four at a time, bounded in time and size."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from checks.core.http import error_codes, error_reply, read_json
from checks.core.model import Reply, TlsFacts
from checks.errors import LocalFault
from checks.ports import Login
from checks.wire.graph.places import AT_ONCE, places_of
from checks.wire.graph.target import GraphTarget
from checks.wire.http import AGENT, HttpFailure, failure_of
from checks.wire.tls import TlsClient, tls_facts

LARGEST = 32 * 1024 * 1024
"""Bytes of an answer that are read at most: a page of messages with their headers has a few."""

_IMMUTABLE = 'IdType="ImmutableId"'
_CONNECT = 10.0
_LARGEST_ERROR = 65_536
_UNAUTHORIZED = 401


class NoAnswer(Exception):
    """There is no answer, or not all of it. `failure` says why; inside `checks` only."""

    def __init__(self, failure: HttpFailure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class GraphAnswer:
    """One answer. `login` is what it was asked with; `tls` is known of a fresh connection only."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    login: Login | None = None
    tls: TlsFacts | None = None

    @property
    def well(self) -> bool:
        """Tell whether it is a success."""
        return httpx.codes.is_success(self.status)

    @property
    def document(self) -> dict[str, Any]:
        """The body as a JSON object; empty if it is none."""
        found = read_json(self.body)
        return found if isinstance(found, dict) else {}

    @property
    def reply(self) -> Reply:
        """The answer as a reply: the status, and the error where there is one."""
        if self.well:
            return Reply(code=self.status, enhanced=None, text=httpx.codes.get_reason_phrase(self.status))
        return error_reply(self.status, self.body)

    @property
    def codes(self) -> frozenset[str]:
        """The codes of the error, the nested ones too."""
        return error_codes(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphRequest:
    """One request. `url` is absolute, or a path below the version; `content` goes as JSON.

    `prefer` are wishes (RFC 7240) beside that for immutable ids. An answer of more than `most` bytes is a failure, or
    `cut` there. `parts` is how many requests it is made of.
    """

    method: str
    url: str
    content: Any = None
    prefer: tuple[str, ...] = ()
    most: int = LARGEST
    cut: bool = False
    parts: int = 1


class GraphClient:
    """Asks Graph. Connections are kept, unless *fresh* says that each request shall have one of its own."""

    def __init__(self, target: GraphTarget, timeout: float, *, fresh: bool = False) -> None:
        self.target = target
        self._timeout = timeout
        self._fresh = fresh
        self._tls = TlsClient(target.service.ca_file)
        self._places = places_of(target.credential, target.mailbox)
        self._kept: httpx.AsyncClient | None = None

    async def ask(self, request: GraphRequest) -> GraphAnswer:
        """Return whatever Graph answers; if it does not take the token (401), that to a second try with a new one.

        Raises:
            NoAnswer: there was none.
            checks.errors.TokenRefused, checks.errors.LocalFault: there is no token, or we cannot connect.
        """
        login = await self.target.credential.login("graph")
        async with self.place(request.parts):
            return await self.ask_in_place(request, login)

    @asynccontextmanager
    async def place(self, parts: int = 1, *, limit: float | None = None) -> AsyncIterator[None]:
        """Wait until a request of so many *parts* could leave, as far as we are concerned, and hold its place.

        Raises:
            checks.errors.LocalFault: the CAs to trust cannot be used, or our own requests took longer than *limit*
                seconds to make room.
        """
        await self._tls.context()
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(limit):
                    await held.enter_async_context(self._places.taken(parts))
            except TimeoutError:
                raise LocalFault(
                    f"Graph was not asked: for {limit:g} s this agent's own requests for {self.target.mailbox} left no"
                    f" room for another one ({AT_ONCE} at a time)"
                ) from None
            yield

    async def ask_in_place(
        self, request: GraphRequest, login: Login, *, tell: Callable[[bool], None] | None = None
    ) -> GraphAnswer:
        """Ask as `ask` does, by *login*, for whoever holds a place already.

        *tell* is told False before the request leaves, and True when all of it has.
        """
        answer = await self._send(request, login, tell)
        if answer.status == _UNAUTHORIZED:
            credential = self.target.credential
            credential.reject(login)
            answer = await self._send(request, await credential.login("graph"), tell)
        return answer

    async def close(self) -> None:
        """Close the connections."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            await kept.aclose()

    async def _send(self, request: GraphRequest, login: Login, tell: Callable[[bool], None] | None) -> GraphAnswer:
        client = await self._client()
        try:
            async with asyncio.timeout(self._timeout):
                response = await client.send(self._built(client, request, login, tell), stream=True)
                tls = _tls(response) if self._fresh else None
                try:
                    body = await _read(response, request)
                finally:
                    await response.aclose()
        except (httpx.HTTPError, TimeoutError) as error:
            raise NoAnswer(self._failure(error)) from None  # the chain holds the request, and with it the token
        finally:
            if self._fresh:
                await client.aclose()
        if not response.is_success:
            body = body.replace(login.secret.encode(), b"***")  # some servers echo what they refuse
        return GraphAnswer(response.status_code, dict(response.headers), body, login, tls)

    def _built(
        self, client: httpx.AsyncClient, request: GraphRequest, login: Login, tell: Callable[[bool], None] | None
    ) -> httpx.Request:
        url = request.url if request.url.startswith("https://") else f"{self.target.root}{request.url}"
        headers = {"authorization": f"Bearer {login.secret}", "prefer": ", ".join((_IMMUTABLE, *request.prefer))}
        if request.content is not None:
            headers["content-type"] = "application/json"
        body = None if request.content is None else json.dumps(request.content).encode()
        trace = {} if tell is None else {"trace": _Telltale(tell)}
        return client.build_request(request.method, url, headers=headers, content=body, extensions=trace)

    async def _client(self) -> httpx.AsyncClient:
        if self._kept is not None:
            return self._kept
        made = httpx.AsyncClient(
            verify=await self._tls.context(),
            timeout=httpx.Timeout(self._timeout, connect=min(_CONNECT, self._timeout)),
            follow_redirects=False,
            headers={"user-agent": AGENT},
        )
        if not self._fresh:
            self._kept = made
        return made

    def _failure(self, error: Exception) -> HttpFailure:
        if isinstance(error, TimeoutError):
            error = httpx.ReadTimeout("the time is up")
        return failure_of(error, self.target.endpoint().host)


class _Telltale:
    """Follows a request through httpcore, and tells when all of it has been written; one to a proxy does not count."""

    def __init__(self, tell: Callable[[bool], None]) -> None:
        self._tell = tell
        self._ours = False
        tell(False)

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "http11.send_request_body.started":
            self._ours = info["request"].method != b"CONNECT"
        elif event == "http11.send_request_body.complete" and self._ours:
            self._tell(True)


def _tls(response: httpx.Response) -> TlsFacts | None:
    stream = response.extensions.get("network_stream")
    connection = stream.get_extra_info("ssl_object") if stream is not None else None
    return tls_facts(connection) if isinstance(connection, ssl.SSLObject) else None


async def _read(response: httpx.Response, request: GraphRequest) -> bytes:
    most, cut = (request.most, request.cut) if response.is_success else (_LARGEST_ERROR, True)
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > most:
            if not cut:
                raise httpx.RemoteProtocolError("the answer is too large")
            break
    return bytes(body[:most])
