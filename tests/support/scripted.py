"""A scripted SMTP server and a small DNS server, on loopback: what a real one would not do when told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

HOST = "127.0.0.1"


class ScriptedServer:
    """Plays one side of SMTP and misbehaves as told.

    `answers` maps a step (greeting, a verb, "EHLO over TLS", "dot") to what happens there: bytes are sent, a list is
    sent one by one with a line read in between, a string names a fault, a coroutine function is awaited with the
    talk. What the client said is in `commands` and `messages`.
    """

    def __init__(self, context: ssl.SSLContext, *, implicit: bool = False) -> None:
        self.answers: dict[str, Any] = {
            "greeting": b"220 scripted ready\r\n",
            "EHLO": b"250-scripted\r\n250-SIZE 1000000\r\n250 STARTTLS\r\n",
            "EHLO over TLS": b"250-scripted\r\n250 AUTH PLAIN LOGIN XOAUTH2\r\n",
            "STARTTLS": b"220 go ahead\r\n",
            "AUTH": b"235 2.7.0 welcome\r\n",
            "DATA": b"354 go ahead\r\n",
            "dot": b"250 2.6.0 queued\r\n",
            "QUIT": b"221 bye\r\n",
        }
        self.context = context
        self.implicit = implicit
        self.commands: list[str] = []
        self.messages: list[bytes] = []
        self.connections = 0
        self.peer_certificate: dict[str, Any] | None = None
        self.port = 0
        self.gone = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, host: str = HOST, port: int = 0) -> None:
        context = self.context if self.implicit else None
        self._server = await asyncio.start_server(self._serve, host, port, ssl=context, backlog=20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def drop_idle_connections(self, farewell: bytes = b"") -> None:
        for writer in tuple(self._writers):
            writer.write(farewell)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        self.connections += 1
        try:
            await Talk(self, reader, writer).run()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
            self.gone.set()


class Talk:
    """One connection of a scripted server."""

    def __init__(self, server: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.reader, self.writer = server, reader, writer
        self.secured = server.implicit

    async def run(self) -> None:
        await self.play("greeting")
        while line := await self.reader.readline():
            text = line.decode("latin-1").rstrip("\r\n")
            self.server.commands.append(text)
            verb = text.split(" ")[0].upper()
            step = "EHLO over TLS" if verb == "EHLO" and self.secured else verb
            answer = await self.play(step)
            if verb == "STARTTLS" and answer == b"220 go ahead\r\n":
                await self.writer.start_tls(self.server.context)
                self.secured = True
                self.server.peer_certificate = self.writer.get_extra_info("peercert")
            elif verb == "DATA" and answer == b"354 go ahead\r\n":
                self.server.messages.append(await self.reader.readuntil(b"\r\n.\r\n"))
                await self.play("dot")
            elif verb == "QUIT":
                return

    async def play(self, step: str) -> Any:
        answer = self.server.answers.get(step, b"250 OK\r\n")
        if isinstance(answer, bytes):
            self.writer.write(answer)
            await self.writer.drain()
        elif isinstance(answer, list):
            for number, part in enumerate(answer):
                if number:
                    self.server.commands.append((await self.reader.readline()).decode().rstrip("\r\n"))
                self.writer.write(part)
        elif callable(answer):
            await answer(self)
        else:
            await getattr(self, answer)()
        return answer

    async def close(self) -> None:
        self.writer.close()
        raise ConnectionAbortedError

    async def half_close(self) -> None:
        self.writer.write_eof()
        await self.reader.read()

    async def reset(self) -> None:
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
        raise ConnectionAbortedError

    async def silence(self) -> None:
        await self.reader.read()

    async def drip(self) -> None:
        with contextlib.suppress(OSError):
            while not self.reader.at_eof():
                self.writer.write(b"250-still thinking\r\n")
                await self.writer.drain()
                await asyncio.sleep(0.02)


class DnsServer(asyncio.DatagramProtocol):
    """Answers from `records`: (name, type) -> rdata texts, or a response code; what is listed in `silent` not at all.

    A name that has any record exists; others are NXDOMAIN. While `authentic` is set, it vouches for its answers as a
    name server does that has validated DNSSEC.
    """

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str] | dns.rcode.Rcode] = {}
        self.silent: set[str] = set()
        self.authentic = False
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        host, port = transport.get_extra_info("sockname")[:2]
        self.address = f"{host}:{port}"

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True)
        kind = dns.rdatatype.to_text(question.rdtype)
        if name in self.silent:
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA | (dns.flags.AD if self.authentic else 0)
        found = self.records.get((name, kind))
        if isinstance(found, dns.rcode.Rcode):
            response.set_rcode(found)
        elif found:
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *found))
        elif not any(known == name for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(response.to_wire(), addr)
