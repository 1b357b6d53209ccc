"""What a notification about a message says."""

import enum
from dataclasses import dataclass

from checks.core.headers.fields import Headers, parse_headers


class Kind(enum.StrEnum):
    """What a message is to somebody who waits for news about one that he sent.

    bounce: delivery failed for good. delayed: the server goes on trying (RFC 3464 section 2.3.3), so nothing is final.
    auto_reply: a person's or mailbox's automatic answer (RFC 3834), read receipts included: the message had arrived.
    feedback_report: a complaint or authentication report (RFC 5965, RFC 6591). other: everything else, notices of
    success among them.
    """

    BOUNCE = "bounce"
    DELAYED = "delayed"
    AUTO_REPLY = "auto_reply"
    FEEDBACK_REPORT = "feedback_report"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Recipient:
    """The fate of one recipient (RFC 3464 section 2.3). Every text is cleaned for display and bounded.

    `address` is the final recipient, `original_address` the one that the sender gave, where the notice says so.
    `action` is the report's word in lower case (failed, delayed, delivered, relayed, expanded), as inferred where the
    notice is prose. `status` is the enhanced code: the refusing server's own, from the diagnostic, where it says more
    than the reporting server's summary. `code` is the SMTP reply code.
    """

    address: str
    action: str
    status: str | None = None
    code: int | None = None
    diagnostic: str | None = None
    remote_mta: str | None = None
    original_address: str | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """A classified message, with all that tells which message it is about.

    `returned_headers` are the raw header bytes of the message that came back, empty where none did: only a valid
    signature in there proves the reference; `in_reply_to`, `references` and `subject` are the notice's own claims.
    `suspected` is what a mail system's message of kind `other` amounts to if what it returns is a message that was
    sent: it speaks of failure, but names nobody in a way known here.
    """

    kind: Kind
    recipients: tuple[Recipient, ...] = ()
    reporting_mta: str | None = None
    returned_headers: bytes = b""
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    subject: str = ""
    suspected: Kind | None = None

    @property
    def final(self) -> bool:
        """Whether this is the last word on the message: only a bounce is."""
        return self.kind is Kind.BOUNCE

    def returned(self) -> Headers:
        """The returned message's header fields."""
        return parse_headers(self.returned_headers)
