"""Settings that lead to scripted servers under Microsoft's names, and the doctor's report on them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from support.scripted import HOST, DnsServer, ScriptedServer

from agent.clock import SystemClock
from agent.config.load import load
from agent.doctor import Report, Status, examine

MX = "contoso-com.mail.protection.outlook.com"
DOMAIN = "contoso.test"
SENDER = f"canary@{DOMAIN}"
OUTSIDE = "canary@outside.test"
GREETING = b"220 AM0PR02CA0094.mail.protection.outlook.com Microsoft ESMTP MAIL Service ready\r\n"
PUBLIC = "20.50.0.7"
"""An address that the internet could see, as the scripted server tells it to be ours."""


class Silence:
    """Watches nothing."""

    def planned(self, subjects: Sequence[str]) -> None:
        """Nothing is shown."""

    def done(self, subject: str, status: Status) -> None:
        """Nothing is shown."""


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
def context_for(ca: trustme.CA) -> Callable[..., ssl.SSLContext]:
    """Make a server's TLS context; by default with a good certificate for the MX."""

    def make(*names: str, issuer: trustme.CA = ca, **options: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issuer.issue_cert(*(names or (MX, HOST)), **options).configure_cert(context)
        return context

    return make


@pytest.fixture
async def serve(context_for: Callable[..., ssl.SSLContext]) -> AsyncIterator[Callable[..., Any]]:
    """Start SMTP servers that greet as Exchange does, unless told otherwise."""
    servers: list[ScriptedServer] = []

    async def start(
        answers: Mapping[str, Any] | None = None, *, context: ssl.SSLContext | None = None, implicit: bool = False
    ) -> Any:
        server = ScriptedServer(context or context_for(), implicit=implicit)
        hello = b"250-AM0.mail.protection.outlook.com Hello [" + PUBLIC.encode() + b"]\r\n"
        server.answers |= {
            "greeting": GREETING,
            "EHLO": hello + b"250 STARTTLS\r\n",
            "EHLO over TLS": hello + b"250 AUTH LOGIN XOAUTH2\r\n",
        }
        server.answers |= answers or {}
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
async def name_server() -> AsyncIterator[DnsServer]:
    """A name server that knows where the MX is, and nothing else."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(DnsServer, local_addr=(HOST, 0))
    server.records[(MX, "A")] = [HOST]
    yield server
    transport.close()


@pytest.fixture
def write(tmp_path: Path, ca_file: Path, name_server: DnsServer) -> Callable[..., Path]:
    """Write settings: one path to a port of this machine, under the MX's name, and what else is given."""
    (tmp_path / "secret").write_text("a-secret-of-many-letters")
    (tmp_path / "secret").chmod(0o600)

    def settings(port: int, **changes: Any) -> Path:
        secret = {"file": str(tmp_path / "secret")}
        path = {
            "kind": "relay",
            "host": MX,
            "port": port,
            "sender": SENDER,
            "ca_file": str(ca_file),
            "nameservers": [name_server.address],
        }
        path |= changes.pop("path", {})
        content = {
            "agent": {
                "ledger": f"sqlite:///{tmp_path / 'ledger.db'}",
                "signing_keys": [{"id": "k1", "secret": secret}],
            },
            "credentials": {
                "app": changes.pop("credential", {"kind": "password", "username": SENDER, "password": secret})
            },
            "paths": {"way": {name: value for name, value in path.items() if value is not None}},
            "mailboxes": {
                "box": {
                    "kind": "imap",
                    "host": HOST,
                    "port": 1,  # nobody listens there
                    "tls": "none",
                    "credential": "app",
                    "address": OUTSIDE,
                    "timeout": "500ms",
                }
                | changes.pop("mailbox", {})
            },
            "checks": {"way": {"path": "way", "mailbox": "box", "every": "60s"} | changes.pop("check", {})},
            "alerts": changes.pop("alerts", {}),
        }
        assert not changes
        file = tmp_path / "relaycanary.yaml"
        file.write_text(yaml.safe_dump(content))
        return file

    return settings


@pytest.fixture
def report(write: Callable[..., Path]) -> Callable[..., Any]:
    """Examine settings that are written as told."""

    async def of(port: int, **changes: Any) -> Report:
        return await examine(load(write(port, **changes)), SystemClock(), Silence())

    return of


def statuses(report: Report, subject: str) -> dict[str, str]:
    """Return the worst status of each finding about *subject*, by id."""
    found: dict[str, str] = {}
    for finding in report.findings:  # worst first
        if finding.subject == subject:
            found.setdefault(finding.id, finding.status.value)
    return found


def finding(report: Report, subject: str, name: str) -> Any:
    """Return the worst finding of one kind about *subject*."""
    return next(one for one in report.findings if (one.subject, one.id) == (subject, name))


@pytest.fixture
def blackhole() -> Any:
    """A port that takes no connection and refuses none: its queue is full, and the kernel drops what comes."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((HOST, 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.fixture
def dead_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
