"""The real application on a real port of loopback, and a client that knows nothing but HTTP."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from agent.ledger import Ledger
from agent.report.archive import Archive
from agent.status import AgentView
from agent.web.app import create_app
from agent.web.server import serve
from agent.web.tls import ServerTls


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Client:
    """Sends one request at a time to the agent at *url*."""

    url: str

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.request("GET", path, **headers)

    async def request(self, method: str, path: str, *, body: bytes | None = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await asyncio.to_thread(self._request, method, path, named, body)

    def _request(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.url).hostname or "", self.port, timeout=10)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()


@dataclass
class Agent:
    """What the application is told of the agent; tests change it."""

    view: AgentView
    problems: str | None = None
    reloads: int = 0

    async def reload(self) -> str | None:
        self.reloads += 1
        return self.problems


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def agent() -> Agent:
    """An agent whose settings are in force."""
    return Agent(
        AgentView(
            site="ams1",
            version="1.2.3<script>",
            applied=True,
            now_at=1000.0,
            wall_offset=0.0,
            checks=(),
            paths=(),
            mailboxes=(),
            ledger_write_errors=0,
            reload_successful=True,
            reload_success_at=900.0,
        )
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of the ledger."""
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(file: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{file}") as opened:
        yield opened


@pytest.fixture
def serving(agent: Agent, ledger: Ledger, file: Path) -> Callable[..., AbstractAsyncContextManager[Client]]:
    """Serve the application with these options; the context yields a client."""

    @asynccontextmanager
    async def start(*, host: str = "127.0.0.1", tls: ServerTls | None = None, **options: Any) -> AsyncIterator[Client]:
        listen = f"[{host}]:0" if ":" in host else f"{host}:0"
        archive = Archive(file.parent / "reports")
        known: dict[str, Any] = {"token": None, "users": {}, "listen": listen, "archive": archive}
        app = create_app(view=lambda: agent.view, ledger=ledger, reload=agent.reload, **{**known, **options})
        async with serve(app, host, 0, tls) as url:
            yield Client(url)

    return start
