"""What Sentry is told, as a real ingest endpoint receives it."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import sentry_sdk
import structlog

from agent import log, sentry
from checks.core import token


@pytest.fixture
def ingest():
    """A local endpoint that records envelopes."""
    heard: list[str] = []

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            packed = self.headers.get("Content-Encoding") == "gzip"
            heard.append((gzip.decompress(body) if packed else body).decode())
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://key@127.0.0.1:{server.server_port}/1", heard
        server.shutdown()
        thread.join()


PASSWORD = "hunter" + "2"


def fail(message):
    password = PASSWORD  # a variable of the frame: it must stay here
    raise ZeroDivisionError(message, len(password))


def test_a_defect_is_told_with_its_canary_and_without_secrets_or_addresses(ingest, capsys):
    dsn, heard = ingest
    secret_token = token.mint(token.canary_id(b"x" * 10), "relay", "a@b.example", key="k1", secret=b"s" * 32)
    log.configure(json=True, defects=sentry.start(dsn, site="ams1"))
    try:
        fail(f"{secret_token} for someone@contoso.example with AUTH XOAUTH2 dXNlcj1zZWNyZXQ= failed")
    except ZeroDivisionError:
        structlog.get_logger("test").exception("path.failed", path="relay", canary="abc", check="relay")
    finally:
        sentry_sdk.flush(5)
        sentry_sdk.init()
        structlog.reset_defaults()
    (envelope,) = heard
    assert "ZeroDivisionError" in envelope
    assert '"canary":"abc"' in envelope
    assert '"environment":"ams1"' in envelope
    assert secret_token not in envelope
    assert "someone@contoso.example" not in envelope
    assert "dXNlcj1zZWNyZXQ=" not in envelope
    assert PASSWORD not in envelope
    assert "path.failed" in capsys.readouterr().err


def test_a_dsn_that_is_none_is_said_without_repeating_it():
    with pytest.raises(ValueError, match="not a DSN") as error:
        sentry.start("hunter2", site="ams1")
    assert "hunter2" not in str(error.value)


def test_an_event_without_an_exception_is_no_defect():
    told = []
    log.configure(json=True, defects=lambda *defect: told.append(defect))
    structlog.get_logger("test").error("something.said", why="refused")
    structlog.reset_defaults()
    assert told == []
