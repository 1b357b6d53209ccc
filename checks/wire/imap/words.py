"""What a server's refusal means, in a word for metrics and in a sentence for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from checks.core.reply import clean_text
from checks.errors import MailboxUnreadable

_LONGEST_BACKOFF = 3600.0
_WORD = re.compile(r"[\w+/=.~-]{8,}")
_TAG = re.compile(r"^\S+ (?=(?:NO|BAD|BYE)\b)", re.IGNORECASE)
_THROTTLED = re.compile(r"request is throttled|suggested backoff time|\[(?:LIMIT|THROTTLED)\]", re.IGNORECASE)
_BACKOFF = re.compile(r"suggested backoff time:? *(\d{1,12}) *milliseconds", re.IGNORECASE)
_NOT_OPENED = "user is authenticated but not connected"
_NO = re.compile(r"(?:^|\| )(?:NO|BAD)\b", re.IGNORECASE)
_BYE = re.compile(r"(?:^|\| )BYE\b", re.IGNORECASE)


def cleaned(lines: Iterable[bytes], secrets: Iterable[str]) -> str:
    """Make the server's lines fit to be shown: printable, short, and without any of *secrets*.

    A server may repeat a command that it did not understand, whole or cut short, so every longer word is dropped
    that is part of a secret. *secrets* has them in each form in which they were sent.
    """
    hidden = [secret for secret in secrets if secret]
    return " | ".join(_TAG.sub("", clean_text(_redacted(line.decode("ascii", "replace"), hidden))) for line in lines)


def _redacted(text: str, hidden: Sequence[str]) -> str:
    for secret in hidden:
        text = text.replace(secret, "***")
    return _WORD.sub(lambda word: "***" if any(word[0] in secret for secret in hidden) else word[0], text)


def unreadable(reason: str, detail: str, words: str) -> MailboxUnreadable:
    """Build the error for *detail*; what the server said, if anything, decides the reason over *reason*.

    The texts of Exchange Online are those that its own front end sends: they are not documented by Microsoft.
    """
    said = f"{detail}; the server said: {words}" if words else detail
    if _THROTTLED.search(words):
        wish = _BACKOFF.search(words)
        wait = min(int(wish[1]) / 1000, _LONGEST_BACKOFF) if wish else None
        return MailboxUnreadable("throttled", said, retry_after=wait)
    if _NOT_OPENED in words.lower():
        hint = "the login was accepted but the mailbox was not opened: check its permissions and that IMAP is on for it"
        return MailboxUnreadable("login", f"{said} ({hint})")
    if _BYE.search(words) and not (_NO.search(words) and reason in {"login", "tls", "folder"}):
        return MailboxUnreadable("closed", said)
    return MailboxUnreadable(reason, said)
