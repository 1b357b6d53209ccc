"""The report as a mail: text and HTML side by side, the charts beside the HTML (RFC 2046, RFC 2387, RFC 2392)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from agent.log import plain
from agent.report.document import Document
from agent.report.render_html import html
from agent.report.render_text import text


def compose_mail(document: Document, *, sender: str, to: Sequence[str], now: datetime, unique: str) -> bytes:
    """Make the mail; *unique* makes its Message-ID one of a kind."""
    domain = sender.rpartition("@")[2]
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = ", ".join(to)
    mail["Subject"] = plain(document.title)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<report.{unique}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody need answer
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(text(document), cte="quoted-printable")
    names = {name: f"{name}.{unique}@{domain}" for name in document.pictures}
    page = html(document, {name: f"cid:{content}" for name, content in names.items()})
    mail.add_alternative(page, subtype="html", cte="quoted-printable")
    related = mail.get_body(("html",))
    if related is None:
        raise TypeError("a mail without the HTML part that it was just given")
    for name, png in document.pictures.items():
        related.add_related(
            png, maintype="image", subtype="png", cid=f"<{names[name]}>", filename=f"{name}.png", disposition="inline"
        )
    return mail.as_bytes()
