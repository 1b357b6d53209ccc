"""The mail that a canary is: small, plain, and plainly named for whoever finds it.

From a bytes template: the email package takes a millisecond to say the same.
"""

from __future__ import annotations

import email.utils

from checks.core.model import Canary

HEADER = "X-Relaycanary"

# RFC 3834 2 and Microsoft's X-Auto-Response-Suppress keep responders from answering. Lines stay below 78
# characters where they can; the token itself may not be folded (RFC 5322 2.1.1 allows 998).
_TEMPLATE = b"""\
From: <%(sender)b>\r
To: <%(recipient)b>\r
Subject: %(subject)b\r
Date: %(date)b\r
Message-ID: %(message_id)b\r
X-Relaycanary: %(token)b\r
Auto-Submitted: auto-generated\r
X-Auto-Response-Suppress: All\r
MIME-Version: 1.0\r
Content-Type: text/plain; charset=us-ascii\r
Content-Transfer-Encoding: 7bit\r
\r
Hello,\r
\r
this is an automatic test message. A monitoring agent (relaycanary) sends\r
one like it at regular times, to see that mail from\r
%(sender)b\r
still arrives, and how long it takes.\r
\r
There is nothing to do: please do not answer. The agent reads the message\r
back and deletes it later by itself.\r
\r
Check: %(check)b\r
Sent: %(date)b\r
"""


def subject(token: str) -> str:
    """Write the subject of the canary with this *token*."""
    return f"Mail flow canary {token}"


def message_id(token: str, sender: str) -> str:
    """Write the Message-ID of the canary with this *token* (RFC 5322 3.6.4); a message trace finds it by that."""
    return f"<{token}@{sender.rpartition('@')[2]}>"


def keeps_message_id(method: str) -> bool:
    """Tell whether a canary arrives with the Message-ID it was given; Exchange gives mail of Graph one of its own."""
    return method != "graph_send"


def compose(canary: Canary, token: str) -> bytes:
    """Write the message of *canary* (RFC 5322) with its signed *token*, in ASCII, with CRLF line ends."""
    check = canary.check
    return _TEMPLATE % {
        b"sender": check.sender.encode("ascii"),
        b"recipient": check.recipient.encode("ascii"),
        b"token": token.encode("ascii"),
        b"subject": subject(token).encode("ascii"),
        b"message_id": message_id(token, check.sender).encode("ascii"),
        b"date": email.utils.format_datetime(canary.started).encode("ascii"),
        b"check": check.name.encode("ascii"),
    }
