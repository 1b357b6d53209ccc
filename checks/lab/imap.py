"""The mailboxes, served by pymap over implicit TLS, with Exchange's words and switchable faults.

Each mailbox has a port of its own, so that a fault of one leaves the others alone.
"""

from __future__ import annotations

import asyncio
import io
import ssl
from argparse import Namespace
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack, closing, suppress

from proxyprotocol.sock import SocketInfo
from pymap.backend.dict import Config, Identity, Login
from pymap.backend.dict.filter import FilterSet
from pymap.concurrent import Subsystem
from pymap.context import connection_exit, current_command
from pymap.exceptions import InvalidAuth
from pymap.imap import IMAPConnection
from pymap.imap.state import ConnectionState
from pymap.parsing import EndLine, Params, Space
from pymap.parsing.command import Command, CommandAuth
from pymap.parsing.command.nonauth import AuthenticateCommand, LoginCommand
from pymap.parsing.commands import Commands
from pymap.parsing.primitives import Atom
from pymap.parsing.response import CommandResponse, Response, ResponseBad, ResponseBye, ResponseNo, ResponseOk
from pymap.parsing.specials import AString
from pymap.user import UserMetadata
from pysasl import SASLAuth
from pysasl.creds.external import ExternalCredentials, ExternalVerificationRequired
from pysasl.creds.server import ServerCredentials
from pysasl.exception import AuthenticationError
from pysasl.hashing import Cleartext
from pysasl.mechanism import ChallengeResponse

from checks.lab.faults import FaultBoard
from checks.lab.headers import MAILBOX_SERVER
from checks.lab.imap_folders import DurableFolders
from checks.lab.listener import Listener, abort
from checks.lab.logins import Logins
from checks.lab.tenant import Account

_SERVER_WORD = b64encode(MAILBOX_SERVER.upper().encode("utf-16-le"))
_EXCHANGE_GREETING = b"The Microsoft Exchange IMAP4 service is ready. [" + _SERVER_WORD + b"]"
_OTHER_GREETING = b"IMAP4rev1 service ready"
_NOT_CONNECTED = b"User is authenticated but not connected."
_ROLE = "IMAP.AccessAsApp"
_BYE = b"Connection is closed. 13"


class InitialResponseAuthenticate(AuthenticateCommand):
    """AUTHENTICATE with an initial response (SASL-IR, RFC 4959), which Exchange lists and pymap has not."""

    initial: bytes | None = None

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[AuthenticateCommand, memoryview]:
        """Parse the command line after the command's name."""
        _, buf = Space.parse(buf, params)
        mechanism, buf = Atom.parse(buf, params)
        command = cls(params.tag, mechanism.value.upper())
        if bytes(buf[:1]) == b" ":
            _, buf = Space.parse(buf, params)
            response, buf = AString.parse(buf, params)
            command.initial = b"" if response.value == b"=" else response.value
        _, buf = EndLine.parse(buf, params)
        return command, buf


class MailboxConfig(Config):
    """What pymap wants to know about a server."""

    def __init__(self, account: Account) -> None:
        super().__init__(
            Namespace(passlib_cfg=None, proxy_protocol=None),
            demo_data=False,
            demo_user="",
            demo_password="",
            host=None,
            port=0,
            tls_enabled=False,
            invalid_user_sleep=0.0,
            hash_context=Cleartext(),
            # Comparing two short texts needs no thread pool.
            cpu_subsystem=Subsystem.for_asyncio(),
            max_append_len=35 * 1024 * 1024,
            bad_command_limit=10,
        )
        self._hosted = account.hosted

    @property
    def commands(self) -> Commands:
        """The commands, with SASL-IR."""
        commands = super().commands
        commands.register(InitialResponseAuthenticate)
        return commands

    @property
    def tls_auth(self) -> SASLAuth:
        """The mechanisms; the session is inside TLS from its first byte."""
        return SASLAuth.named([b"PLAIN", b"XOAUTH2"])

    @property
    def greeting(self) -> bytes:
        """The text of the greeting."""
        return _EXCHANGE_GREETING if self._hosted else _OTHER_GREETING

    @property
    def initial_capability(self) -> Sequence[bytes]:
        """What is offered before login: of Exchange's list, what pymap can do."""
        return [b"IMAP4", b"SASL-IR", b"UIDPLUS", b"MOVE", b"ID", b"CHILDREN", b"IDLE", b"LITERAL+"]

    @property
    def login_capability(self) -> Sequence[bytes]:
        """What login adds."""
        return []


class MailboxLogin(Login):
    """One account, by password or by an app's access token."""

    def __init__(self, config: Config, account: Account, logins: Logins) -> None:
        super().__init__(config)
        self._account = account
        self._logins = logins
        self.users_dict[account.address] = UserMetadata(config, account.address, password=logins.password(account))

    async def authenticate(self, credentials: ServerCredentials) -> Identity:
        """Check the credentials.

        Raises:
            InvalidAuth: they are wrong.
        """
        if not isinstance(credentials, ExternalCredentials):
            return await super().authenticate(credentials)
        try:
            credentials.verify(None)
        except ExternalVerificationRequired as required:
            mine = credentials.authzid.lower() == self._account.address
            if mine and self._logins.token_is_good(self._account, required.token or "", _ROLE):
                return Identity(credentials.authzid, self, None, frozenset())
        raise InvalidAuth

    async def authorize(self, authenticated: Identity, authzid: str) -> Identity:  # type: ignore[override]
        """Return whose mailbox it is; addresses are compared without regard to case."""
        if authzid.lower() != self._account.address:
            raise InvalidAuth
        return Identity(self._account.address, self, None, authenticated.roles)


