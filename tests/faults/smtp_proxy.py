"""An SMTP proxy that goes wrong at one stage of the dialogue, in TLS, or in the message itself."""

from __future__ import annotations

import asyncio
import enum
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from faults.misbehaviour import Act, Ended, drip, gone, misbehave
from faults.proxy import Proxy

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class At(enum.StrEnum):
    """The stages; `DOT` is the answer to the final dot, `EHLO_TLS` the second EHLO, inside TLS."""

    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    HANDSHAKE = "handshake"
    EHLO_TLS = "ehlo_tls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"
    QUIT = "quit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong, and where. `taken`: the server got the message before the answer to the dot went wrong.

    `slowly` lets the true answer drip; `strip` takes a word out of the answer; `inject` follows it in one packet.
    """

    at: At
    act: Act | None = None
    taken: bool = False
    slowly: bool = False
    strip: bytes = b""
    inject: bytes = b""


REPLIES = {
    Act.DEFER: b"451 4.3.2 Temporary server error. Please try again later\r\n",
    Act.REFUSE: b"554 5.7.1 Not from you\r\n",
    Act.CLOSING: b"421 4.3.2 Service not available, closing transmission channel\r\n",
}


class SmtpProxy(Proxy):
    """Terminates TLS with *context* and speaks TLS of its own to the server, which *trust* verifies.

    `fault` goes wrong in every conversation while it is set; `change` alters messages on their way.
    """

    def __init__(self, upstream: int, context: ssl.SSLContext, trust: ssl.SSLContext) -> None:
        super().__init__(upstream)
        self.context = context
        self.trust = trust
        self.fault: Fault | None = None
        self.change: Callable[[bytes], bytes] = bytes

    async def talk(self, client: Ends, server: Ends) -> None:
        """Carry one conversation."""
        await _Talk(self, client, server).run()


class _Talk:
    def __init__(self, proxy: SmtpProxy, client: Ends, server: Ends) -> None:
        self.proxy = proxy
        self.reader, self.writer = client
        self.server_reader, self.server_writer = server
        self.secured = False

    async def run(self) -> None:
        await self._answer(At.GREETING)
        while line := await self.reader.readline():
            verb = line.split(maxsplit=1)[0].upper().decode("ascii", "replace")
            stage = At.EHLO_TLS if verb == "EHLO" and self.secured else _STAGES.get(verb)
            if stage is At.STARTTLS:
                await self._start_tls(line)
                continue
            reply = await self._answer(stage, line)
            if stage is At.DATA and reply.startswith(b"354"):
                await self._message()

    async def _answer(self, stage: At | None, sent: bytes = b"") -> bytes:
        """Send *sent* on and bring the answer back, unless this is the stage at which things go wrong."""
        fault = self.proxy.fault if self.proxy.fault and self.proxy.fault.at is stage else None
        if fault is not None and fault.act is not None and not fault.taken:
            await self._go_wrong(fault.act)
        self.server_writer.write(sent)
        reply = await self._reply()
        if stage is At.STARTTLS and reply.startswith(b"220"):
            # First, so that nothing is awaited between our 220 and our handshake: the client speaks TLS from there on.
            await self.server_writer.start_tls(self.proxy.trust, server_hostname="localhost")
        if fault is None:
            self.writer.write(reply)
            return reply
        if fault.act is not None:
            await self._go_wrong(fault.act)
        self.proxy.reached()
        if fault.strip:
            lines = [line for line in reply.splitlines(keepends=True) if fault.strip not in line.upper()]
            lines[-1] = lines[-1][:3] + b" " + lines[-1][4:]
            reply = b"".join(lines)
        if fault.slowly:
            await drip(reply, self.writer)
        else:
            self.writer.write(reply + fault.inject)
        return reply

    async def _reply(self) -> bytes:
        lines = [await self.server_reader.readline()]
        while lines[-1][3:4] == b"-":
            lines.append(await self.server_reader.readline())
        if not lines[-1]:
            raise Ended
        return b"".join(lines)

    async def _go_wrong(self, act: Act) -> None:
        self.proxy.reached()
        if act in REPLIES:
            self.writer.write(REPLIES[act])
            if act is Act.CLOSING:
                raise Ended
            await gone(self.reader)
            raise Ended
        await misbehave(act, self.reader, self.writer, begun=b"250-")

    async def _start_tls(self, line: bytes) -> None:
        reply = await self._answer(At.STARTTLS, line)
        if not reply.startswith(b"220"):
            return
        fault = self.proxy.fault
        if fault is not None and fault.at is At.HANDSHAKE and fault.act is not None:
            await self._go_wrong(fault.act)
        await self.writer.start_tls(self.proxy.context)
        self.secured = True

    async def _message(self) -> None:
        message = await self.reader.readuntil(b"\r\n.\r\n")
        changed = self.proxy.change(message)
        if changed != message:
            self.proxy.reached()
        await self._answer(At.DOT, changed)


_STAGES = {
    "EHLO": At.EHLO,
    "STARTTLS": At.STARTTLS,
    "AUTH": At.AUTH,
    "MAIL": At.MAIL,
    "RCPT": At.RCPT,
    "DATA": At.DATA,
    "QUIT": At.QUIT,
}
