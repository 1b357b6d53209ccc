"""What is asked of a message, and how an answer becomes a `RawMessage`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from checks.core.model import MessageRef, RawMessage

_FIELDS = (
    "X-RELAYCANARY",
    "MESSAGE-ID",
    "SUBJECT",
    "IN-REPLY-TO",
    "REFERENCES",
    "CONTENT-TYPE",
    "AUTO-SUBMITTED",
    "FROM",
    "X-FAILED-RECIPIENTS",
    "X-MS-EXCHANGE-MESSAGE-IS-NDR",
    "RETURN-PATH",
)
FIELDS_LIMIT = 32_768
"""Bytes of those fields that are read of one message; anybody may send us more."""
HEADER_LIMIT = 262_144
"""Bytes of a whole header block that are read as evidence."""

# PEEK, everywhere: a monitor must not mark other people's mail as read (RFC 9051 6.4.5).
RECOGNITION = f"(UID INTERNALDATE BODY.PEEK[HEADER.FIELDS ({' '.join(_FIELDS)})]<0.{FIELDS_LIMIT}>)"
STORED = "(UID INTERNALDATE)"
WHOLE_HEADER = f"(UID BODY.PEEK[HEADER]<0.{HEADER_LIMIT}>)"

Answer = Mapping[bytes, Any]


def first_bytes(limit: int) -> str:
    """Ask for the first *limit* bytes of a whole message."""
    return f"(UID BODY.PEEK[]<0.{limit}>)"


def section(answer: Answer, limit: int) -> bytes | None:
    """Return the part of the message in *answer*, at most *limit* bytes; None if it has none, as news about flags."""
    for name, value in answer.items():
        if name.startswith(b"BODY["):
            return value[:limit] if isinstance(value, bytes) else b""  # NIL: the message has no such part
    return None


def message(folder: str, validity: str, uid: int, answer: Answer, *, overlap: bool) -> RawMessage:
    """Build the message that *answer* describes."""
    ref = MessageRef(folder=folder, validity=validity, uid=str(uid))
    fields = section(answer, FIELDS_LIMIT) or b""
    return RawMessage(ref=ref, headers=fields, stored=stored(answer), overlap=overlap)


def stored(answer: Answer) -> datetime | None:
    """Return when the server says that it took the message in, in UTC; None if it does not tell."""
    value = answer.get(b"INTERNALDATE")
    if not isinstance(value, datetime):
        return None
    try:
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except OverflowError:
        return None


def as_set(uids: Sequence[int]) -> str:
    """Write *uids* as an IMAP sequence set, runs as ranges: Exchange takes no command of over 10,239 bytes."""
    runs: list[list[int]] = []
    for uid in sorted(uids):
        if runs and uid == runs[-1][1] + 1:
            runs[-1][1] = uid
        else:
            runs.append([uid, uid])
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in runs)
