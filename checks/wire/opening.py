"""From a name to a session that is ready for MAIL: look up, connect, greet, secure, log in."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from dataclasses import dataclass

from checks.core.model import Cause, Stage
from checks.core.reply import clean_text
from checks.errors import LocalFault
from checks.ports import Login
from checks.wire.dns import Resolver, Unresolvable
from checks.wire.handover import Handover, HandoverEnded
from checks.wire.link import Link
from checks.wire.sasl import authenticate
from checks.wire.session import Session
from checks.wire.smtp_settings import SmtpSettings
from checks.wire.tcp import ConnectFailed, connect
from checks.wire.tls import sent_chain, tls_facts, tls_failure

_BEFORE_MAIL = {Stage.DNS, Stage.CONNECT, Stage.GREETING}
_PERMANENT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that is needed to open a session. What can fail on our side has been done when there is one.

    `helo` is the name to greet with, None for the address literal; `links` is where open connections are kept.
    """

    settings: SmtpSettings
    resolver: Resolver
    context: ssl.SSLContext | None
    login: Login | None
    helo: str | None
    links: set[Link]


async def open_session(record: Handover, plan: Plan) -> Session:
    """Open a session with the host, or with the first MX host of the domain that is ready (RFC 5321 5.1).

    Raises:
        HandoverEnded: there is none; of several failures the one in which a server spoke.
        LocalFault: this machine could not even try.
    """
    failure: HandoverEnded | LocalFault | None = None
    for host in await _hosts(record, plan):
        try:
            return await _open(record, plan, host)
        except HandoverEnded as end:
            if not _another_may_do(end):
                raise
            failure = end if end.reply or not isinstance(failure, HandoverEnded) else failure
            record.remark(f"{host}: {end}")
        except LocalFault as fault:
            failure = failure or fault
    raise failure or LocalFault("there is no host to connect to")


def _another_may_do(end: HandoverEnded) -> bool:
    refused_for_good = end.reply is not None and end.reply.code >= _PERMANENT
    return end.stage in _BEFORE_MAIL and not refused_for_good


async def _hosts(record: Handover, plan: Plan) -> list[str]:
    if plan.settings.domain is None:
        return [plan.settings.host or ""]
    async with record.timed(Stage.DNS):
        try:
            hosts = await plan.resolver.mail_hosts(plan.settings.domain)
        except Unresolvable as error:
            raise HandoverEnded(Stage.DNS, Cause.NAME, str(error)) from error
    record.remark(f"mail hosts of {plan.settings.domain}: {', '.join(hosts)}")
    return hosts


async def _open(record: Handover, plan: Plan, host: str) -> Session:
    link = await _connect(record, plan, host)
    session = Session(link, record, host)
    try:
        await _prepare(session, plan)
    except HandoverEnded as end:
        # Who has answered is told goodbye; a connection on which anything else happened cannot be talked on.
        if end.cause in {Cause.REPLY, Cause.NOT_OFFERED}:
            link.quit()
        else:
            link.abort()
        raise
    except BaseException:
        link.abort()
        raise
    return session


async def _connect(record: Handover, plan: Plan, host: str) -> Link:
    port = plan.settings.port
    record.endpoint = f"{host}:{port}"
    async with record.timed(Stage.DNS):
        try:
            addresses = await plan.resolver.addresses(host, port, mx=plan.settings.domain is not None)
        except Unresolvable as error:
            raise HandoverEnded(Stage.DNS, Cause.NAME, str(error)) from error
    async with record.timed(Stage.CONNECT):
        try:
            connection = await connect(addresses, plan.settings.source_address)
        except ConnectFailed as error:
            raise HandoverEnded(Stage.CONNECT, Cause.CONNECT, str(error)) from error
        record.connected = True
        record.endpoint = f"{host} [{connection.getpeername()[0]}]:{port}"
        try:
            _, link = await asyncio.get_running_loop().create_connection(lambda: Link(plan.links), sock=connection)
        except BaseException:
            connection.close()
            raise
    record.local_address = link.local_address
    record.remark(f"connected to {record.endpoint}")
    return link


async def _prepare(session: Session, plan: Plan) -> None:
    settings, record = plan.settings, session.record
    name = plan.helo or _address_literal(session.link.local_address)
    if settings.tls == "implicit":
        async with record.timed(Stage.STARTTLS):
            await _handshake(session, plan)
    async with record.timed(Stage.GREETING):
        await session.greeting()
        await session.hello(name)
    if settings.tls in {"required", "opportunistic"}:
        await _starttls(session, plan, name)
    if plan.login is not None:
        async with record.timed(Stage.AUTH):
            await authenticate(session, plan.login)


async def _starttls(session: Session, plan: Plan, name: str) -> None:
    record = session.record
    if "starttls" not in session.extensions:
        if plan.settings.tls == "opportunistic":
            record.remark("STARTTLS is not offered: going on in plain text")
            return
        offered = ", ".join(session.extensions).upper() or "nothing"
        raise HandoverEnded(
            Stage.STARTTLS,
            Cause.NOT_OFFERED,
            clean_text(f"TLS is required, but EHLO offers no STARTTLS: {offered}", 400),
        )
    async with record.timed(Stage.STARTTLS):
        await session.demand(Stage.STARTTLS, "STARTTLS", {220})
        if session.link.unasked:
            raise HandoverEnded(
                Stage.STARTTLS, Cause.GARBAGE, "plain text came between the answer to STARTTLS and the TLS handshake"
            )
        await _handshake(session, plan)
        await session.hello(name)


async def _handshake(session: Session, plan: Plan) -> None:
    """Do the TLS handshake. What was learned before it is void, the caller has to ask again (RFC 3207 4.2)."""
    record, link = session.record, session.link
    limit = plan.settings.timeouts.starttls
    assert plan.context is not None  # noqa: S101 - there is one unless tls is none
    if link.answered:
        raise HandoverEnded(
            Stage.STARTTLS, Cause.TLS, f"{session.host} speaks plain text on this port: use tls: required"
        )
    try:
        # The stage's own limit ends first and has the better words.
        connection = await link.secure(plan.context, session.host, limit + 1)
    except ssl.SSLError as error:
        raise HandoverEnded(Stage.STARTTLS, Cause.TLS, tls_failure(error, session.host)) from error
    except OSError as error:
        detail = f"{session.host} ended the connection in the TLS handshake"
        raise HandoverEnded(Stage.STARTTLS, Cause.DROPPED, detail) from error
    except ValueError as error:
        detail = f"{session.host} is no name that a certificate can carry"
        raise HandoverEnded(Stage.STARTTLS, Cause.TLS, detail) from error
    session.tls = record.tls = tls_facts(connection)
    record.sent_chain = sent_chain(connection)
    session.extensions, session.mechanisms = {}, []
    record.remark(f"{session.tls.version}, {session.tls.cipher}")


def _address_literal(local: str) -> str:
    """Return our address as EHLO wants it where there is no name (RFC 5321 4.1.3)."""
    bare = ipaddress.ip_address(local.partition("%")[0])
    return f"[{bare}]" if bare.version == 4 else f"[IPv6:{bare}]"  # noqa: PLR2004 - the protocol's own name
