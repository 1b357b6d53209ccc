"""One command and its answer: limited in time and size, and every way to fail turned into `MailboxUnreadable`."""

from __future__ import annotations

import imaplib
from collections.abc import Callable, Sequence
from typing import TypeVar

from checks.errors import MailboxUnreadable
from checks.wire.imap.transport import Transport
from checks.wire.imap.words import cleaned, unreadable

_Result = TypeVar("_Result")

SMALL = 4_194_304
"""Bytes that an answer may bring which has no message data in it; a SEARCH may find some 500,000 UIDs."""

# What imaplib and IMAPClient raise from inside when an answer breaks the grammar of RFC 9051 section 9. An exchange
# spans calls into them only, so that mistakes of ours are not taken for the server's.
_UNGRAMMATICAL = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


class Dialogue:
    """The exchanges with one server, and the secrets that must not show in what is told about them."""

    def __init__(self, transport: Transport, limit: float) -> None:
        self.secrets: Sequence[str] = ()
        self._transport = transport
        self._limit = limit

    def exchange(
        self, aim: str, talk: Callable[[], _Result], *, refused: str = "protocol", allowance: int = SMALL
    ) -> _Result:
        """Return the result of *talk*, which speaks to the server through the library, within limits.

        *aim* says what it is for ("look into INBOX"); *refused* is the reason to give if the server says no.

        Raises:
            MailboxUnreadable: it did not work; the connection is in an unknown state and must be given up.
        """
        self._transport.begin(self._limit, allowance)
        try:
            return talk()
        except MailboxUnreadable as error:
            reason, what = error.reason, error.detail
        except imaplib.IMAP4.error:
            reason, what = (refused, "refused") if self._transport.heard else ("protocol", "the answer is not IMAP")
        except _UNGRAMMATICAL as error:
            reason, what = "protocol", f"the answer is not IMAP ({type(error).__name__})"
        # Raised here, out of the handlers, so that no chain leads to the library's error: that may quote a command.
        words = cleaned(self._transport.heard, self.secrets)
        raise unreadable(reason, f"could not {aim}: {what}", words)

    def unless_refused(self, aim: str, talk: Callable[[], _Result]) -> _Result | None:
        """Return the result of *talk* about a folder as `exchange` does; None if the server says no to it.

        Raises:
            MailboxUnreadable: anything else went wrong.
        """
        try:
            return self.exchange(aim, talk, refused="folder")
        except MailboxUnreadable as error:
            if error.reason != "folder":
                raise
            return None
