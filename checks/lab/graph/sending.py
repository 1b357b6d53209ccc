"""sendMail: a message as JSON or as MIME, which then travels like any other.

Source: "user: sendMail", "Send Outlook messages in MIME format".
"""

from __future__ import annotations

import base64
import binascii
import logging
import re
import secrets
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import SMTP
from email.utils import format_datetime, getaddresses
from typing import Any

from starlette.responses import Response

from checks.lab.faults import FaultBoard
from checks.lab.graph.changing import body_of, json_body
from checks.lab.graph.errors import GraphError, bad_request
from checks.lab.graph.gate import Call
from checks.lab.headers import MAILBOX_SERVER
from checks.lab.https import cut
from checks.lab.post import PostOffice, Submission
from checks.lab.tenant import PathName, Peer

_log = logging.getLogger(__name__)
_RECIPIENT_FIELDS = ("toRecipients", "ccRecipients", "bccRecipients")
_KNOWN = {"subject", "body", "importance", "from", "sender", "internetMessageHeaders", "replyTo", *_RECIPIENT_FIELDS}
_ADDRESS = re.compile(r"[^\s<>@,;:\"]+@[^\s<>@,;:\"]+")
_MOST_OWN_HEADERS = 5
_AS_WRITTEN = SMTP.clone(max_line_length=998)
"""Python would turn a long word into encoded words (RFC 2047) to keep lines short; Exchange leaves it alone."""
_FIELD_NAME = re.compile(r"[Xx]-[A-Za-z0-9-]{1,100}")
_BCC = re.compile(rb"^bcc:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", re.IGNORECASE | re.MULTILINE)


class Sending:
    """Takes messages from mailboxes of the tenant."""

    def __init__(self, faults: FaultBoard, office: PostOffice) -> None:
        self._faults = faults
        self._office = office

    async def send(self, call: Call) -> Response:
        """Take a message; it is on its way when the answer is 202."""
        kind = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/plain":
            content, recipients, copy = *_from_mime(await body_of(call.request), call.account.address), True
        else:
            content, recipients, copy = _from_json(await json_body(call.request), call.account.address)
        client = call.request.client
        mail = Submission(
            path=PathName.GRAPH,
            peer=Peer(client.host if client else "", helo=MAILBOX_SERVER),
            mail_from=call.account.address,
            recipients=recipients,
            content=content,
            attributed=True,
            sent_copy=copy,
        )
        try:
            await self._office.accept(mail)
        except OSError as error:
            _log.warning("a message was put off, the disk does not take it: %s", error)
            raise GraphError(503, "ErrorInternalServerTransientError", "Please try again later.") from error
        if self._faults.is_on(PathName.GRAPH, "hang_after_body"):
            await self._faults.outlast(PathName.GRAPH, "hang_after_body")
            cut(call.request)
        elif self._faults.is_on(PathName.GRAPH, "drop_after_body"):
            cut(call.request)
        return Response(status_code=202)


def _from_mime(body: bytes, sender: str) -> tuple[bytes, tuple[str, ...]]:
    try:
        content = base64.b64decode(body, validate=False)
    except binascii.Error:
        content = b""
    if re.search(rb"[^A-Za-z0-9+/=\s]", body) or b":" not in content:
        message = "Invalid base64 string for MIME content."
        raise bad_request(message, "ErrorMimeContentInvalidBase64String")
    content = re.sub(rb"\r?\n", b"\r\n", content)
    header, gap, text = content.partition(b"\r\n\r\n")
    fields = BytesHeaderParser().parsebytes(header + b"\r\n\r\n")
    named = getaddresses([str(one) for name in ("To", "Cc", "Bcc") for one in fields.get_all(name, [])])
    authors = [address.lower() for _, address in getaddresses([str(one) for one in fields.get_all("From", [])])]
    if authors and authors != [sender]:
        raise _send_as_denied()
    added = b"" if authors else f"From: <{sender}>\r\n".encode()
    if "Message-ID" not in fields:
        added += f"Message-ID: <{secrets.token_hex(16)}@{MAILBOX_SERVER}>\r\n".encode()
    header = added + _BCC.sub(b"", header + b"\r\n").removesuffix(b"\r\n")
    return header + (gap or b"\r\n\r\n") + text, _checked([address for _, address in named])


def _from_json(body: dict[str, Any], sender: str) -> tuple[bytes, tuple[str, ...], bool]:
    options = {name.lower(): value for name, value in body.items()}
    message, copy = options.get("message"), options.get("savetosentitems", True)
    if not isinstance(message, dict) or not isinstance(copy, bool):
        raise bad_request("The request has no message.", "ErrorInvalidRequest")
    if odd := sorted(name for name in set(message) - _KNOWN if "@odata." not in name):
        raise bad_request(f"The lab does not simulate the property '{odd[0][:60]}'.", "ErrorInvalidPropertySet")
    for field in ("from", "sender"):
        if field in message and _address(message[field]).lower() != sender:
            raise _send_as_denied()
    made = EmailMessage()
    made["From"] = sender
    for field, name in (("toRecipients", "To"), ("ccRecipients", "Cc"), ("replyTo", "Reply-To")):
        if listed := [_address(one) for one in message.get(field, ())]:
            made[name] = ", ".join(_checked(listed))
    made["Subject"] = re.sub(r"[\r\n]+", " ", str(message.get("subject") or ""))
    made["Date"] = format_datetime(datetime.now(UTC).replace(microsecond=0))
    made["Message-ID"] = f"<{secrets.token_hex(16)}@{MAILBOX_SERVER}>"
    for name, value in _own_headers(message.get("internetMessageHeaders", ())):
        made[name] = value
    text = message.get("body") or {}
    html = str(text.get("contentType", "text")).lower() == "html"
    made.set_content(str(text.get("content") or ""), subtype="html" if html else "plain")
    recipients = _checked([_address(one) for field in _RECIPIENT_FIELDS for one in message.get(field, ())])
    return made.as_bytes(policy=_AS_WRITTEN), recipients, copy


def _own_headers(headers: Any) -> list[tuple[str, str]]:
    found = [(str(one.get("name")), str(one.get("value"))) for one in headers if isinstance(one, dict)]
    if len(found) > _MOST_OWN_HEADERS:
        message = f"Maximum number of headers in one message should be less than or equal to {_MOST_OWN_HEADERS}."
        raise bad_request(message, "InvalidInternetMessageHeaderCollection")
    for name, value in found:
        if _FIELD_NAME.fullmatch(name) is None:
            message = f"The internet message header name '{name[:60]}' should start with 'x-' or 'X-'."
            raise bad_request(message, "InvalidInternetMessageHeader")
        if re.search(r"[\r\n\0]", value):
            raise bad_request("The value of an internet message header has a line break.", "ErrorInvalidRequest")
    return found


def _address(recipient: Any) -> str:
    try:
        return str(recipient["emailAddress"]["address"])
    except (TypeError, KeyError):
        raise _no_recipients() from None


def _checked(addresses: list[str]) -> tuple[str, ...]:
    """Return the recipients, each once."""
    if not addresses or not all(_ADDRESS.fullmatch(one) for one in addresses):
        raise _no_recipients()
    return tuple(dict.fromkeys(addresses))


def _no_recipients() -> GraphError:
    return bad_request("At least one recipient is not valid.", "ErrorInvalidRecipients")


def _send_as_denied() -> GraphError:
    message = "The user account which was used to submit this request does not have the right to send mail on behalf "
    return GraphError(403, "ErrorSendAsDenied", f"{message}of the specified sending account.")
