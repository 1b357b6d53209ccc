"""Non-delivery reports as Exchange Online writes them (RFC 3464 inside RFC 6522 multipart/report): pure."""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import format_datetime

from checks.lab.headers import FRONT_DOOR, MAILBOX_SERVER
from checks.lab.tenant import TENANT_DOMAIN

RECIPIENT_NOT_FOUND = "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"
_REMOTE_UNKNOWN = (
    "550 5.1.351 Remote server returned unknown recipient or mailbox unavailable -> 550 5.1.1 User unknown"
)
_NO_DOMAIN = "550 5.4.310 DNS domain {domain} does not exist"
_HEADER_LIMIT = 64 * 1024  # bytes of the original header that are returned


def reason_outside(recipient: str, outside_domain: str) -> str:
    """Return why a recipient beyond the tenant cannot be reached."""
    domain = recipient.rpartition("@")[2]
    return _REMOTE_UNKNOWN if domain == outside_domain else _NO_DOMAIN.format(domain=domain)


def report(original: bytes, *, sender: str, recipient: str, reason: str, now: datetime, boundary: str) -> bytes:
    """Return the report on *original*.

    Args:
        original: the message as it was handed over.
        sender: who gets the report.
        recipient: who could not be reached.
        reason: the reply, code and enhanced code first.
        now: its date.
        boundary: a random word, for the boundary and the Message-ID.
    """
    header = _header_of(original)
    date = format_datetime(now.replace(microsecond=0))
    return (
        _own_header(header, sender, date, boundary)
        + _words(recipient, reason, boundary)
        + _delivery_status(recipient, reason, date, boundary)
        + header
        + _lines("", f"--{boundary}--")
    )


def _own_header(original: bytes, sender: str, date: str, boundary: str) -> bytes:
    message_id = _field(original, "message-id")
    references = [f"In-Reply-To: {message_id}", f"References: {message_id}"] if message_id else []
    return _lines(
        "From: Microsoft Outlook",
        f" <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@{TENANT_DOMAIN}>",
        f"To: {sender}",
        f"Date: {date}",
        f"Subject: Undeliverable: {_field(original, 'subject')}",
        f"Message-ID: <{boundary}@{MAILBOX_SERVER}>",
        *references,
        "Content-Language: en-US",
        "Auto-Submitted: auto-replied",
        "X-MS-Exchange-Message-Is-Ndr:",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f' boundary="{boundary}"',
        "",
    )


def _words(recipient: str, reason: str, boundary: str) -> bytes:
    return _lines(
        f"--{boundary}",
        'Content-Type: text/plain; charset="us-ascii"',
        "",
        "Delivery has failed to these recipients or groups:",
        "",
        recipient,
        "Your message could not be delivered.",
        "",
        "Diagnostic information for administrators:",
        f"Generating server: {MAILBOX_SERVER}",
        f"{recipient}",
        f"Remote server returned '{reason}'",
        "",
    )


def _delivery_status(recipient: str, reason: str, date: str, boundary: str) -> bytes:
    """The part for programs (RFC 3464), and the beginning of the part with the header of the original."""
    _, enhanced, _ = reason.split(" ", 2)
    return _lines(
        f"--{boundary}",
        "Content-Type: message/delivery-status",
        "",
        f"Reporting-MTA: dns;{MAILBOX_SERVER}",
        f"Received-From-MTA: dns;{FRONT_DOOR}",
        f"Arrival-Date: {date}",
        "",
        f"Final-Recipient: rfc822;{recipient}",
        "Action: failed",
        f"Status: {enhanced}",
        f"Diagnostic-Code: smtp;{reason}",
        "",
        f"--{boundary}",
        "Content-Type: text/rfc822-headers",
        "",
    )


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("ascii", "replace")


def _header_of(message: bytes) -> bytes:
    return message.partition(b"\r\n\r\n")[0][:_HEADER_LIMIT] + b"\r\n"


def _field(header: bytes, name: str) -> str:
    """Return the unfolded value of a field; empty when it is missing."""
    found = re.search(
        rb"^" + name.encode() + rb":[ \t]*([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)", header, re.IGNORECASE | re.MULTILINE
    )
    return re.sub(r"\r?\n", "", found[1].decode("ascii", "replace")).strip() if found else ""
