"""Messages as Graph shows them, turned into what recognition reads, and the other way round. Pure.

Everything here reads what a service sent: any input gives a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import Any

from checks.core.headers.fields import parse_headers
from checks.core.recognise import FIELDS

SELECTED = ("internetMessageHeaders", "internetMessageId", "subject", "from", "receivedDateTime")
"""The properties of a message that are asked for: its header, and what stands in for it where it has none."""

LARGEST_HEADER = 262_144
"""Bytes that are kept of one header block at most."""

_FIELD_NAME = re.compile(r"[!-9;-~]{1,200}")  # RFC 5322 3.6.8
_LINE_BREAKS = re.compile(r"[\r\n\x00]+[ \t]*")
_WANTED = frozenset(name.casefold() for name in FIELDS)


@dataclass(frozen=True, slots=True)
class Row:
    """One message of a list.

    `header` is its header block; None where Graph did not send it. `whole` is False for a row of a delta that has
    only what has changed, `removed` True for one that is no longer there.
    """

    id: str
    header: bytes | None
    stand_in: bytes
    received: datetime | None
    whole: bool
    removed: bool = False

    def block(self) -> bytes:
        """Return the header, or what stands in for it: a message that never was on its way has none."""
        return self.stand_in if self.header is None else self.header


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. `again` is where the next round of a delta begins, and stands on its last page only."""

    rows: tuple[Row, ...]
    following: str | None
    again: str | None


def read_page(document: Mapping[str, Any]) -> Page | None:
    """Read a page; None where it is none: neither a list, nor a place to go on from."""
    listed = document.get("value")
    following, again = (_text(document.get(name)) for name in ("@odata.nextLink", "@odata.deltaLink"))
    if not isinstance(listed, list) or not (following or again):
        return None
    rows = tuple(row for one in listed if isinstance(one, dict) and (row := read_row(one)) is not None)
    return Page(rows, following, again if following is None else None)


def read_row(item: Mapping[str, Any]) -> Row | None:
    """Read one message; None where it has no id."""
    name = _text(item.get("id"))
    if name is None:
        return None
    headers = item.get("internetMessageHeaders")
    return Row(
        id=name,
        header=(header_block(headers) or None) if isinstance(headers, list) else None,
        stand_in=_stand_in(item),
        received=_moment(item.get("receivedDateTime")),
        whole="internetMessageId" in item and "receivedDateTime" in item,
        removed="@removed" in item,
    )


def header_block(headers: Iterable[Any]) -> bytes:
    """Write the header of a message from Graph's names and values: one line a field, in UTF-8 (RFC 6532)."""
    lines: list[bytes] = []
    room = LARGEST_HEADER
    for one in headers:
        name, value = (one.get("name"), one.get("value")) if isinstance(one, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(value, str) or _FIELD_NAME.fullmatch(name) is None:
            continue
        line = f"{name}: {_LINE_BREAKS.sub(' ', value)}\r\n".encode("utf-8", "replace")
        room -= len(line)
        if room < 0:
            break
        lines.append(line)
    return b"".join(lines)


def recognisable(block: bytes) -> bytes:
    """Keep of a header block only the fields that recognition needs: the rest of other people's mail is not ours."""
    fields = parse_headers(block).fields
    kept = ({"name": name, "value": value} for name, value in fields if name.casefold() in _WANTED)
    return header_block(kept)


def send_mail(message: bytes, sender: str, recipient: str) -> dict[str, Any]:
    """Write a canary as the body of a sendMail request, so that no copy of it is kept in Sent Items.

    Graph takes at most five fields of our own, all of which must begin with ``X-``.
    """
    parsed = message_from_bytes(message, policy=policy.default)
    own = [(name, value) for name, value in parsed.items() if name.lower().startswith("x-")]
    return {
        "message": {
            "subject": str(parsed["Subject"] or ""),
            "body": {"contentType": "text", "content": parsed.get_content()},
            "from": _recipient(sender),
            "toRecipients": [_recipient(recipient)],
            "internetMessageHeaders": [{"name": name, "value": str(value)} for name, value in own],
        },
        "saveToSentItems": False,
    }


def _recipient(address: str) -> dict[str, Any]:
    return {"emailAddress": {"address": address}}


def _stand_in(item: Mapping[str, Any]) -> bytes:
    sender = item.get("from")
    address = sender.get("emailAddress") if isinstance(sender, dict) else None
    known = (
        ("Message-ID", item.get("internetMessageId")),
        ("Subject", item.get("subject")),
        ("From", address.get("address") if isinstance(address, dict) else None),
    )
    return header_block({"name": name, "value": value} for name, value in known)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
