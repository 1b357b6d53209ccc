"""Sending over SMTP: what every SMTP path does with one message. The paths differ in their settings only."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from checks.core.model import Accepted, Cause, Certificate, Refused, Reply, Stage
from checks.core.roles import Use, doubt
from checks.errors import LocalFault, TokenRefused
from checks.ports import Credential, Endpoint, Login, Tools
from checks.wire.dns import Resolver
from checks.wire.handover import Handover, HandoverEnded
from checks.wire.link import Link
from checks.wire.lookups import LOOK_UPS
from checks.wire.opening import Plan, open_session
from checks.wire.rehearsal import Rehearsal, look_at_certificates, rehearse
from checks.wire.session import OK, Session
from checks.wire.smtp_settings import SmtpSettings, split_nameserver
from checks.wire.tls import TlsClient

_RSET_LIMIT = 5.0
_NAME_LIMIT = 2.0
_QUALIFIED_NAME = re.compile(r"(?!localhost\b)[A-Za-z0-9](?:[A-Za-z0-9-]*)(?:\.[A-Za-z0-9-]+)+")
_IN_BRACKETS = re.compile(r"[!-;=?-~]*")  # printable ASCII without space, < and >
_SERVICE_CLOSING = 421
_PERMANENT = 500


class SmtpPath:
    """Hands messages over by SMTP (RFC 5321), one recipient to a transaction.

    With ``session: kept`` at most one idle connection is kept. A message that finds it in use gets a connection of
    its own; one that the server has closed meanwhile is replaced before MAIL, and never once a message is under way.
    """

    Settings: ClassVar[type[SmtpSettings]] = SmtpSettings

    def __init__(self, name: str, settings: SmtpSettings, tools: Tools) -> None:
        self._settings = settings
        self._clock = tools.clock
        self._observe = tools.observe
        self._credential = _credential(name, settings, tools)
        certificate = settings.client_certificate
        self._tls = TlsClient(settings.ca_file, certificate.file if certificate else None)
        self._resolver = Resolver([split_nameserver(server) for server in settings.nameservers])
        self._links: set[Link] = set()
        self._idle: Session | None = None
        self._helo: str | None = settings.helo
        self._helo_known = settings.helo is not None

    def endpoint(self) -> Endpoint:
        """Tell where it connects to: the host, or the domain whose mail hosts it looks up."""
        settings = self._settings
        return Endpoint(host=settings.host or settings.domain or "", port=settings.port, tls=settings.tls)

    def certificates(self) -> Sequence[tuple[str, Certificate]]:
        """List our own certificates by role; those of servers are in the transcripts.

        Raises:
            LocalFault: the client certificate's file cannot be used.
        """
        own = self._tls.client_certificate()
        return [("client", own)] if own is not None else []

    async def send(self, sender: str, recipient: str, message: bytes) -> Accepted | Refused:
        """Hand *message* over for one recipient; whatever the other side says or does is a value.

        Raises:
            LocalFault: we could not try; nothing was handed over.
        """
        record = self._record(sender, recipient)
        session: Session | None = None
        try:
            session = await self._session(record)
            reply = await _transact(session, sender, recipient, message)
        except HandoverEnded as end:
            refused = record.refused(end)
            if session is not None:
                self._part(session, well=end.cause is Cause.REPLY and not _closing(end.reply))
            return refused
        except BaseException:
            if session is not None:
                session.link.abort()
            raise
        accepted = record.accepted(reply)
        self._part(session, well=True)
        return accepted

    async def rehearse(self, sender: str, recipient: str) -> Rehearsal:
        """Do all that `send` does up to DATA, on a connection of its own, and take it back: nothing is sent.

        Raises:
            LocalFault: we could not try.
        """
        record = self._record(sender, recipient)
        untold: HandoverEnded | None = None
        try:
            plan = await self._plan(record)
        except HandoverEnded as no_token:  # the server can be tried without one, up to the login
            record = self._record(sender, recipient)
            untold, plan = no_token, await self._plan(record, login=False)
        record.begin()
        return await rehearse(record, self._opened(record, plan), sender, recipient, self._clock, unless=untold)

    async def look_at_certificates(self) -> Sequence[bytes]:
        """Return the certificates that the server shows, in DER, leaf first, even if they cannot be trusted.

        Raises:
            LocalFault: we could not try.
        """
        record = self._record("", "")
        return await look_at_certificates(record, await self._plan(record, login=False))

    async def close(self) -> None:
        """Close every connection, those too that wait for the answer to QUIT."""
        self._idle = None
        links = tuple(self._links)
        for link in links:
            link.abort()
        for link in links:
            await link.wait_closed()

    def _record(self, sender: str, recipient: str) -> Handover:
        for address in (sender, recipient):
            if not _IN_BRACKETS.fullmatch(address):
                raise LocalFault(f"{address[:80]!r} cannot be written in an SMTP command")
        where = self.endpoint()
        return Handover(self._clock, self._settings.timeouts, f"{where.host}:{where.port}", self._observe)

    async def _session(self, record: Handover) -> Session:
        session, self._idle = self._idle, None
        if session is not None:
            alive = False
            try:
                alive = await _revived(session, record)
            finally:
                if not alive:
                    session.link.abort()
            if alive:
                return session
        plan = await self._plan(record)
        record.begin()
        return await self._opened(record, plan)

    async def _opened(self, record: Handover, plan: Plan) -> Session:
        try:
            return await open_session(record, plan)
        except HandoverEnded as end:
            self._doubt(end, plan.login)
            raise

    async def _plan(self, record: Handover, *, login: bool = True) -> Plan:
        shown = await self._login(record) if login else None
        if not self._helo_known:
            self._helo, self._helo_known = await _own_name(), True
        return Plan(
            settings=self._settings,
            resolver=self._resolver,
            context=None if self._settings.tls == "none" else await self._tls.context(),
            login=shown,
            helo=self._helo,
            links=self._links,
        )

    async def _login(self, record: Handover) -> Login | None:
        """Obtain the login; an app's token does not say which mailbox is meant."""
        if self._credential is None:
            return None
        try:
            login = await self._credential.login("smtp")
        except TokenRefused as refused:
            raise record.no_token(refused) from refused
        return login if login.username else replace(login, username=self._settings.mailbox or self._settings.sender)

    def _doubt(self, end: HandoverEnded, login: Login | None) -> None:
        """Where a login was refused for good, ask for another next time, and say what its token lacks."""
        if self._credential is None or login is None or end.stage is not Stage.AUTH or end.reply is None:
            return
        if end.reply.code >= _PERMANENT:
            self._credential.reject(login)
            end.detail = end.detail or doubt(login.roles, Use.SMTP)

    def _part(self, session: Session, *, well: bool) -> None:
        """Keep the session, say goodbye or hang up; without waiting in any case."""
        if not well:
            session.link.abort()
        elif self._settings.session == "kept" and self._idle is None and session.idle_and_well:
            self._idle = session
        else:
            session.link.quit()


