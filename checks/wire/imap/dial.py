"""What a session needs before its thread can begin: an address that answers, CAs to trust, and a login."""

from __future__ import annotations

import asyncio

from checks.errors import LocalFault, MailboxUnreadable, TokenRefused
from checks.ports import Credential
from checks.wire.credentials import unreadable_without
from checks.wire.dns import Resolver, Unresolvable
from checks.wire.imap.session import Opening, Server
from checks.wire.tcp import ConnectFailed, connect
from checks.wire.tls import TlsClient


async def dial(server: Server, tls: TlsClient, credential: Credential) -> Opening:
    """Obtain the login and connect by TCP; nothing is said to the server yet.

    Raises:
        MailboxUnreadable: reason login (no secret), token, tls (no CAs) or connect.
    """
    try:
        login = await credential.login("imap")
    except LocalFault as fault:
        raise MailboxUnreadable("login", str(fault)) from fault
    except TokenRefused as refused:
        raise unreadable_without(refused) from refused
    try:
        context = None if server.tls == "none" else await tls.context()
    except LocalFault as fault:
        raise MailboxUnreadable("tls", str(fault)) from fault
    where = f"could not connect to {server.host}, port {server.port}"
    try:
        async with asyncio.timeout(server.timeout):
            addresses = await Resolver().addresses(server.host, server.port)
            sock = await connect(addresses, None)
    except TimeoutError:
        raise MailboxUnreadable("connect", f"{where}: no answer within {server.timeout:g} s") from None
    except (LocalFault, Unresolvable, ConnectFailed) as failure:
        raise MailboxUnreadable("connect", f"{where}: {failure}") from failure
    return Opening(sock=sock, context=context, login=login)
