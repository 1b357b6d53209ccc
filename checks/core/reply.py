"""An SMTP reply, taken apart: reply code, enhanced status code, the text, and who wrote it.

Everything here reads what a server said, so nothing is trusted: any input gives a value, texts are bounded, and
control characters never reach a terminal, a page or a log as they are.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from checks.core.model import Reply

MAX_TEXT = 2000
"""Longest text, in characters, that is kept of one reply; the longest known from Exchange Online has about 600."""

_MAX_INPUT = 16_384
_MAX_SUFFIX = 400
_CODE = re.compile(r"\s*([2-5][0-9]{2})(?![0-9])(?:[ -]|$)")
# RFC 3463 section 2: class, subject and detail; the look-arounds keep addresses and version numbers out.
ENHANCED_CODE = re.compile(r"(?<![\w.])([245]\.[0-9]{1,3}\.[0-9]{1,3})(?![\w]|\.[0-9])", re.ASCII)
_LEADING_ENHANCED = re.compile(r"[ -]*#?([245]\.[0-9]{1,3}\.[0-9]{1,3})(?![\w]|\.[0-9])[ -]*", re.ASCII)
_SUFFIX = re.compile(
    r"\[(?:Hostname=)?(?P<host>[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.){2,8}[A-Za-z]{2,24})"
    r"(?: +(?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,20}Z)(?: +(?P<session>[0-9A-Fa-f]{8,32}))?)?\]\s*\Z",
)
_QUEUED = re.compile(r"(?P<id><[^<>\s]{1,250}>) \[(?:InternalId=[0-9]{1,24}, ?)?Hostname=(?P<host>[\w.-]{1,253})\]")


@dataclass(frozen=True, slots=True)
class Origin:
    """The server that wrote a reply, from Exchange Online's closing `[HOST time session]`.

    Microsoft's support asks for all three. `time` is the server's clock in UTC.
    """

    host: str
    time: datetime | None = None
    session: str | None = None


def clean_text(raw: str | bytes, limit: int = MAX_TEXT) -> str:
    """Text from a server, fit for display: one line, at most `limit` characters, nothing that controls a terminal.

    White space is collapsed to single spaces. Characters that are not printable (control, bidirectional and other
    format characters, lone surrogates) are escaped as in Python source, so that evidence shows that they were there.
    """
    text = _as_text(raw[: 4 * limit + 256])
    text = " ".join(text.split())
    if not text.isprintable():
        text = "".join(char if char.isprintable() else _escaped(char) for char in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def find_enhanced(text: str) -> str | None:
    """The first enhanced status code (RFC 3463) in a text, or None."""
    match = ENHANCED_CODE.search(text)
    return match[1] if match else None


def parse_reply(code: int, lines: Iterable[str | bytes]) -> Reply:
    """The reply with this code and these text lines, given without the code in front of them.

    The enhanced code is kept as the server wrote it, even where its class contradicts `code` (`451 5.7.3` is real).
    A server may repeat it on every line (RFC 2034 section 4); it is taken off each. A code that stands within the
    text counts only when no line starts with one.
    """
    enhanced: str | None = None
    rest: list[str] = []
    room = _MAX_INPUT
    for raw in lines:
        line = _as_text(raw[:room])
        room -= len(line) + 1
        match = _LEADING_ENHANCED.match(line)
        if match and enhanced in (None, match[1]):
            enhanced, line = match[1], line[match.end() :]
        rest.append(line.strip())
        if room <= 0:
            break
    text = clean_text(" ".join(line for line in rest if line))
    return Reply(code=code, enhanced=enhanced or find_enhanced(text), text=text)


def read_reply(raw: str | bytes) -> Reply | None:
    """The reply in a text as it came over the wire or was pasted from a log: `535-5.7.3 …`, several lines or one.

    Lines after the first lose a repeated reply code. None when the text does not start with a reply code.
    """
    lines = _as_text(raw[:_MAX_INPUT]).strip().splitlines()
    first = _CODE.match(lines[0]) if lines else None
    if first is None:
        return None
    return parse_reply(int(first[1]), (_without_code(line, first[1]) for line in lines))


def find_origin(text: str) -> Origin | None:
    """The server that wrote this reply's text, where Exchange Online's suffix or acceptance line names it."""
    match = _SUFFIX.search(text[-_MAX_SUFFIX:])
    if match:
        return Origin(match["host"], _utc(match["time"]), match["session"])
    queued = _QUEUED.search(text)
    return Origin(queued["host"]) if queued else None


def accepted_message_id(text: str) -> str | None:
    """The Message-ID, with its angle brackets, under which Exchange Online says that it took a message.

    Client submission may rewrite the one that was sent.
    """
    queued = _QUEUED.search(text)
    return queued["id"] if queued else None


def _without_code(line: str, code: str) -> str:
    match = _CODE.match(line)
    return line[match.end() :] if match and match[1] == code else line


def _utc(stamp: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(stamp).astimezone(UTC) if stamp else None
    except (ValueError, OverflowError):
        return None


def _as_text(raw: str | bytes) -> str:
    if isinstance(raw, str):
        return raw
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        # SMTP without SMTPUTF8 promises ASCII only; Latin-1 maps every byte, so nothing is lost or raised.
        return raw.decode("latin-1")


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")
