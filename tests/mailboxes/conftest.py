"""Two kinds of IMAP server on loopback: pymap, which is real, and one that plays a script, which need not be."""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
from argparse import Namespace
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
import trustme
from proxyprotocol.sock import SocketInfo
from pymap.backend.dict import Config, Login
from pymap.backend.dict.filter import FilterSet
from pymap.backend.dict.mailbox import MailboxSet
from pymap.concurrent import Subsystem
from pymap.config import BackendCapability
from pymap.imap import IMAPServer
from pymap.parsing.message import AppendMessage
from pymap.user import UserMetadata
from pysasl import SASLAuth
from pysasl.creds.external import ExternalCredentials
from pysasl.creds.plain import PlainCredentials
from pysasl.hashing import Cleartext

from agent.clock import SystemClock
from checks.mailboxes.imap import Imap
from checks.ports import Tools
from checks.wire.credentials import BearerToken, Password

ADDRESS = "canary@contoso.example"
PASSWORD = "opensesame"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
CAPABILITIES = b"IMAP4rev1 IDLE UIDPLUS AUTH=PLAIN AUTH=XOAUTH2 SASL-IR LITERAL+"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def nothing_left_running():
    """No test leaves a reader's thread behind."""
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("imap-"):
            thread.join(2)
            assert not thread.is_alive(), thread.name


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="session")
def server_tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
async def reader_for():
    """Build readers of a port on loopback, which are closed after the test."""
    async with AsyncExitStack() as stack:

        def build(port, *, address=ADDRESS, secret=PASSWORD, bearer=False, clock=None, **settings):
            kind = BearerToken if bearer else Password
            tools = Tools(clock=clock or SystemClock(), credentials={"app": kind(address, lambda: secret)})
            settings = {"host": "localhost", "tls": "none", "folders": ["INBOX"], "timeout": "5s", **settings}
            model = Imap.Settings.model_validate({"port": port, "credential": "app", "address": address, **settings})
            reader = Imap("test", model, tools)
            stack.push_async_callback(reader.close)
            return reader

        yield build


class Unhashed(Cleartext):
    """Compares any text; pysasl's own does so for ASCII only."""

    def verify(self, secret, hash):  # noqa: A002 - pysasl's name
        return secret == hash


class PymapConfig(Config):
    """pymap with its dictionary in memory, passwords and tokens, and no password hashing."""

    def __init__(self, *, idle=True, **extra):
        self._idle = idle
        super().__init__(
            Namespace(passlib_cfg=None, proxy_protocol=None),
            demo_data=False,
            demo_user="",
            demo_password="",
            host=None,
            port=0,
            invalid_user_sleep=0.0,
            hash_context=Unhashed(),
            cpu_subsystem=Subsystem.for_asyncio(),
            **extra,
        )

    @property
    def backend_capability(self):
        return BackendCapability(idle=self._idle, object_id=True, multi_append=True)

    @property
    def tls_auth(self):
        return SASLAuth.named([b"PLAIN", b"XOAUTH2"])


class PymapLogin(Login):
    async def authenticate(self, credentials):
        if isinstance(credentials, ExternalCredentials):
            credentials = PlainCredentials(credentials._authzid, credentials._token)
        return await super().authenticate(credentials)


@dataclass
class Pymap:
    """A running pymap with one account, whose mailbox can be filled from behind the server's back."""

    port: int
    folders: MailboxSet
    commands: list[bytes] = field(default_factory=list)
    connections: int = 0

    async def deliver(self, text=b"", *, folder="INBOX", stored=None):
        content = b"Subject: hello\r\n" + text + b"\r\nbody\r\n"
        box = await self.folders.get_mailbox(folder)
        return (await box.append(AppendMessage(content, stored or datetime.now(UTC), frozenset()))).uid

    async def flags(self, uid, folder="INBOX"):
        box = await self.folders.get_mailbox(folder)
        return {message.uid: message.permanent_flags async for message in box.messages()}.get(uid)


@pytest.fixture
async def pymap_for():
    """Start pymap servers; *context* makes them speak TLS, at once or after STARTTLS."""
    async with AsyncExitStack() as stack:

        async def start(*, secret=PASSWORD, context=None, starttls=False, **extra):
            config = PymapConfig(
                tls_enabled=starttls, ssl_context=context or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), **extra
            )
            config.apply_context()
            login = PymapLogin(config)
            login.users_dict[ADDRESS] = UserMetadata(config, ADDRESS, password=secret)
            folders = MailboxSet()
            config.set_cache[ADDRESS] = (folders, FilterSet())
            pymap = Pymap(0, folders)
            serve = IMAPServer(login, config)

            async def connected(reader, writer):
                pymap.connections += 1
                read = reader.readline

                async def readline():
                    pymap.commands.append(await read())
                    return pymap.commands[-1]

                reader.readline = readline
                await serve(reader, writer, SocketInfo.get(writer, None))

            server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=None if starttls else context)
            stack.push_async_callback(_stop, server)
            pymap.port = server.sockets[0].getsockname()[1]
            return pymap

        yield start


