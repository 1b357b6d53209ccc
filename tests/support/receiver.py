"""A receiver of HTTP requests on loopback that writes down what it got, and answers as it is told."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Got:
    """One request; names of header fields are in lower case, and the content is unpacked."""

    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


@dataclass
class Receiver:
    """`answers` are taken one after the other, each a status and headers; 200 when there are no more.

    `words` is what every answer says. While `held` is clear, all wait.
    """

    url: str = ""
    got: list[Got] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    words: bytes = b""
    held: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def paths(self) -> list[str]:
        """List the addresses that were asked for, without their query."""
        return [one.path.partition("?")[0] for one in self.got]

    def wait_for(self, number: int, within: float = 60.0) -> list[Got]:
        """Wait until *number* requests have come, and return all."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.got) >= number, within), [one.path for one in self.got]
            return list(self.got)

    def take(self, request: Got) -> tuple[int, dict[str, str]]:
        with self.arrived:
            self.got.append(request)
            self.arrived.notify_all()
            return self.answers.pop(0) if self.answers else (200, {})


@contextmanager
def receiving(context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Receiver]:
    """Run a receiver, over TLS with *context*."""
    receiver = Receiver()
    receiver.held.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            if headers.get("content-encoding") == "gzip":
                content = gzip.decompress(content)
            status, more = receiver.take(Got(self.command, self.path, headers, content))
            receiver.held.wait()
            self.send_response(status)
            for name, value in {**more, "Content-Length": str(len(receiver.words))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(receiver.words)

        do_POST = do_GET = do_HEAD = _answer  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Say nothing of a client that has gone."""

    server = Server((host, 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.url = f"{'http' if context is None else 'https'}://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.held.set()
        server.shutdown()
        thread.join()
        server.server_close()
