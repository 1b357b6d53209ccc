"""The leaves of a MIME message, for messages that may be hostile.

The standard library's parser recurses into nested parts and can be made slow; a notification needs little of MIME. So
this walks a bounded number of parts at a bounded depth, decodes what is asked for, and never raises.
"""

import binascii
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from checks.core.headers.fields import Headers, decode_text, parse_headers, split_message

MAX_MESSAGE = 1_048_576
"""Bytes of a message that are looked at; notifications put what matters first, the returned message last."""
MAX_DEPTH = 6
MAX_PARTS = 40
MAX_TEXT = 131_072
"""Bytes of a part that are read as text: Exchange Online's HTML notices, the longest known, have half of that."""
_MAX_VISIBLE = 32_768
_MAX_TAGS = 10_000

_TYPE = re.compile(r"\s*([\w!#$&^.+-]{1,80}/[\w!#$&^.+-]{1,80})", re.ASCII)
_PARAMETER = r"""(?i)(?:;|\s)\s*{name}\s*=\s*(?:"((?:[^"\\]|\\.){{0,200}})"|([^\s;"]{{1,200}}))"""
_BOUNDARY = re.compile(_PARAMETER.format(name="boundary"))
_CHARSET = re.compile(_PARAMETER.format(name="charset"))
_REPORT_TYPE = re.compile(_PARAMETER.format(name="report-type"))
# A delimiter that the header forgot: a line of dashes and a name, right before a part's own header.
_UNNAMED_DELIMITER = re.compile(
    rb"(?m)^--([^\s-][^\r\n]{0,70}?|-{2,60}[^\r\n -][^\r\n]{0,70}?)[ \t]*\r?\n(?=[Cc]ontent-)"
)
_TAG = re.compile(r"(<[^<>]*>)")
_TAG_NAME = re.compile(r"<\s*(/?[a-z][a-z0-9]*|!)", re.IGNORECASE)
_BREAKING = frozenset(
    {"br", "p", "/p", "/div", "div", "tr", "/tr", "li", "/li", "/h1", "/h2", "/h3", "/table", "/pre", "hr"}
)
_UNSEEN = frozenset({"style", "script", "title"})
_LONG_REFERENCE = re.compile(r"&#[xX]?[0-9a-fA-F]{8,};?")


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of a message: `type` in lower case, its header fields, and its content as it was transferred."""

    type: str
    headers: Headers
    raw: bytes

    def content(self) -> bytes:
        """The content without its transfer encoding; as it is where the encoding is unknown or broken."""
        encoding = (self.headers.first("Content-Transfer-Encoding") or "").strip().lower()
        try:
            if encoding == "base64":
                return binascii.a2b_base64(self.raw + b"==")
            if encoding == "quoted-printable":
                return binascii.a2b_qp(self.raw)
        except (binascii.Error, ValueError):
            return self.raw
        return self.raw

    def text(self) -> str:
        """The content as text with plain line ends; HTML is reduced to the text that a reader would see."""
        charset = _parameter(_CHARSET, self.headers.first("Content-Type") or "") or "utf-8"
        text = decode_text(self.content()[:MAX_TEXT], charset).replace("\r\n", "\n").replace("\r", "\n")
        return visible_text(text) if self.type == "text/html" else text


def leaves(message: bytes) -> Iterator[Part]:
    """The parts of a message that are not multiparts, in order. An attached message is one leaf: it is not opened."""
    count = 0
    waiting = [(message[:MAX_MESSAGE], 0)]
    while waiting and count < MAX_PARTS:
        block, depth = waiting.pop()
        head, body = split_message(block)
        headers = parse_headers(head)
        content_type = headers.first("Content-Type") or ""
        parts = list(_parts(content_type, body)) if depth < MAX_DEPTH else []
        if parts:
            waiting.extend((part, depth + 1) for part in reversed(parts))
            continue
        count += 1
        kind = media_type(content_type)
        # A multipart without a delimiter has lost its parts; what is left can only be read as text.
        yield Part("text/plain" if kind.startswith("multipart/") else kind, headers, body)


def media_type(content_type: str) -> str:
    """The type of a Content-Type value, in lower case; `text/plain` where there is none (RFC 2045 section 5.2)."""
    match = _TYPE.match(content_type)
    return match[1].lower() if match else "text/plain"


def report_type(content_type: str) -> str:
    """The report-type parameter of a multipart/report (RFC 6522), in lower case, or an empty string."""
    return _parameter(_REPORT_TYPE, content_type).lower()


def visible_text(markup: str) -> str:
    """The text of an HTML document, a line for every block, without style sheets, scripts and tags."""
    shown: list[str] = []
    hidden_in = ""
    for piece in _TAG.split(markup, _MAX_TAGS)[: 2 * _MAX_TAGS]:
        match = _TAG_NAME.match(piece) if piece.startswith("<") else None
        name = match[1].lower() if match else ""
        if hidden_in:
            hidden_in = "" if name == f"/{hidden_in}" else hidden_in
        elif name in _UNSEEN:
            hidden_in = name
        elif name:
            shown.append("\n" if name in _BREAKING else "")
        else:
            shown.append(piece)
    # html.unescape raises on references of thousands of digits.
    text = _LONG_REFERENCE.sub(" ", "".join(shown)[:_MAX_VISIBLE])
    return html.unescape(text).replace("\xa0", " ")


def _parts(content_type: str, body: bytes) -> Iterator[bytes]:
    if not media_type(content_type).startswith("multipart/"):
        return
    named = _parameter(_BOUNDARY, content_type).encode("utf-8", "replace")
    edges = _edges(named, body) if named else []
    if not edges:
        unnamed = _UNNAMED_DELIMITER.search(body)
        edges = _edges(unnamed[1], body) if unnamed else []
    for number, (_, start, closing) in enumerate(edges):
        if closing or number >= MAX_PARTS:
            return
        end = edges[number + 1][0] if number + 1 < len(edges) else len(body)
        # A part that has no header begins with its blank line; keep it, so that its text is not read as fields.
        yield body[start:end]


def _edges(boundary: bytes, body: bytes) -> list[tuple[int, int, bool]]:
    """Where each delimiter line begins and ends, and whether it is the closing one (RFC 2046 section 5.1.1)."""
    delimiter = re.compile(rb"(?m)^--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r?\n|\Z)")
    return [(match.start(), match.end(), match[1] is not None) for match in delimiter.finditer(body)]


def _parameter(pattern: re.Pattern[str], content_type: str) -> str:
    match = pattern.search(content_type)
    return (match[1] or match[2] or "") if match else ""
