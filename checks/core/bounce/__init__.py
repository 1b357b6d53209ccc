"""Notices about mail that was sent: bounces, delays, automatic answers, complaints.

`may_be_bounce` decides from the headers whether the body is worth fetching, `classify` reads the whole message. Both
are total: any bytes give an answer, in bounded time. What a notice says is hearsay until the returned headers prove, by
a canary's signature, which message it is about; that is the caller's part.
"""

from checks.core.bounce.classify import classify, may_be_bounce
from checks.core.bounce.fate import fate_of
from checks.core.bounce.model import Kind, Notification, Recipient

__all__ = ["Kind", "Notification", "Recipient", "classify", "fate_of", "may_be_bounce"]
