"""An SMTP session with faults at every stage of the dialogue, in Exchange Online's words.

aiosmtpd reads the protocol. This class knows the client, the stages and the words; `checks.lab.smtp` adds what
Exchange Online does beyond aiosmtpd.
"""

# ruff: noqa: N802  aiosmtpd finds commands by methods with names like smtp_EHLO

from __future__ import annotations

import asyncio
import collections
import contextlib
import re
import secrets
import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from aiosmtpd.smtp import SMTP

from checks.lab.faults import Act, Broken, FaultBoard, Stage
from checks.lab.listener import abort
from checks.lab.tenant import PathName, Peer

MESSAGE_LIMIT = 35 * 1024 * 1024
"""Bytes of a message that a mailbox takes (the default of Exchange Online)."""
_COMMAND_LIMIT = 512  # bytes, RFC 5321 section 4.5.3.1.4
_AUTH_LIMIT = 12_288  # bytes, RFC 4954 section 4: room for a token
_HANDSHAKE_ALERT = b"\x15\x03\x03\x00\x02\x02\x28"  # TLS record: fatal alert, handshake_failure

# What aiosmtpd says of its own accord, and what Exchange says in its place.
_WORDS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"220 Ready to start TLS", "220 2.0.0 SMTP server ready"),
        (r"354 ", "354 Start mail input; end with <CRLF>.<CRLF>"),
        (r"503 Error: send ", "503 5.5.2 Send hello first"),
        (r"503 Error: need MAIL", "503 5.5.2 Need mail command"),
        (r"503 Error: need RCPT", "503 5.5.2 Need rcpt command"),
        (r"503 Error: nested MAIL", "503 5.5.2 Sender already specified"),
        (r"503 Already authenticated", "503 5.5.2 Already authenticated"),
        (r"504 |538 ", "504 5.7.4 Unrecognized authentication type"),
        (r"(500 Error: command|502 )", "500 5.3.3 Unrecognized command"),
        (r"552 ", "552 5.3.4 Message size exceeds fixed maximum message size"),
        (r"50[01] |553 |555 ", "501 5.5.4 Invalid arguments"),
    )
)