async def _transact(session: Session, sender: str, recipient: str, message: bytes) -> Reply:
    """Do one mail transaction (RFC 5321 3.3) and return the reply with which the server takes the message over.

    MAIL needs no parameters: the message is 7-bit ASCII, and small.
    """
    async with session.record.timed(Stage.ENVELOPE):
        await session.demand(Stage.MAIL, f"MAIL FROM:<{sender}>", OK)
        await session.demand(Stage.RCPT, f"RCPT TO:<{recipient}>", OK)
    async with session.record.timed(Stage.DATA):
        await session.demand(Stage.DATA, "DATA", {354})
        answer = await session.deliver(message)
        return session.check(Stage.DATA, answer, {250}).reply


async def _revived(session: Session, record: Handover) -> bool:
    """Tell whether a kept session can take another message, by asking the server."""
    if session.idle_and_well:
        session.adopt(record)
        try:
            async with record.timed(Stage.ENVELOPE, _RSET_LIMIT):
                await session.demand(Stage.ENVELOPE, "RSET", OK)
        except HandoverEnded as end:
            record.remark(str(end))
        else:
            return True
    record.remark("the kept connection is gone: opening a new one")
    record.connected, record.tls = False, None
    return False


async def _own_name() -> str | None:
    """Find the machine's fully qualified name; None where it has none. It may take a look-up, so it has a limit."""
    name = socket.gethostname()
    if not _QUALIFIED_NAME.fullmatch(name):
        try:
            async with asyncio.timeout(_NAME_LIMIT):
                name = await LOOK_UPS.ask(socket.getfqdn)
        except OSError:  # the time is up, or there is no thread to ask in
            return None
    return name if _QUALIFIED_NAME.fullmatch(name) else None


def _credential(name: str, settings: SmtpSettings, tools: Tools) -> Credential | None:
    if settings.credential is None:
        return None
    try:
        return tools.credentials[settings.credential]
    except KeyError:
        known = ", ".join(sorted(tools.credentials)) or "none"
        raise LocalFault(f"path {name}: there is no credential {settings.credential!r}; there are: {known}") from None


def _closing(reply: Reply | None) -> bool:
    return reply is not None and reply.code == _SERVICE_CLOSING
