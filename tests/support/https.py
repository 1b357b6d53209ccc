"""A small HTTPS server on loopback that answers as it is told: for what no real service can be had for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Request:
    """What was asked. `query` and `form` have the first value of each name."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Response:
    """What is answered; a dict or list as body is JSON. `fault`: close, garbage, silence, drip or stop (half-way)."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""

    def encoded(self) -> bytes:
        if isinstance(self.body, dict | list):
            return json.dumps(self.body).encode()
        return self.body.encode() if isinstance(self.body, str) else bytes(self.body)


Answer = Callable[[Request], Response]


class ScriptedHttps:
    """Asks `answer` for the response to each request, and keeps all requests in `requests`.

    `gate`, where set, holds every answer back until it is opened. `most_at_once` is how many were held at a time.
    """

    def __init__(self, context: ssl.SSLContext, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.gate: asyncio.Event | None = None
        self.asked = asyncio.Event()
        self.at_once = 0
        self.most_at_once = 0
        self.port = 0
        self.connections = 0
        self._context = context
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    @property
    def open_connections(self) -> int:
        return len(self._writers)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, self.port, ssl=self._context, backlog=50)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        try:
            # `stop` cancels: asyncio of Python 3.11 complains of a connection whose task ends as cancelled
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        request = Request(method, parts.path, query, headers, body)
        self.requests.append(request)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.asked.set()
        try:
            if self.gate is not None:
                await self.gate.wait()
            return await self._respond(self.answer(request), reader, writer)
        finally:
            self.at_once -= 1

    async def _respond(self, response: Response, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        content = response.encoded()
        headers = {"Content-Length": str(len(content)), "Content-Type": "application/json", **response.headers}
        lines = [f"HTTP/1.1 {response.status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        match response.fault:
            case "close":
                return False
            case "garbage":
                writer.write(b"220 mail.example ESMTP\r\n\r\n")
                await writer.drain()
                return False
            case "silence":
                await reader.read()
                return False
            case "stop":
                writer.write(head + content[: len(content) // 2])
                await writer.drain()
                return False
            case "drip":
                writer.write(head)
                while not reader.at_eof():
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0.02)
                return False
        writer.write(head + content)
        await writer.drain()
        return True
