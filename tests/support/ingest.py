"""A local endpoint that takes what goes to Sentry, and records the envelopes."""

from __future__ import annotations

import gzip
import itertools
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def an_ingest() -> Iterator[tuple[str, list[str]]]:
    """Listen on loopback; yields the DSN, and the envelopes as they come."""
    heard: list[str] = []

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            packed = self.headers.get("Content-Encoding") == "gzip"
            heard.append((gzip.decompress(body) if packed else body).decode())
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://key@127.0.0.1:{server.server_port}/1", heard
        server.shutdown()
        thread.join()


def items(heard: Sequence[str], kind: str) -> list[dict[str, Any]]:
    """Return the payloads of one kind in the envelopes, in the order in which they came."""
    found = []
    for envelope in list(heard):
        lines = [json.loads(line) for line in envelope.splitlines() if line]
        found += [body for head, body in itertools.pairwise(lines) if head.get("type") == kind]
    return found
