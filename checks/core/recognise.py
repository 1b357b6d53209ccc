"""Tell our own canaries from all other mail, from header fields alone.

The token stands in three places, for servers that strip some of them. A message is a canary only if the signature
is right *and* it is no answer to one: bounces, auto-replies and human answers quote the subject.
"""

from __future__ import annotations

import email.utils
import enum
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from checks.core import token
from checks.core.bounce import signs
from checks.core.headers.fields import Headers
from checks.core.message import HEADER

FIELDS = (
    HEADER,
    "Message-ID",
    "Subject",
    "From",
    "In-Reply-To",
    "References",
    "Content-Type",
    "Auto-Submitted",
    "Return-Path",
    "X-Failed-Recipients",
    "X-MS-Exchange-Message-Is-Ndr",
)
"""The header fields that recognition needs; a reader fetches no more than these of other people's mail."""

_MOST_CLAIMS = 8
_LONGEST_SENDER = 2000
_ANSWERING = re.compile(r"auto-(?:replied|notified)", re.IGNORECASE)


class Ignored(enum.StrEnum):
    """Why a message that carries a token does not count."""

    FORGED = "forged"  # the signature is wrong
    FOREIGN = "foreign"  # signed with a key that we do not have, or a canary that is not in our ledger
    FORGOTTEN = "forgotten"  # as foreign, soon after the ledger was restored from a copy or begun anew: it may be ours
    EXPIRED = "expired"  # a concluded canary of ours from before the time that the mailbox is kept
    UNREADABLE = "unreadable"  # it could be a bounce, but fetching it breaks the connection each time
    QUOTED = "quoted"  # the token stands in the subject alone, and somebody else writes: a notice, a forwarded mail
    COPY = "copy"  # a canary of ours for another mailbox (a copy in Sent Items, a forwarded one)


@dataclass(frozen=True, slots=True)
class Genuine:
    """The signature is ours. Whether the canary counts is for the ledger to say."""

    id: str
    check: str


@dataclass(frozen=True, slots=True)
class Sent:
    """What a token is held against: whom the canary may have been addressed to, and how it was signed.

    With the signature that it was sent with, it is recognised after its key has been replaced; without (""), by the
    keys that there are.
    """

    recipients: Sequence[str]
    signature: str = ""


def claims(headers: Headers) -> list[token.Token]:
    """List the tokens that a message claims to carry as a canary; none if it answers another message.

    The subject alone is believed only if nothing else speaks for a notice: old mail systems quote it in bounces that
    have none of the fields of an answer.
    """
    if answers(headers):
        return []
    marked = _tokens(headers, (HEADER, "Message-ID"))
    return marked if marked or _is_notice(headers) else _tokens(headers, ("Subject",))


def quoted(headers: Headers, sender: str) -> bool:
    """Tell whether a canary of *sender* is only quoted by a message that is no answer to it.

    A server that strips the fields of a canary leaves its sender; a gateway that reports what it holds back writes
    under its own name, and puts the subject of that mail into its own.
    """
    if _tokens(headers, (HEADER, "Message-ID")):
        return False
    senders = email.utils.getaddresses([value[:_LONGEST_SENDER] for value in headers.all("From")])
    return sender.lower() not in {address.lower() for _, address in senders}


def mentions(headers: Headers) -> list[token.Token]:
    """List the tokens that an answer (a bounce) mentions: whom it answers, and what about."""
    return _tokens(headers, ("In-Reply-To", "References", "Subject"))


def answers(headers: Headers) -> bool:
    """Tell whether a message answers another one, as bounces and people do; a canary never does."""
    if headers.first("In-Reply-To") or headers.first("References") or headers.first("X-Failed-Recipients"):
        return True
    if "X-MS-Exchange-Message-Is-Ndr" in headers or _ANSWERING.search(headers.first("Auto-Submitted") or ""):
        return True
    return any(value.lower().startswith("multipart/report") for value in headers.all("Content-Type"))


def prove(
    claimed: Sequence[token.Token], sent: Callable[[str], Sent], secrets: Mapping[str, bytes]
) -> Genuine | Ignored | None:
    """Verify the tokens of one message; None if there are none.

    One that is right is enough: a gateway may have damaged the others. *sent* tells for the id of a canary what is
    known of it.
    """
    for candidate in claimed:
        if _is_right(candidate, sent(candidate.id), secrets):
            return Genuine(candidate.id, candidate.check)
    if not claimed:
        return None
    return Ignored.FORGED if any(candidate.key in secrets for candidate in claimed) else Ignored.FOREIGN


def _is_right(candidate: token.Token, sent: Sent, secrets: Mapping[str, bytes]) -> bool:
    if sent.signature:
        return token.equal(candidate.signature, sent.signature)
    return any(token.verify(candidate, recipient, secrets) for recipient in sent.recipients)


def _is_notice(headers: Headers) -> bool:
    """Tell whether a mail system speaks, by sender, return path or the words around the token in the subject."""
    around = token.PATTERN.sub("", headers.first("Subject") or "")  # a check may be called "delayed"
    words = Headers((("Subject", around),))
    return signs.from_daemon(headers) or signs.null_return_path(headers) or signs.failure_subject(words)


def _tokens(headers: Headers, places: Iterable[str]) -> list[token.Token]:
    texts = (text for place in places for text in headers.all(place))
    return [claimed for text in texts for claimed in token.find(text)][:_MOST_CLAIMS]
