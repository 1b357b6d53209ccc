"""A header section as a list of fields: split, unfolded, decoded, bounded.

The standard library's parser is built for round trips and can be made slow or deep by a hostile sender; for evidence
a flat list of (name, value) is enough. Nothing here raises, and no header section costs more than its first 256 kB.
"""

import binascii
import re
from dataclasses import dataclass

MAX_HEADER_BYTES = 262_144
"""Bytes of a header section that are looked at; Exchange Online itself refuses more than 256 kB of headers."""
MAX_FIELDS = 1000
MAX_VALUE = 16_384
_MAX_LINES = 10_000

_END_OF_HEADERS = re.compile(rb"\r?\n[ \t]*\r?\n|\r\r")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_FIELD = re.compile(rb"([!-9;-~]{1,200})[ \t]*:[ \t]*(.*)\Z", re.DOTALL)
_ENCODED_WORD = re.compile(r"=\?([\w.+-]{1,40})(?:\*[\w-]{0,20})?\?([BbQq])\?([^?\s]{0,500})\?=", re.ASCII)
_BETWEEN_WORDS = re.compile(r"(?<=\?=)\s+(?==\?)")
# Charsets with a plain table or a simple state machine. Python's other codecs (idna, punycode, unicode_escape …) may
# raise in spite of errors="replace", or take quadratic time.
_CHARSET = re.compile(
    r"(?i)utf-?8|(us-)?ascii|iso-?8859-?\d{1,2}|(windows|cp)-?125\d|koi8-[ru]|iso-2022-(jp|kr)|(shift|x-s)[_-]?jis"
    r"|euc-(jp|kr)|gb2312|gbk|gb18030|big5|utf-?16(le|be)?",
)


@dataclass(frozen=True, slots=True)
class Headers:
    """The fields of one header section, top to bottom, values unfolded; names compare without regard to case."""

    fields: tuple[tuple[str, str], ...] = ()

    def all(self, name: str) -> tuple[str, ...]:
        """The values of every field of this name, topmost first."""
        wanted = name.lower()
        return tuple(value for field, value in self.fields if field.lower() == wanted)

    def first(self, name: str) -> str | None:
        """The value of the topmost field of this name: the one that was added last, nearest to the receiver."""
        wanted = name.lower()
        return next((value for field, value in self.fields if field.lower() == wanted), None)

    def __contains__(self, name: object) -> bool:
        wanted = str(name).lower()
        return any(field.lower() == wanted for field, _ in self.fields)


def split_message(message: bytes) -> tuple[bytes, bytes]:
    """The header section and the body of a message; the body is empty where no blank line ends the headers."""
    if message[:1] in (b"\r", b"\n"):
        return b"", message.removeprefix(b"\r").removeprefix(b"\n")
    end = _END_OF_HEADERS.search(message, 0, MAX_HEADER_BYTES)
    if end is None:
        return message[:MAX_HEADER_BYTES], b""
    return message[: end.start()], message[end.end() :]


def parse_headers(block: bytes) -> Headers:
    """The fields of a header section (RFC 5322 section 2.2), reading on until its first blank line.

    Lines that are no field and continue none (an mbox `From ` line, garbage) are passed over.
    """
    section, _ = split_message(block.lstrip(b"\r\n"))
    raw: list[tuple[bytes, list[bytes]]] = []
    for line in _LINE_END.split(section, _MAX_LINES)[:_MAX_LINES]:
        if line[:1] in (b" ", b"\t"):
            if raw:
                raw[-1][1].append(line.strip(b" \t"))
            continue
        match = _FIELD.match(line)
        if match is None:
            continue
        if len(raw) == MAX_FIELDS:
            break
        raw.append((match[1], [match[2].rstrip(b" \t")]))
    return Headers(tuple((name.decode("ascii"), _unfolded(lines)) for name, lines in raw))


def decode_words(value: str) -> str:
    """A field's value with its encoded words (RFC 2047) decoded; what cannot be decoded stays as written."""
    return _ENCODED_WORD.sub(_decoded_word, _BETWEEN_WORDS.sub("", value))


def decode_text(raw: bytes, charset: str = "utf-8") -> str:
    """Bytes as text in a named charset, never raising: an unknown charset is read as UTF-8, else as Latin-1."""
    if _CHARSET.fullmatch(charset) and charset.lower().replace("-", "") != "utf8":
        try:
            return raw.decode(charset, "replace")
        except (LookupError, UnicodeError):
            pass
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _unfolded(lines: list[bytes]) -> str:
    return decode_text(b" ".join(lines)[:MAX_VALUE]).strip()


def _decoded_word(match: re.Match[str]) -> str:
    charset, encoding, text = match.groups()
    try:
        if encoding in "Bb":
            raw = binascii.a2b_base64(text + "=" * (-len(text) % 4))
        else:
            raw = binascii.a2b_qp(text.encode("utf-8"), header=True)
    except (binascii.Error, ValueError):
        return match[0]
    return decode_text(raw, charset)
