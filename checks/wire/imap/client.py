"""imaplib and IMAPClient over a `Transport`, with the few commands that they do not have.

IMAPClient speaks through imaplib. Its own sockets wait without a limit while data trickles in, read literals of any
size and lose lines that arrive in pieces during IDLE; the methods that imaplib lets a subclass override put ours in
their place.
"""

from __future__ import annotations

import base64
import imaplib
import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from imapclient import IMAPClient
from imapclient.response_parser import parse_fetch_response

from checks.core.reply import clean_text
from checks.wire.imap.transport import Transport

_BEGINNING = re.compile(rb"\d+ \(")
_NEWS = ("EXISTS", "EXPUNGE", "FETCH", "VANISHED")


class Wire(imaplib.IMAP4):
    """imaplib over a `Transport` that is connected already."""

    def __init__(self, transport: Transport, host: str, port: int) -> None:
        self._transport = transport
        self._idle_tag: bytes | None = None
        super().__init__(host, port)

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:  # noqa: ARG002 - imaplib's
        """Take over the transport."""
        self.host = host
        self.port = port

    def read(self, size: int) -> bytes:
        """Read a literal."""
        return self._transport.read(size)

    def readline(self) -> bytes:
        """Read a line."""
        return self._transport.readline()

    def send(self, data: Any) -> None:
        """Write a command, or a part of one."""
        self._transport.send(bytes(data))

    def shutdown(self) -> None:
        """Close the connection."""
        self._transport.close()

    def starttls(self, ssl_context: ssl.SSLContext | None = None) -> Any:
        """Turn to TLS and ask anew what the server can do, as RFC 9051 6.2.1 demands."""
        typ, data = self._simple_command("STARTTLS")
        if typ != "OK" or ssl_context is None:
            raise self.error("STARTTLS refused")
        self._transport.start_tls(ssl_context, self.host)
        self._get_capabilities()
        return typ, data

    def _log(self, line: str) -> None:
        """Keep nothing: imaplib holds the last commands, the login too, for a debug print."""

    # Login

    def authenticate_at_once(self, mechanism: str, response: bytes) -> None:
        """Send the SASL response with the command (SASL-IR, RFC 4959); any challenge after it is an error report."""
        self.literal = self._nothing_more  # type: ignore[assignment]  # typeshed does not know that imaplib calls it
        self._logged_in(self._simple_command("AUTHENTICATE", mechanism, base64.b64encode(response)))

    def _nothing_more(self, _challenge: bytes) -> bytes:
        return b""

    def log_in(self, user: bytes, password: bytes) -> None:
        """Send LOGIN, both arguments quoted (imaplib leaves the user name as it is)."""
        self._logged_in(self._simple_command("LOGIN", _quoted(user), _quoted(password)))

    def _logged_in(self, answer: tuple[str, list[Any]]) -> None:
        if answer[0] != "OK":
            raise self.error("refused")
        self.state = "AUTH"

    # IDLE

    @property
    def idling(self) -> bool:
        """Tell whether the server is in IDLE."""
        return self._idle_tag is not None

    def start_idle(self) -> bool:
        """Send IDLE (RFC 2177) and read up to the continuation; Exchange may report messages before it.

        Return whether the server listens: it may refuse what it lists (a proxy in front of it, a limit of sessions).
        """
        tag = self._idle_tag = self._command("IDLE")
        while self._get_response() is not None:
            if self.tagged_commands[tag]:
                self._idle_tag = None
                self._check_bye()
                return False
        return True

    def hear(self) -> None:
        """Process the lines that have arrived."""
        while self._transport.has_line:
            self._get_response()
        self._check_bye()
        if self._idle_tag is not None and self.tagged_commands[self._idle_tag]:
            self._idle_tag = None  # the server has ended IDLE by itself: DONE would be an unknown command

    def finish_idle(self) -> None:
        """Send DONE and read up to the end of the IDLE command, if it has not ended."""
        if self._idle_tag is not None:
            tag, self._idle_tag = self._idle_tag, None
            self.send(b"DONE\r\n")
            self._command_complete("IDLE", tag)


class Client(IMAPClient):  # type: ignore[misc]  # IMAPClient has no types
    """IMAPClient over a `Transport` that is connected already; reads the greeting and the capabilities."""

    wire: Wire

    def __init__(self, transport: Transport, host: str, port: int) -> None:
        self._transport = transport
        super().__init__(host, port, ssl=False)
        self.normalise_times = False
        # IMAPClient has every line formatted for its debug log, headers of other people's mail included.
        self.wire.debug = 0

    def _create_IMAP4(self) -> Wire:  # noqa: N802 - IMAPClient's name
        self.wire = Wire(self._transport, self.host, self.port)
        return self.wire

    def _set_read_timeout(self) -> None:
        """Leave the socket alone: the transport limits every exchange."""

    @property
    def offered(self) -> frozenset[str]:
        """What the server says it can do before login, in capitals."""
        return frozenset(self.wire.capabilities)

    def forget(self) -> None:
        """Drop what the server said unasked: it belongs to no answer, and imaplib would add it to the next."""
        self.wire.untagged_responses.clear()

    @property
    def news(self) -> bool:
        """Tell whether the server has said, since `forget`, that the selected folder has changed."""
        return any(word in self.wire.untagged_responses for word in _NEWS)

    @property
    def stated_validity(self) -> str | None:
        """The UIDVALIDITY that the server has stated since `forget`, if any."""
        values: list[Any] = self.wire.untagged_responses.get("UIDVALIDITY") or []
        return clean_text(values[-1]) if values and isinstance(values[-1], bytes) else None

    def no_operation(self) -> None:
        """Send NOOP, so that the server shows what has come (RFC 9051 6.1.2)."""
        self._checkok("noop", *self.wire.noop())

    def find(self, *criteria: str) -> list[int]:
        """Return the UIDs that match, ascending, by UID SEARCH without a character set (Exchange refuses any)."""
        typ, data = self.wire.uid("SEARCH", *criteria)
        self._checkok("search", typ, data)
        return sorted({int(word) for line in data if line for word in re.findall(rb"\d+", line)})

    def fetch_set(self, uids: str, items: str) -> Mapping[int, Mapping[bytes, Any]]:
        """Fetch *items* of a set of UIDs that may hold ranges and ``*``, which IMAPClient's own fetch cannot.

        Responses without a UID are news about other messages, and left out. IMAPClient would take the sequence
        number for a UID; so it is given one response at a time, and that tells by the key whether a UID was there.
        """
        typ, data = self.wire.uid("FETCH", uids, items)
        self._checkok("fetch", typ, data)
        answers: dict[int, dict[bytes, Any]] = {}
        for response in _responses(data):
            for answer in parse_fetch_response(response, normalise_times=False, uid_is_key=False).values():
                if isinstance(uid := answer.get(b"UID"), int):
                    answers.setdefault(uid, {}).update(answer)
        return answers


def _responses(data: Iterable[Any]) -> Iterator[list[Any]]:
    """Part what imaplib has strung together: a response begins with its number, what follows a literal never does."""
    response: list[Any] = []
    for piece in data:
        text = piece[0] if isinstance(piece, tuple) else piece
        if text is not None and _BEGINNING.match(text):
            if response:
                yield response
            response = []
        if text is not None:
            response.append(piece)
    if response:
        yield response


def _quoted(value: bytes) -> bytes:
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
