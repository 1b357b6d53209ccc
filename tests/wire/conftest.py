"""A scripted SMTP server, a small DNS server, certificates, and paths that talk to them; all on loopback."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme
from support.scripted import HOST, DnsServer, ScriptedServer

from agent.clock import SystemClock
from checks.ports import Credential, Tools
from checks.wire.smtp import SmtpPath
from checks.wire.smtp_settings import SmtpSettings

SENDER = "canary@tenant.example"
RECIPIENT = "inbox@tenant.example"
MESSAGE = b"Subject: canary\r\n\r\n.a line with a dot\r\n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="session")
def server_context(ca: trustme.CA) -> Callable[..., ssl.SSLContext]:
    """Make a server's TLS context; by default with a good certificate."""

    def make(*names: str, issuer: trustme.CA = ca, **options: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issuer.issue_cert(*(names or (HOST, "localhost", "mx1.tenant.example")), **options).configure_cert(context)
        return context

    return make


@pytest.fixture(scope="session")
def good_context(server_context: Callable[..., ssl.SSLContext]) -> ssl.SSLContext:
    return server_context()


@pytest.fixture
async def serve(good_context: ssl.SSLContext) -> AsyncIterator[Callable[..., Any]]:
    """Start scripted servers; answers are given as a mapping, the rest is a well-behaved server."""
    servers: list[ScriptedServer] = []

    async def start(
        answers: Mapping[str, Any] | None = None,
        *,
        host: str = HOST,
        port: int = 0,
        context: ssl.SSLContext | None = None,
        implicit: bool = False,
    ) -> ScriptedServer:
        server = ScriptedServer(context or good_context, implicit=implicit)
        server.answers.update(answers or {})
        await server.start(host, port)
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
async def name_server() -> AsyncIterator[DnsServer]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(DnsServer, local_addr=(HOST, 0))
    yield protocol
    transport.close()


@pytest.fixture
async def path_to() -> AsyncIterator[Callable[..., SmtpPath]]:
    """Make SMTP paths: without TLS to a server's port, unless told otherwise."""
    paths: list[SmtpPath] = []

    def make(
        server: ScriptedServer | None = None, *, credentials: Mapping[str, Credential] | None = None, **settings: Any
    ) -> SmtpPath:
        given = {"sender": SENDER, "tls": "none"} | settings
        if server is not None:
            given |= {"port": server.port}
        if "domain" not in given:
            given.setdefault("host", HOST)
        tools = Tools(clock=SystemClock(), credentials=credentials or {})
        path = SmtpPath("test", SmtpSettings.model_validate(given), tools)
        paths.append(path)
        return path

    yield make
    for path in paths:
        await path.close()


@pytest.fixture
def dead_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def send() -> Callable[..., Any]:
    """Send the test message on a path."""

    async def go(path: SmtpPath, message: bytes = MESSAGE) -> Any:
        return await path.send(SENDER, RECIPIENT, message)

    return go
