"""The message that came back: its header bytes, and where a notice's own words end."""

import re
from collections.abc import Sequence

from checks.core.bounce.mime import Part
from checks.core.headers.fields import MAX_HEADER_BYTES, split_message

_RETURNED = frozenset(
    {"message/rfc822", "message/global", "message/rfc822-headers", "message/global-headers", "text/rfc822-headers"}
)
_MAX_LINES = 3000
_LINE_LIMIT = 2000
_MAX_RULE = 200
_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,70}) ?:(?=\s|[^\s/])")
_TELLING = frozenset(
    {"received", "from", "to", "subject", "date", "message-id", "return-path", "mime-version", "x-relaycanary"}
)
_ENOUGH = 3
_QUOTING = re.compile(r"(?:> ?){1,3}|\| ?")
# Lines that announce the returned message: ruled off, or alone on their line.
_RULED = re.compile(
    r"(?i)[-=_*#~]{2}.{0,60}\b(?:(?:original|copy|returned|unsent|undelivered|forwarded|bounced) .{0,30}"
    r"(?:message|mail|follow|header|text)|message header|header of the original|message text)",
)
_ALONE = re.compile(
    r"(?i)(?:original message(?: headers?)?|message headers?|bounced e-?mail"
    r"|your (?:original )?message (?:follows|was|reads)[^.]{0,30}) ?:?\Z",
)


def returned_headers(parts: Sequence[Part]) -> bytes:
    """The header section of the returned message, from its own part or from the text where a notice put it."""
    for part in parts:
        if part.type in _RETURNED:
            content = part.content().lstrip(b"\r\n")
            return split_message(content)[0]
    for part in parts:
        if part.type.startswith("text/"):
            found = _pasted_headers(part.text().split("\n", _MAX_LINES)[:_MAX_LINES])
            if found:
                return "\r\n".join(found).encode("utf-8", "replace")[:MAX_HEADER_BYTES]
    return b""


def notice_lines(parts: Sequence[Part]) -> list[str]:
    """The lines that the notice itself says: its text parts, without the returned message.

    The plain text counts; HTML only where there is no plain text.
    """
    texts: list[str] = []
    for kind in ("text/plain", "text/html"):
        for part in parts:
            if part.type in _RETURNED:
                break
            if part.type == kind or (kind == "text/plain" and _is_odd_text(part)):
                texts.append(part.text())
        if any(text.strip() for text in texts):
            break
    lines = [line[:_LINE_LIMIT] for text in texts for line in text.split("\n", _MAX_LINES)[:_MAX_LINES]]
    return lines[: _end_of_notice(lines)]


def _is_odd_text(part: Part) -> bool:
    """Whether this part's text belongs to the notice though its type is not plain: a report under a misspelt type."""
    return part.type.startswith(("message/delivery", "text/")) and part.type != "text/html"


def _end_of_notice(lines: Sequence[str]) -> int:
    start, _ = _header_run(lines)
    marked = next((index for index, line in enumerate(lines) if _announces_return(line)), len(lines))
    return min(start, marked)


def _announces_return(line: str) -> bool:
    text = line.strip()[:_MAX_RULE]
    return _RULED.match(text) is not None or _ALONE.match(text) is not None


def _pasted_headers(lines: Sequence[str]) -> list[str]:
    """The lines of the first run of header fields that can only be a message's header section."""
    start, end = _header_run(lines)
    return [_QUOTING.sub("", line, count=1) if line.startswith((">", "|")) else line for line in lines[start:end]]


def _header_run(lines: Sequence[str]) -> tuple[int, int]:
    """The first stretch of header lines in which three different telling fields stand; empty at the end if none."""
    start: int | None = None
    telling: set[str] = set()
    for index, line in enumerate(lines):
        text = _QUOTING.sub("", line, count=1) if line.startswith((">", "|")) else line
        match = _FIELD.match(text)
        if match:
            start = index if start is None else start
            telling |= {match[1].lower()} & _TELLING
        elif start is not None and not (text[:1] in (" ", "\t") and text.strip()):
            if len(telling) >= _ENOUGH:
                return start, index
            start, telling = None, set()
    if start is not None and len(telling) >= _ENOUGH:
        return start, len(lines)
    return len(lines), len(lines)
