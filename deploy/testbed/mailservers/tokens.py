"""The token service: bearer tokens that tests issue, expire and revoke, and that Dovecot asks about.

`POST /introspect` is RFC 7662; the other doors are the testbed's own. Forms in, JSON out. Anybody on loopback may ask.
"""

import http.client
import http.server
import json
import secrets
import socketserver
import threading
import time
import urllib.parse
from http import HTTPStatus
from typing import Any, ClassVar

from mailservers.endpoints import HOST
from mailservers.errors import TestbedError

_LARGEST_FORM = 64 * 1024
_TIMEOUT_SECONDS = 10.0


class TokenService(http.server.ThreadingHTTPServer):
    """The server; it listens as soon as it exists, and answers while `serve_forever` runs."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[str, float]] = {}
        super().__init__((HOST, port), _Handler)

    def server_bind(self) -> None:
        """Bind as any TCP server: that of HTTP would ask DNS for its own name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def answer(self, path: str, form: dict[str, str]) -> dict[str, Any] | None:
        """What a request gets, or None where there is no such door.

        Raises:
            KeyError: the form lacks a field.
            ValueError: the lifetime is no number.
        """
        with self._lock:
            if path == "/issue":
                token = secrets.token_urlsafe(32)
                self._tokens[token] = (form["username"], time.time() + float(form["lifetime"]))
                return {"access_token": token}
            if path == "/expire":
                username, _ = self._tokens[form["token"]]
                self._tokens[form["token"]] = (username, time.time())
                return {}
            if path == "/revoke":
                del self._tokens[form["token"]]
                return {}
            if path == "/introspect":
                return self._introspect(form["token"])
        return None

    def _introspect(self, token: str) -> dict[str, Any]:
        username, expires = self._tokens.get(token, ("", 0.0))
        if time.time() >= expires:
            return {"active": False}
        return {"active": True, "username": username, "exp": int(expires)}


class _Handler(http.server.BaseHTTPRequestHandler):
    server: TokenService  # type: ignore[mutable-override] # socketserver's own idiom
    timeout: ClassVar[float | None] = _TIMEOUT_SECONDS

    def do_POST(self) -> None:
        """Answer one form."""
        try:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(min(max(length, 0), _LARGEST_FORM))
            form = dict(urllib.parse.parse_qsl(body.decode()))
            answer = self.server.answer(self.path, form)
        except (KeyError, ValueError) as error:
            self._reply(HTTPStatus.BAD_REQUEST, {"error": "invalid_request", "error_description": repr(error)})
            return
        if answer is None:
            self._reply(HTTPStatus.NOT_FOUND, {"error": "not_found"})
        else:
            self._reply(HTTPStatus.OK, answer)

    def _reply(self, status: HTTPStatus, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: the servers' own logs tell who logged in."""


def ask(port: int, path: str, **form: str) -> dict[str, Any]:
    """Post a form to a running token service and return its answer.

    Raises:
        TestbedError: the service is not there, or refuses.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("POST", path, urllib.parse.urlencode(form))
        response = connection.getresponse()
        content: dict[str, Any] = json.loads(response.read())
    except OSError as error:
        raise TestbedError(f"the token service on port {port} does not answer: {error}") from error
    finally:
        connection.close()
    if response.status != HTTPStatus.OK:
        raise TestbedError(f"the token service refuses {path}: {content}")
    return content