class MailboxState(ConnectionState):
    """The commands, in Exchange's words."""

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__(mailbox.login, mailbox.config)
        self._mailbox = mailbox
        self._by_token = False

    @property
    def logged_in(self) -> bool:
        """True after a login."""
        return self._session is not None

    async def do_greeting(self) -> CommandResponse:
        """Greet, as Exchange does, without the capabilities."""
        await super().do_greeting()
        return ResponseOk(b"*", self.config.greeting)

    async def do_authenticate(
        self, cmd: AuthenticateCommand | LoginCommand, creds: ServerCredentials | None
    ) -> CommandResponse:
        """Log in."""
        refusal = ResponseNo(cmd.tag, cmd.command + b" failed.")
        if self._mailbox.has("imap_login_refused"):
            return refusal
        try:
            await super().do_authenticate(cmd, creds)
        except InvalidAuth:
            return refusal
        self._by_token = isinstance(creds, ExternalCredentials)
        return ResponseOk(cmd.tag, cmd.command + b" completed.")

    async def do_command(self, cmd: Command) -> CommandResponse:
        """Answer a command; an app without a permission on the mailbox finds out after its login."""
        if self._by_token and isinstance(cmd, CommandAuth) and not self._mailbox.admits_app():
            return ResponseBad(cmd.tag, _NOT_CONNECTED)
        return await super().do_command(cmd)


class MailboxSession(IMAPConnection):
    """One connection."""

    # The base class has __slots__; without them here, instances may also carry what the lab needs.
    def __init__(self, mailbox: Mailbox, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(mailbox.config.commands, mailbox.config, reader, writer, SocketInfo.get(writer, None))
        self.state = MailboxState(mailbox)
        self.kept_silent = False
        self._mailbox = mailbox

    def cut(self) -> None:
        """Close the connection at once."""
        abort(self.writer.transport)

    def say_bye(self) -> None:
        """Close the connection in the way of the protocol."""
        self.writer.write(bytes(ResponseBye(_BYE)))
        self.writer.close()

    async def authenticate(self, state: ConnectionState, mech_name: bytes) -> ServerCredentials | None:
        """Read the credentials, from the command itself where they stand there."""
        initial = getattr(current_command.get(), "initial", None)
        mechanism = state.auth.get_server(mech_name)
        if initial is None or mechanism is None:
            return await super().authenticate(state, mech_name)
        try:
            response = b64decode(initial, validate=True)
        except Base64Error:
            raise AuthenticationError("Command Argument Error. 11") from None
        credentials, _ = mechanism.server_attempt([ChallengeResponse(b"", response)])
        return credentials

    async def write_response(self, resp: Response) -> None:
        """Answer."""
        await self._write([resp])

    async def write_updates(self, untagged: Iterable[Response]) -> None:
        """Announce changes during IDLE."""
        await self._write(untagged)

    async def _write(self, responses: Iterable[Response]) -> None:
        """Write, unless a fault forbids it; all at once.

        pymap writes word by word, and a client that reads without blocking, as IMAPClient does during IDLE, then meets
        half a line and gives up.
        """
        if self._mailbox.has("imap_silent"):
            self.kept_silent = True
            return
        whole = io.BytesIO()
        for response in responses:
            await response.async_write(whole)
        if self.writer.is_closing():
            return
        with suppress(OSError):
            self.writer.write(whole.getvalue())
            await self.writer.drain()
        if self.state.logged_in and self._mailbox.has("imap_bye") and not self.writer.is_closing():
            self.say_bye()


class Mailbox:
    """A mailbox and its port."""

    def __init__(
        self,
        account: Account,
        folders: DurableFolders,
        faults: FaultBoard,
        *,
        port: int,
        tls: ssl.SSLContext,
        logins: Logins,
    ) -> None:
        self.config = MailboxConfig(account)
        self.config.set_cache[account.address] = (folders, FilterSet())
        self.login = MailboxLogin(self.config, account, logins)
        self.listener: Listener[MailboxSession] = Listener(account.mailbox, port, self._protocol, tls)
        self._account = account
        self._faults = faults
        self._logins = logins
        self._tasks: set[asyncio.Task[None]] = set()

    def has(self, fault: str) -> bool:
        """Tell whether a fault of this mailbox is on."""
        return self._faults.is_on(self._account.mailbox, fault)

    def admits_app(self) -> bool:
        """Tell whether the app has a permission on the mailbox."""
        return self._logins.may_use(self._account.mailbox)

    async def apply_faults(self) -> None:
        """Open or close the port and cut sessions, as the faults of the moment want it."""
        if self.has("imap_down"):
            self.listener.close()
            return
        await self.listener.open()
        for session in list(self.listener.sessions):
            if self.has("imap_bye") and not session.kept_silent:
                session.say_bye()
            elif session.kept_silent and not self.has("imap_silent"):
                # Answers are missing: the client could never make sense of the next one.
                session.cut()

    async def close(self) -> None:
        """Close the port and end the sessions."""
        self.listener.close()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), self._connected)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = MailboxSession(self, reader, writer)
        self.listener.sessions.add(session)
        try:
            async with AsyncExitStack() as stack:
                connection_exit.set(stack)
                stack.enter_context(closing(session))
                # A client that goes away in the middle of a line, or sends one without end, is no event.
                with suppress(OSError, EOFError, ValueError):
                    await session.run(session.state)
        finally:
            self.listener.sessions.discard(session)