async def _stop(server):
    server.close()
    current = asyncio.current_task()
    others = [task for task in asyncio.all_tasks() if task is not current and "connected" in repr(task.get_coro())]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Peer:
    """The server's end of one connection in a script."""

    def __init__(self, reader, writer):
        self._reader = reader
        self._writer = writer
        self.tag = b""

    async def say(self, data):
        self._writer.write(data)
        await self._writer.drain()

    async def line(self):
        return (await self._reader.readline()).rstrip(b"\r\n")

    async def expect(self, pattern):
        """Read a command that *pattern* matches, and remember its tag; return the match."""
        line = await self.line()
        self.tag, _, command = line.partition(b" ")
        match = re.match(pattern, command)
        assert match, f"expected {pattern!r}, got {line!r}"
        return match

    async def answer(self, pattern, *untagged, done=b"OK done"):
        """Expect a command, answer it; ``{tag}`` is left to the caller who wants odd orders."""
        match = await self.expect(pattern)
        await self.say(b"".join(b"* " + line + b"\r\n" for line in untagged) + self.tag + b" " + done + b"\r\n")
        return match

    async def greet(self, capabilities=CAPABILITIES):
        await self.say(b"* OK ready\r\n")
        await self.answer(rb"CAPABILITY", b"CAPABILITY " + capabilities)

    async def log_in(self, capabilities=CAPABILITIES):
        await self.greet(capabilities)
        await self.answer(rb"AUTHENTICATE", b"CAPABILITY " + capabilities)

    async def open(self, *, validity=7, following=1, exists=0, name=rb'"INBOX"'):
        told = (b"%d EXISTS" % exists, b"OK [UIDVALIDITY %d] ok" % validity, b"OK [UIDNEXT %d] ok" % following)
        await self.answer(rb"SELECT " + name, *told, done=b"OK [READ-WRITE] done")

    async def begin(self, capabilities=CAPABILITIES, **folder):
        await self.log_in(capabilities)
        await self.open(**folder)

    async def idle(self):
        await self.expect(rb"IDLE")
        await self.say(b"+ IDLE accepted, awaiting DONE command.\r\n")

    async def done(self):
        assert await self.line() == b"DONE"
        await self.say(self.tag + b" OK IDLE completed.\r\n")

    async def gone(self):
        """Wait until the client has closed the connection."""
        await self._reader.read()

    def hang_up(self):
        self._writer.close()


STORED = b"23-Nov-2026 10:00:00 +0000"


def shown(uid, fields=b"Subject: x\r\n\r\n", *, seq=1, stored=STORED):
    """Write the FETCH response of one message, as a script says it."""
    told = b'%d FETCH (UID %d INTERNALDATE "%s" BODY[HEADER.FIELDS (SUBJECT)]<0> {%d}\r\n%s)'
    return told % (seq, uid, stored, len(fields), fields)


def dated(uid, stored=STORED, *, seq=1):
    """Write the FETCH response that tells when one message was stored."""
    return b'%d FETCH (UID %d INTERNALDATE "%s")' % (seq, uid, stored)


def at(uid, *, validity=7):
    """Write the cursor that stands at a message of `shown`."""
    return f"{validity}:{uid}:{int(datetime(2026, 11, 23, 10, tzinfo=UTC).timestamp())}"


@pytest.fixture
async def scripted():
    """Start servers that play one script a connection, in turn; a script that fails fails the test."""
    failures: list[BaseException] = []
    async with AsyncExitStack() as stack:

        async def start(*scripts: Callable[[Peer], Awaitable[None]], context=None):
            waiting = list(scripts)

            async def connected(reader, writer):
                try:
                    await waiting.pop(0)(Peer(reader, writer))
                except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - told at the end of the test
                    failures.append(error)
                finally:
                    writer.close()

            server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
            stack.push_async_callback(_stop, server)
            return server.sockets[0].getsockname()[1]

        yield start
    lost = [error for error in failures if not isinstance(error, asyncio.CancelledError | ConnectionError)]
    assert not lost, lost


@pytest.fixture
def kit():
    """What tests of this folder use besides servers."""
    return Namespace(shown=shown, dated=dated, at=at, LONG_AGO=LONG_AGO, ADDRESS=ADDRESS, CAPABILITIES=CAPABILITIES)
