"""What one input of ``relaycanary explain`` is: a reply, a bounce, a message, or another error."""

from __future__ import annotations

import codecs
import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.commands.explaining.telling import telling_part
from checks.core.model import Protocol
from checks.core.reply import clean_text
from checks.knowledge import (
    Diagnosis,
    Exactness,
    Statement,
    diagnose_statement,
    diagnose_text,
    read_statement,
)

if TYPE_CHECKING:  # mail is the rarer input, and what reads it takes longer to import than a reply to explain
    from checks.core.bounce import Notification, Recipient
    from checks.core.headers.fields import Headers

_MESSAGE_FIELDS = frozenset(
    {"received", "return-path", "from", "to", "subject", "date", "message-id", "mime-version", "content-type"}
)
_ENOUGH_FIELDS = 2
_OUTLOOK_FILE = bytes.fromhex("d0cf11e0a1b11ae1")  # [MS-CFB] 2.2, in which Outlook keeps .msg
_EXACTNESS = (Exactness.TEXT, Exactness.CODE, Exactness.CLASS)


class Kind(enum.StrEnum):
    """What an input is."""

    REPLY = "reply"
    BOUNCE = "bounce"
    MESSAGE = "message"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What an input is and what it means; None for what it does not have.

    `said` is the answer that decides: of a bounce, that about the recipient who fared worst.
    """

    kind: Kind
    title: str
    said: Statement | None = None
    found: Diagnosis | None = None
    notification: Notification | None = None
    headers: Headers | None = None

    @property
    def unknown(self) -> bool:
        """Tell whether the input says that something failed, and we do not know what it means."""
        return self.found is None and self.kind is not Kind.MESSAGE


def explain_input(content: str | bytes) -> Explanation:
    """Explain the words of a server, a log, or a whole message."""
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
    if raw.startswith(_OUTLOOK_FILE):
        title = "(an Outlook file: save the message as .eml or as text, or paste what it says)"
        return Explanation(kind=Kind.ERROR, title=title)
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as PowerShell writes text
        raw = raw.decode("utf-16", "replace").encode()
    if b"\n" in raw or b"\r" in raw:
        from checks.core.headers.fields import parse_headers, split_message

        headers = parse_headers(split_message(raw.lstrip(b"\xef\xbb\xbf\r\n"))[0])
        if len(_MESSAGE_FIELDS & {name.lower() for name, _ in headers.fields}) >= _ENOUGH_FIELDS:
            return _explain_message(raw.lstrip(b"\xef\xbb\xbf\r\n"), headers)
    return _explain_text(raw.decode("utf-8", "replace"))


def as_json(explanation: Explanation) -> dict[str, Any]:
    """Make the object that ``explain --json`` prints: always the same keys, null or empty for what is not there."""
    said, found, notification = explanation.said, explanation.found, explanation.notification
    bounce = notification if explanation.kind is Kind.BOUNCE else None
    return {
        "kind": explanation.kind.value,
        "matched": None if explanation.kind is Kind.MESSAGE else found is not None,
        "reply": {"code": said.code, "enhanced": said.enhanced, "text": said.text} if said else None,
        "recipients": [
            {"address": one.address, "action": one.action, "status": one.status, "code": one.code}
            for one in (notification.recipients if notification else ())
        ],
        "final": bounce.final if bounce else None,
        "meaning": found.meaning if found else None,
        "fix": found.fix if found else None,
        "source": found.source if found else None,
        **_evidence(explanation.headers),
    }


def _evidence(headers: Headers | None) -> dict[str, Any]:
    if headers is None:
        return {"hops": [], "authentication": {}, "antispam": {}}
    from agent.commands.evidence import show_antispam, show_authentication, show_hops

    return {
        "hops": show_hops(headers),
        "authentication": show_authentication(headers),
        "antispam": show_antispam(headers),
    }


def _explain_text(text: str) -> Explanation:
    part, found = telling_part(text)
    said = read_statement(part)
    kind = Kind.REPLY if said is not None and said.protocol is Protocol.SMTP else Kind.ERROR
    return Explanation(kind=kind, title=clean_text(part), said=said, found=found)


def _explain_message(message: bytes, headers: Headers) -> Explanation:
    from checks.core.bounce import Kind as Sort
    from checks.core.bounce import classify

    notification = classify(message)
    if notification.kind not in {Sort.BOUNCE, Sort.DELAYED}:
        return Explanation(kind=Kind.MESSAGE, title=notification.subject, notification=notification, headers=headers)
    said, found = _explain_recipient(_worst(notification.recipients))
    return Explanation(
        kind=Kind.BOUNCE,
        title=notification.subject,
        said=said,
        found=found,
        notification=notification,
        headers=headers,
    )


def _worst(recipients: tuple[Recipient, ...]) -> Recipient | None:
    by_action = {"delayed": 1, "delivered": 2, "relayed": 2, "expanded": 2}
    return min(recipients, key=lambda one: by_action.get(one.action, 0), default=None)


def _explain_recipient(recipient: Recipient | None) -> tuple[Statement | None, Diagnosis | None]:
    """The answer about a recipient: in the codes of the report, and in the words of its diagnostic."""
    if recipient is None:
        return None, None
    words = recipient.diagnostic or ""
    quoted = read_statement(words)
    agrees = quoted is not None and quoted.enhanced == recipient.status
    said = Statement(recipient.code, recipient.status, quoted.text if quoted is not None and agrees else words)
    has_codes = said.code is not None or said.enhanced is not None
    both = [diagnose_statement(said) if has_codes else None, diagnose_text(words) if words else None]
    known = [found for found in both if found is not None]
    return said, min(known, key=lambda one: _EXACTNESS.index(one.exactness), default=None)
