"""A message as Graph shows it: the properties of the resource type `message`, read from its MIME. Pure.

Source: "message resource type" and the CSDL of Microsoft Graph v1.0.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import getaddresses, parsedate_to_datetime
from functools import lru_cache
from typing import Any

from checks.lab.graph.ids import folder_id, message_id
from checks.lab.store import Mail, Place, instant
from checks.lab.tenant import SENT

_PREVIEW = 255  # characters
_TAG = re.compile(r"<[^<>]*>")
_SEEN, _FLAGGED = "\\Seen", "\\Flagged"
_FALLBACK = "utf-8"


@dataclass(frozen=True, slots=True)
class Item:
    """A message in its folder."""

    place: Place
    uid: int
    mail: Mail
    immutable: bool
    """Which of its ids the client wants to see."""

    @property
    def id(self) -> str:
        """Its id."""
        return message_id(self.place, self.uid, self.mail.ident, immutable=self.immutable)

    @property
    def change_key(self) -> str:
        """Another one after each change."""
        state = f"{self.mail.ident} {self.place.folder} {sorted(self.mail.flags)}"
        return base64.b64encode(hashlib.sha256(state.encode()).digest()[:15]).decode()

    @property
    def etag(self) -> str:
        """The change key as an entity tag."""
        return f'W/"{self.change_key}"'

    @property
    def received(self) -> datetime:
        """When it arrived, in whole seconds."""
        return instant(int(self.mail.arrived))

    @property
    def sent(self) -> datetime:
        """Its own Date, in whole seconds."""
        try:
            date = parsedate_to_datetime(str(self.header("Date")))
            return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, TypeError, OverflowError, IndexError):
            return self.received

    @property
    def read(self) -> bool:
        """It has been read."""
        return _SEEN in self.mail.flags

    def header(self, name: str) -> str:
        """Return a field of the header, decoded; empty when it is missing."""
        return decoded(_header(self.mail.content).get(name, ""))

    def addresses(self, name: str) -> list[dict[str, Any]]:
        """Return the addresses of a field."""
        fields = [_plain(one) for one in _header(self.mail.content).get_all(name, [])]
        return [_recipient(decoded(shown), address) for shown, address in getaddresses(fields) if address]

    def address(self, name: str) -> str:
        """Return the first address of a field, in lower case; empty when it is missing."""
        found = self.addresses(name)
        return str(found[0]["emailAddress"]["address"]).lower() if found else ""

    def headers(self) -> list[dict[str, str]]:
        """Return the header as it stands there, field by field."""
        return [
            {"name": name, "value": re.sub(r"\r?\n[ \t]+", " ", _plain(value)).strip()}
            for name, value in _header(self.mail.content).raw_items()
        ]

    def body(self) -> dict[str, str]:
        """Return the text that is shown."""
        return dict(zip(("contentType", "content"), _body(self.mail.content), strict=True))

    def preview(self) -> str:
        """Return the beginning of the text."""
        kind, text = _body(self.mail.content)
        shown = html.unescape(_TAG.sub(" ", text)) if kind == "html" else text
        return " ".join(shown[: 8 * _PREVIEW].split())[:_PREVIEW]

    def has_attachments(self) -> bool:
        """Tell whether a part is meant to be saved."""
        return any(
            part.get_content_disposition() == "attachment" for part in message_from_bytes(self.mail.content).walk()
        )


def written(when: datetime) -> str:
    """Write a time as Graph does."""
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def _conversation(item: Item) -> str:
    return base64.b64encode(hashlib.sha256(item.header("Subject").encode()).digest()[:18]).decode()


PROPERTIES: Mapping[str, Callable[[Item], Any]] = {
    "id": lambda item: item.id,
    "createdDateTime": lambda item: written(item.received),
    "lastModifiedDateTime": lambda item: written(item.received),
    "changeKey": lambda item: item.change_key,
    "categories": lambda _: [],
    "receivedDateTime": lambda item: written(item.received),
    "sentDateTime": lambda item: written(item.sent),
    "hasAttachments": Item.has_attachments,
    "internetMessageId": lambda item: item.header("Message-ID") or None,
    "internetMessageHeaders": Item.headers,
    "subject": lambda item: item.header("Subject"),
    "bodyPreview": Item.preview,
    "importance": lambda item: _importance(item.header("Importance")),
    "parentFolderId": lambda item: folder_id(item.place.mailbox, item.place.folder),
    "conversationId": _conversation,
    "conversationIndex": _conversation,
    "isDeliveryReceiptRequested": lambda _: False,
    "isReadReceiptRequested": lambda item: bool(item.header("Disposition-Notification-To")),
    "isRead": lambda item: item.read,
    "isDraft": lambda _: False,
    "webLink": lambda item: f"https://outlook.office365.com/owa/?ItemID={item.id}&viewmodel=ReadMessageItem",
    "inferenceClassification": lambda _: "focused",
    "body": Item.body,
    "sender": lambda item: next(iter(item.addresses("Sender") or item.addresses("From")), None),
    "from": lambda item: next(iter(item.addresses("From")), None),
    "toRecipients": lambda item: item.addresses("To"),
    "ccRecipients": lambda item: item.addresses("Cc"),
    "bccRecipients": lambda _: [],
    "replyTo": lambda item: item.addresses("Reply-To"),
    "flag": lambda item: {"flagStatus": "flagged" if _FLAGGED in item.mail.flags else "notFlagged"},
}
"""What a message has. The header of the wire comes only to those who ask for it by name."""
DEFAULT_PROPERTIES = tuple(name for name in PROPERTIES if name not in {"internetMessageHeaders", "conversationIndex"})


def resource(item: Item, select: tuple[str, ...] | None) -> dict[str, Any]:
    """Return the message as JSON, with the properties that were asked for."""
    names = DEFAULT_PROPERTIES if select is None else ("id", *select)
    if item.place.folder == SENT:  # what lies there has never been on its way
        names = tuple(name for name in names if name != "internetMessageHeaders")
    return {"@odata.etag": item.etag, **{name: PROPERTIES[name](item) for name in names}}


@lru_cache(maxsize=4096)
def _header(content: bytes) -> Message:
    return BytesHeaderParser().parsebytes(content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")


@lru_cache(maxsize=256)
def _body(content: bytes) -> tuple[str, str]:
    parts = [part for part in message_from_bytes(content).walk() if part.get_content_disposition() != "attachment"]
    for kind in ("text/html", "text/plain"):
        for part in parts:
            if part.get_content_type() == kind:
                return kind.removeprefix("text/").replace("plain", "text"), _text(part)
    return "text", ""


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    try:
        return data.decode(part.get_content_charset(_FALLBACK), "replace")
    except LookupError:
        return data.decode(_FALLBACK, "replace")


def _plain(value: Any) -> str:
    """Return a field as text; bytes that are not ASCII become replacement characters."""
    return str(value).encode("ascii", "surrogateescape").decode(_FALLBACK, "replace") if _odd(value) else str(value)


def _odd(value: Any) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in str(value))


def decoded(value: Any) -> str:
    """Unfold a field and decode its words (RFC 2047), as far as that can be done."""
    text = re.sub(r"\r?\n", "", _plain(value)).strip()
    try:
        return str(make_header(decode_header(text)))
    except (ValueError, LookupError):
        return text


def _recipient(shown: str, address: str) -> dict[str, Any]:
    return {"emailAddress": {"name": shown or address, "address": address}}


def _importance(value: str) -> str:
    return value.lower() if value.lower() in {"low", "high"} else "normal"