class StagedSMTP(SMTP):
    """One session.

    Args:
        hooks: aiosmtpd's handler.
        path: whose faults count here.
        host: the name in the greeting and after refusals.
        faults: what is broken.
        context: returns the certificate to show at the next handshake; None for a handshake that fails.
        sessions: where the session is listed while it lasts.
        excluded: mechanisms of AUTH that aiosmtpd shall not know.
    """

    line_length_limit = _AUTH_LIMIT + len("AUTH XOAUTH2 \r\n")
    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"

    def __init__(
        self,
        hooks: object,
        *,
        path: PathName,
        host: str,
        faults: FaultBoard,
        context: Callable[[], ssl.SSLContext | None],
        sessions: set[StagedSMTP],
        excluded: set[str],
    ) -> None:
        # aiosmtpd keeps them in the class and clears them at every connection, under the feet of the others.
        self.command_size_limits = collections.defaultdict(lambda: _COMMAND_LIMIT)
        super().__init__(
            hooks,
            data_size_limit=MESSAGE_LIMIT,
            enable_SMTPUTF8=True,
            hostname=host,
            ident=f"Microsoft ESMTP MAIL Service ready at {format_datetime(datetime.now(UTC))}",
            auth_exclude_mechanism=excluded,
            loop=asyncio.get_running_loop(),
        )
        self.command_size_limits["AUTH"] = _AUTH_LIMIT
        self.peer = Peer("")
        self.path = path
        self._host = host
        self._faults = faults
        self._context = context
        self._sessions = sessions
        self._session_id = secrets.token_hex(8).upper()

    def suffixed(self, reply: str) -> str:
        """Add the server, the time and the session, which Microsoft support asks for."""
        now = datetime.now(UTC)
        return f"{reply} [{self._host} {now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z {self._session_id}]"

    async def push(self, status: Any) -> None:
        """Send a reply, in Exchange's words."""
        await super().push(_exchange_words(status) if isinstance(status, str) else status)

    async def read_answer(self) -> None:
        """Read a line of the client, whatever it says."""
        await self._reader.readline()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who the client is; comes a second time when TLS is up."""
        super().connection_made(transport)
        self.peer = _peer(transport, self.peer)
        self._sessions.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the session."""
        self._sessions.discard(self)
        super().connection_lost(error)

    def cut(self) -> None:
        """Close the connection at once."""
        abort(self._original_transport or self.transport)

    async def _handle_client(self) -> None:
        # Clients that vanish are no event; aiosmtpd would leave an exception that nobody fetches.
        with contextlib.suppress(OSError):
            if not await self.stopped(Stage.GREETING):
                await super()._handle_client()

    async def _leave(self) -> None:
        """Close the connection and end the session, without another word."""
        assert self._handler_coroutine is not None  # noqa: S101  set since connection_made
        self._handler_coroutine.cancel()
        if self.transport is not None:
            self.transport.close()
        await asyncio.sleep(0)

    async def stopped(self, stage: Stage, **facts: str) -> bool:
        """Do what the fault of this stage wants; return False when there is none."""
        broken = self._faults.at(self.path, stage)
        if broken is None:
            return False
        await self.suffer(broken, **facts)
        if stage is Stage.GREETING or broken.fault.reply.startswith("421"):
            await self._leave()
        return True

    async def suffer(self, broken: Broken, **facts: str) -> None:
        """Do what a fault wants; returns only after a reply."""
        if broken.fault.act is Act.REPLY:
            reply = broken.fault.reply.format(ip=self.peer.address, recipient=facts.get("recipient", ""))
            await self.push(self.suffixed(reply))
            return
        if broken.fault.act in {Act.HANG, Act.HANG_ACCEPTED}:
            await broken.healed.wait()
        await self._leave()

    async def smtp_EHLO(self, hostname: str) -> None:
        """EHLO."""
        if not await self.stopped(Stage.EHLO):
            await super().smtp_EHLO(hostname)
            self.peer = _with_helo(self.peer, hostname)

    async def smtp_HELO(self, hostname: str) -> None:
        """HELO."""
        if not await self.stopped(Stage.EHLO):
            await super().smtp_HELO(hostname)
            self.peer = _with_helo(self.peer, hostname)

    async def smtp_STARTTLS(self, arg: str) -> None:
        """STARTTLS (RFC 3207), with the certificate of the moment."""
        if await self.stopped(Stage.STARTTLS):
            return
        if self._faults.is_on(self.path, "tls_not_offered") or self._tls_protocol is not None:
            await self.push("500 5.3.3 Unrecognized command")
            return
        self.tls_context = self._context()
        if self.tls_context is None:
            await self.push("220 2.0.0 SMTP server ready")
            await self._reader.read(16_384)  # the ClientHello; unread, it would turn the alert into a reset
            self._writer.write(_HANDSHAKE_ALERT)
            await self._leave()
        await super().smtp_STARTTLS(arg)

    async def smtp_MAIL(self, arg: str | None) -> None:
        """MAIL."""
        if not await self.stopped(Stage.MAIL):
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str | None) -> None:
        """RCPT."""
        if not await self.stopped(Stage.RCPT, recipient=_between(arg or "")):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:
        """DATA."""
        if not await self.stopped(Stage.DATA):
            await super().smtp_DATA(arg)


def _exchange_words(status: str) -> str:
    if _enhanced(status):
        return status
    return next((words for pattern, words in _WORDS if pattern.match(status)), status)


def _enhanced(status: str) -> bool:
    """Tell whether a reply has an enhanced status code (RFC 3463): then it is ours already."""
    return re.match(r"\d{3} [245]\.\d+\.\d+ (?!Error|Encryption|Unrecognized authentication)", status) is not None


def _between(arg: str) -> str:
    """Return the address of a MAIL or RCPT argument, as written."""
    found = re.search(r"<([^<>]{0,320})>", arg)
    return found[1] if found else ""


def _with_helo(peer: Peer, hostname: str | None) -> Peer:
    return replace(peer, helo=(hostname or "")[:255])


def _peer(transport: asyncio.BaseTransport, before: Peer) -> Peer:
    """Read from the transport who the client is; the certificate counts only because TLS has verified it."""
    info: Callable[[str], Any] = transport.get_extra_info
    address = (info("peername") or (before.address,))[0]
    version, cipher = "", ""
    if agreed := info("cipher"):
        cipher, version = agreed[0], info("ssl_object").version()
    names = tuple(value.lower() for kind, value in (info("peercert") or {}).get("subjectAltName", ()) if kind == "DNS")
    return Peer(address, tls_version=version, tls_cipher=cipher, certificate_names=names)
