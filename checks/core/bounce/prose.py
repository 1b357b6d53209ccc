"""Notices without a report part: who failed, and why, from the words.

Every mail system has its own words, so this reads shapes that nearly all share instead of knowing each: an address
that begins a line is a recipient, and what follows it up to the next is about it. Addresses in the middle of a sentence
count only behind words that announce one. Without an address in such a place there is no finding.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from checks.core.bounce.codes import find_codes
from checks.core.bounce.dsn import MAX_RECIPIENTS
from checks.core.bounce.model import Recipient
from checks.core.reply import clean_text

_MAX_SECTION = 4000
_MAX_LINES = 2000
_ADDRESS = r"[^\s<>\"(),;:\[\]]{1,128}@[^\s<>\"(),;:@\[\]'*]{1,253}"
# `<a@b>: …`, `"a@b":`, `a@b`, `a@b<mailto:a@b>`, `a@b Invalid Address`, `To: a@b`; list bullets and quotes in front.
_AT_START = re.compile(
    r"[\s>*•|-]{0,12}(?:(?:rfc822|smtp|to|recipient|address|user)\s{0,3}[:;]\s{0,8})?[<\"'\[(]{0,2}"
    rf"({_ADDRESS})[>\"'\])]{{0,2}}",
    re.IGNORECASE,
)
_BEHIND = rf"\b[^@<\"'\n]{{0,30}}[\s:<\"'(\[]({_ADDRESS})"
_ANNOUNCED = re.compile(
    r"(?i)\b(?:recipients?|user ?id|mailbox|rcpt to|(?:un)?deliver(?:ed|y|able|ing)?\b[^.@\n]{0,60}\b(?:to|for)"
    r"|(?:delivery|message) (?:has )?fail(?:ed|ure)|message (?:to|for)|(?:expanded|generated) from)" + _BEHIND,
)
# These words announce other addresses, too, so that they count only beside a code.
_HINTED = re.compile(
    r"(?i)\b(?:address(?:es)?|users?|account|errors?|(?:mail|sent|send) (?:to|for)|unknown)" + _BEHIND,
)
_EXPANDED_FROM = re.compile(rf"\((?:expanded|generated) from:? {{0,3}}<?({_ADDRESS})", re.IGNORECASE)
_QUOTED_REPLY = re.compile(rf"(?m)(?<!\d)[45]\d\d[ -][^\n<]{{0,120}}<({_ADDRESS})>.*$")
_DELAYED = re.compile(
    r"(?i)\bdelayed\b|will (?:be )?(?:continue|keep|retr|try)|(?:being|is) retried|still trying|keep trying"
    r"|not yet been delivered|has not been delivered yet|delivery (?:attempts will|incomplete)|will be attempted again"
    r"|no (?:further )?action is required|this is (?:only )?a warning|do not need to resend"
    r"|warning: (?:message|could not)|temporary (?:problem|failure)[^.]{0,80}retr",
)
_GIVEN_UP = re.compile(
    r"(?i)permanent|given up|giving up|gave up|not going to try again|no longer|\bfinal\b|too long|expired|timed? ?out"
    r"|has been (?:rejected|returned|deleted)|delivery (?:has )?failed|undeliverable|will not be retried"
    r"|could not be delivered|failed to deliver",
)


@dataclass(slots=True)
class _Section:
    """What a notice says about one recipient."""

    address: str
    lines: list[str] = field(default_factory=list)
    size: int = 0

    def add(self, line: str) -> None:
        if self.size < _MAX_SECTION:
            self.lines.append(line)
            self.size += len(line)


def read_notice(
    lines: Sequence[str],
    *,
    named: Sequence[str],
    senders: Collection[str],
    returned_to: Sequence[str],
) -> tuple[Recipient, ...]:
    """The recipients that a notice in prose reports, each with the codes that stand with it.

    Args:
        lines: what the notice says, without the returned message.
        named: recipients that a header (X-Failed-Recipients) names; they are trusted before the text.
        senders: addresses, in lower case, that are never the failed recipient: whom the notice went to, and its sender.
        returned_to: the recipients in the returned message's own header, for a notice that names none but gives a code.
    """
    lines = lines[:_MAX_LINES]
    known = {address.lower() for address in named}
    sections = _sections(lines, known, senders)
    for address in named:
        sections.setdefault(address.lower(), _Section(address))
    whole = "\n".join(lines)
    if not sections:
        sections = _announced(whole, senders)
    if not sections and find_codes(whole) != (None, None):
        sections = {address.lower(): _Section(address) for address in returned_to[:1]}
    action = "delayed" if is_delay(whole) else "failed"
    return tuple(_recipient(section, whole, action) for section in list(sections.values())[:MAX_RECIPIENTS])


def is_delay(text: str) -> bool:
    """Whether a notice says that the server goes on trying, and not that it gave up."""
    return _DELAYED.search(text) is not None and _GIVEN_UP.search(text) is None


def _sections(lines: Iterable[str], known: Collection[str], senders: Collection[str]) -> dict[str, _Section]:
    """The text about each recipient: from a line that its address begins to the next such line."""
    sections: dict[str, _Section] = {}
    current: _Section | None = None
    for line in lines:
        match = _AT_START.match(line)
        address = match[1].rstrip(".'") if match else ""
        key = address.lower()
        if address and key not in senders and (not known or key in known):
            current = sections.setdefault(key, _Section(address))
        if current:
            current.add(line)
    return sections


def _announced(text: str, senders: Collection[str]) -> dict[str, _Section]:
    """The recipients that a quoted reply names, or that stand inside sentences behind words that announce one."""
    coded = find_codes(text) != (None, None)
    for pattern in (_QUOTED_REPLY, _ANNOUNCED, *((_HINTED,) if coded else ())):
        sections: dict[str, _Section] = {}
        for match in pattern.finditer(text):
            address = match[1].rstrip(".'")
            if address.lower() not in senders:
                sections.setdefault(address.lower(), _Section(address)).add(match[0])
        if sections:
            return sections
    return {}


def _recipient(section: _Section, whole: str, action: str) -> Recipient:
    text = "\n".join(section.lines)
    status, code = find_codes(text)
    if status is None and code is None:
        # The reason stands before the address, or once for all recipients.
        text = whole
        status, code = find_codes(text)
    expanded = _EXPANDED_FROM.search(text)
    return Recipient(
        original_address=clean_text(expanded[1], 255) if expanded else None,
        address=clean_text(section.address, 255),
        action=action,
        status=status,
        code=code,
        diagnostic=clean_text(text, 600) or None,
    )
