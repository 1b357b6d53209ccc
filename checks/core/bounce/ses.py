"""Amazon SES's notices: JSON that Amazon SNS sends by mail, in place of a delivery status report.

SNS wraps the notice in a second JSON document when raw delivery is off, and breaks long lines, so the members are
picked out by name from the text with its escapes undone; a JSON parser would refuse most of these mails, and recurses.
"""

import re
from collections.abc import Iterator

from checks.core.bounce.codes import find_codes, first_status
from checks.core.bounce.dsn import MAX_RECIPIENTS, bare_address, read_action
from checks.core.bounce.model import Recipient
from checks.core.reply import clean_text

_MAX_NOTICE = 131_072
# SNS folds long lines as `!`, line end, space.
_FOLD = re.compile(r"!?\n ?")
_NOTICE = re.compile(r'"(?:notificationType|eventType)"\s*:\s*"(?:Bounce|Delivery|DeliveryDelay)"')
_FAILED = re.compile(r'\{([^{}]{0,200}"emailAddress"[^{}]{0,2000})\}')
_DELIVERED = re.compile(r'"recipients"\s*:\s*\[([^\[\]]{0,2000})\][^{}]{0,200}?"smtpResponse"\s*:\s*"([^"]{0,500})"')
_HEADER = re.compile(r'\{\s*"name"\s*:\s*"([!-9;-~]{1,100})"\s*,\s*"value"\s*:\s*"([^"]{0,2000})"\s*\}')
_REPORTING_MTA = re.compile(r'"reportingMTA"\s*:\s*"(?:ds?n?s?;\s*)?([\w.-]{1,255})"')


def read_ses_notice(text: str) -> tuple[str | None, tuple[Recipient, ...], bytes]:
    """The reporting MTA, the recipients and the returned header of an SES notice; no recipients where it is none."""
    text = _FOLD.sub("", text[:_MAX_NOTICE]).replace('\\"', '"')
    if not _NOTICE.search(text):
        return None, (), b""
    recipients = tuple(one for one, _ in zip(_recipients(text), range(MAX_RECIPIENTS), strict=False))
    mta = _REPORTING_MTA.search(text)
    fields = "\r\n".join(f"{match[1]}: {match[2]}" for match in _HEADER.finditer(text))
    return (mta[1] if mta else None), recipients, fields.encode("utf-8", "replace")


def _recipients(text: str) -> Iterator[Recipient]:
    delayed = '"DeliveryDelay"' in text
    for match in _FAILED.finditer(text):
        address = bare_address(_member(match[1], "emailAddress"))
        if address:
            diagnostic = _member(match[1], "diagnosticCode").removeprefix("smtp;").strip()
            quoted, code = find_codes(diagnostic)
            yield Recipient(
                address=clean_text(address, 255),
                action=read_action(_member(match[1], "action")) or ("delayed" if delayed else "failed"),
                status=quoted or first_status(_member(match[1], "status")),
                code=code,
                diagnostic=clean_text(diagnostic) or None,
            )
    delivered = _DELIVERED.search(text)
    for quoted_address in delivered[1].split(",") if delivered else ():
        address = bare_address(quoted_address)
        if address and delivered:
            reply = delivered[2]
            code = int(reply[:3]) if reply[:3].isascii() and reply[:3].isdigit() else None
            yield Recipient(clean_text(address, 255), "delivered", first_status(reply), code, clean_text(reply))


def _member(members: str, name: str) -> str:
    match = re.search(rf'"{name}"\s*:\s*"([^"]{{0,1000}})"', members)
    return match[1] if match else ""
