"""A non-delivery report as Exchange Online writes it: multipart/report (RFC 6522) with delivery status (RFC 3464).

Form after https://learn.microsoft.com/exchange/mail-flow-best-practices/non-delivery-reports-in-exchange-online/ and
reports seen in the wild: the original subject behind `Undeliverable: `, an empty `X-MS-Exchange-Message-Is-Ndr`, and
the remote server's reply behind `->`.
"""

import html
from datetime import datetime
from email import message_from_bytes, message_from_string, policy
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

_STATUS = "5.1.351"
_REPORTER = "AM0PR01MB0001.eurprd01.prod.exchangelabs.example"
_FROM = "Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@corp.test>"


def undeliverable(original: bytes, sender: str, recipient: str, now: datetime) -> bytes:
    """The report on a message that could not be delivered to `recipient`, to be sent to `sender`, dated `now`."""
    header_lines = original.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    headers = message_from_bytes(header_lines, policy=policy.default)
    message_id = headers["Message-ID"] or ""
    diagnosis = (
        f"550 {_STATUS} Remote server returned unknown recipient or mailbox unavailable "
        f"-> 550 5.1.1 <{recipient}>: user unknown"
    )
    report = EmailMessage(policy=policy.SMTP)
    report["From"] = _FROM
    report["To"] = sender
    report["Date"] = format_datetime(now)
    report["Message-ID"] = make_msgid(domain="corp.test")
    report["Subject"] = f"Undeliverable: {headers['Subject'] or ''}"
    report["Auto-Submitted"] = "auto-replied"
    report["X-MS-Exchange-Message-Is-Ndr"] = ""
    if message_id:
        report["In-Reply-To"] = report["References"] = message_id
    report.set_content(_explanation(recipient, diagnosis), subtype="html")
    report.make_mixed()
    report.attach(_delivery_status(recipient, diagnosis, now))
    report.attach(_verbatim("text/rfc822-headers", header_lines.decode("ascii", errors="surrogateescape")))
    report.replace_header("Content-Type", "multipart/report")
    report.set_param("report-type", "delivery-status")
    report.set_boundary("_0001_undeliverable_")
    return report.as_bytes()


def _explanation(recipient: str, diagnosis: str) -> str:
    return (
        f"<html><body><p>Your message to {html.escape(recipient)} couldn't be delivered.</p>\n"
        f"<p>{html.escape(recipient)} wasn't found at the remote server.</p>\n"
        f"<p>Diagnostic information for administrators:</p>\n<p>Generating server: {_REPORTER}</p>\n"
        f"<p>{html.escape(recipient)}<br>{html.escape(diagnosis)}</p></body></html>\n"
    )


def _delivery_status(recipient: str, diagnosis: str, now: datetime) -> EmailMessage:
    fields = (
        f"Reporting-MTA: dns;{_REPORTER}\r\n"
        f"Arrival-Date: {format_datetime(now)}\r\n\r\n"
        f"Final-Recipient: rfc822;{recipient}\r\n"
        "Action: failed\r\n"
        f"Status: {_STATUS}\r\n"
        f"Diagnostic-Code: smtp;{diagnosis}\r\n"
        "Remote-MTA: dns;mx.remote.test\r\n"
    )
    return _verbatim("message/delivery-status", fields)


def _verbatim(content_type: str, text: str) -> EmailMessage:
    # The content managers of `email` know neither type; its parser knows how it wants them.
    return message_from_string(f"Content-Type: {content_type}\r\n\r\n{text}", EmailMessage, policy=policy.SMTP)
