"""An IMAP proxy: plain text on loopback towards the agent, TLS towards the server, and faults in between."""

from __future__ import annotations

import asyncio
import enum
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from faults.misbehaviour import Act, Ended, gone, misbehave
from faults.proxy import Proxy

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")


class On(enum.StrEnum):
    """The commands at which things go wrong; `ANY` is all of them."""

    LOGIN = "login"
    SELECT = "select"
    IDLE = "idle"
    FETCH = "fetch"
    ANY = "any"


_COMMANDS = {
    On.LOGIN: re.compile(rb"(AUTHENTICATE|LOGIN)\b", re.IGNORECASE),
    On.SELECT: re.compile(rb"(SELECT|EXAMINE)\b", re.IGNORECASE),
    On.IDLE: re.compile(rb"IDLE\b", re.IGNORECASE),
    On.FETCH: re.compile(rb"UID FETCH\b", re.IGNORECASE),
    On.ANY: re.compile(rb""),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong at a command, and to which argument (a pattern searched in the command's line)."""

    on: On
    act: Act
    about: bytes = b""

    def hits(self, command: bytes) -> bool:
        return bool(_COMMANDS[self.on].match(command)) and re.search(self.about, command) is not None


class ImapProxy(Proxy):
    """Passes IMAP on. All of these are in force from the next line on:

    `fault`: what goes wrong at a command. `mute_idle`: what the server says during IDLE is swallowed. `rewrite`:
    changes each line of the server (not the literals in it). `reword`: changes each line of the client. `before`: is
    awaited with each command before it goes on.
    """

    def __init__(self, upstream: int, trust: ssl.SSLContext) -> None:
        super().__init__(upstream)
        self._trust = trust
        self._be_well()

    async def heal(self) -> None:
        """Pass everything on as it is; conversations in which something went wrong are at an end."""
        if self.fault or self.mute_idle or self.before or self.rewrite is not bytes or self.reword is not bytes:
            self._be_well()
            await self.cut()

    def _be_well(self) -> None:
        self.fault: Fault | None = None
        self.mute_idle = False
        self.rewrite: Callable[[bytes], bytes] = bytes
        self.reword: Callable[[bytes], bytes] = bytes
        self.before: Callable[[bytes], Awaitable[None]] | None = None

    def upstream_tls(self) -> ssl.SSLContext:
        """Tell the context for the server."""
        return self._trust

    async def talk(self, client: Ends, server: Ends) -> None:
        """Carry one conversation, both directions at once; the first to end ends the other."""
        talk = _Talk(self, client, server)
        ways = [asyncio.ensure_future(talk.up()), asyncio.ensure_future(talk.down())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


class _Talk:
    def __init__(self, proxy: ImapProxy, client: Ends, server: Ends) -> None:
        self.proxy = proxy
        self.reader, self.writer = client
        self.server_reader, self.server_writer = server
        self.idling = False
        self.silenced = False

    async def up(self) -> None:
        while line := await self.reader.readline():
            tag, _, command = line.partition(b" ")
            self.idling = command.upper().startswith(b"IDLE")
            fault = self.proxy.fault
            if fault is not None and fault.hits(command):
                await self._go_wrong(fault.act, tag)
            if self.proxy.before is not None:
                await self.proxy.before(command)
            self.server_writer.write(self.proxy.reword(line))

    async def down(self) -> None:
        while line := await self.server_reader.readline():
            answer = [self._told(line)]
            while match := _LITERAL.search(line):
                answer.append(await self.server_reader.readexactly(int(match[1])))
                line = await self.server_reader.readline()
                answer.append(self._told(line))
            noticed = self.idling and self.proxy.mute_idle and not line.startswith(b"+")
            if noticed:
                self.proxy.reached()
            elif not self.silenced:
                self.writer.write(b"".join(answer))
                await self.writer.drain()

    def _told(self, line: bytes) -> bytes:
        told = self.proxy.rewrite(line)
        if told != line:
            self.proxy.reached()
        return told

    async def _go_wrong(self, act: Act, tag: bytes) -> None:
        self.proxy.reached()
        if act is Act.REFUSE:
            self.writer.write(tag + b" NO [UNAVAILABLE] it cannot be done\r\n")
            await gone(self.reader)
            raise Ended
        if act is Act.BYE:
            if self.idling:
                self.writer.write(b"+ idling\r\n")
            self.writer.write(b"* BYE Connection is closed. 13\r\n")
            raise Ended
        self.silenced = True
        await misbehave(act, self.reader, self.writer, begun=b"* OK")
