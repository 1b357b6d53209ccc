"""The Received chain: which hosts a message passed, when, and how (RFC 5321 section 4.4).

In practice a line is free text: clauses in any order, comments anywhere, dates in many forms. What a line does not say
is None. Nothing here is proof: everything below the receiving organisation's own lines was written by somebody else,
and every date is that host's clock.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice

from checks.core.headers.dates import find_date
from checks.core.headers.fields import Headers
from checks.core.headers.hop_tls import HopTls, find_tls
from checks.core.headers.tokens import Token, TokenKind, tokenize

MAX_HOPS = 100
"""Lines that are read of one chain; RFC 5321 section 6.3 lets servers take more for a loop."""
_MAX_LINE = 4096
_MAX_CHAIN = 32_768
_MAX_VALUE = 255
_DATE_TAIL = 120
_MAX_TOKENS = 250
_MAX_PIECES = 20

_CLAUSES = frozenset({"from", "by", "via", "with", "id", "for"})
_ADDRESS = re.compile(
    r"(?<![\w.:])(?:IPv6:)?(?P<ip>[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+|\d{1,3}(?:\.\d{1,3}){3})(?!\w)",
    re.IGNORECASE | re.ASCII,
)
_HELO = re.compile(r"\b(?:HELO|EHLO|LHLO)[ =]\S*", re.IGNORECASE)
_ENVELOPE_FROM = re.compile(r"envelope-(?:from|sender)\s+<?([^\s<>,()]{1,254})")


@dataclass(frozen=True, slots=True)
class Hop:
    """One Received line. The names are the clauses' own: from, by, via, with, id, for.

    `from_info` and `by_info` are the comments right behind the names: what the receiving host saw of its client, and
    what it says of itself. `from_ip` is the client's address as the receiving host saw it. `delay` is the time since
    the hop before that has a date; it is negative where clocks disagree or lines are out of order.
    """

    from_: str | None = None
    from_info: str | None = None
    from_ip: str | None = None
    by: str | None = None
    by_info: str | None = None
    via: str | None = None
    with_: str | None = None
    id: str | None = None
    for_: str | None = None
    envelope_from: str | None = None
    date: datetime | None = None
    tls: HopTls | None = None
    delay: timedelta | None = None

    @property
    def skewed(self) -> bool:
        """Whether this hop is dated before the one that it came from."""
        return self.delay is not None and self.delay < timedelta(0)


def received_chain(headers: Headers) -> tuple[Hop, ...]:
    """The hops of a message, oldest first, each with its delay since the hop before it.

    Of an endless chain the newest are kept, those that the receiving side wrote: up to `MAX_HOPS`, and 32 kB of text.
    """
    lines: list[str] = []
    room = _MAX_CHAIN
    for line in headers.all("Received")[:MAX_HOPS]:
        if room <= 0:
            break
        lines.append(line)
        room -= min(len(line), _MAX_LINE)
    return with_delays(parse_received(line) for line in reversed(lines))


def with_delays(hops: Iterable[Hop]) -> tuple[Hop, ...]:
    """The same hops, oldest first, with `delay` filled in wherever two dates are known."""
    previous: datetime | None = None
    result = []
    for hop in hops:
        delay = hop.date - previous if hop.date and previous else None
        result.append(replace(hop, delay=delay))
        previous = hop.date or previous
    return tuple(result)


def parse_received(line: str) -> Hop:
    """One Received line, given as the field's value, folded or not."""
    line = " ".join(line[:_MAX_LINE].split())
    date, tokens = _split_date(line, list(islice(tokenize(line), _MAX_TOKENS)))
    clauses = _clauses(tokens)
    comments = [token.text for token in tokens if token.kind is TokenKind.COMMENT][:_MAX_PIECES]
    source, by = clauses.get("from", _Clause()), clauses.get("by", _Clause())
    # Some hosts put the whole clause in a comment: `(from user@localhost) by …`.
    seen_client = source.comments if "from" in clauses else comments[:1]
    return Hop(
        from_=source.host,
        from_info=_first(source.comments),
        from_ip=_client_ip(
            piece for pieces in (seen_client, source.tail, source.words) for piece in pieces[:_MAX_PIECES]
        ),
        by=by.host,
        by_info=_first(by.comments),
        via=clauses.get("via", _Clause()).phrase,
        with_=clauses.get("with", _Clause()).phrase,
        id=clauses.get("id", _Clause()).host,
        for_=clauses.get("for", _Clause()).host,
        envelope_from=_envelope_from(clauses.get("second from"), comments),
        date=date,
        tls=find_tls(clauses.get("with", _Clause()).phrase, _tls_remarks(clauses.get("with"), comments)),
    )


@dataclass(slots=True)
class _Clause:
    """What stands between one keyword and the next: the words, the comments, and the words behind a comment."""

    words: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)

    @property
    def host(self) -> str | None:
        """The value of a clause that holds one atom."""
        return self.words[0].rstrip(",")[:_MAX_VALUE] or None if self.words else None

    @property
    def phrase(self) -> str | None:
        """The value of a clause that may hold several words, as Exchange's `with Microsoft SMTP Server`."""
        return " ".join(self.words).rstrip(",")[:_MAX_VALUE] or None


def _split_date(line: str, tokens: list[Token]) -> tuple[datetime | None, list[Token]]:
    """The date of a line, and its tokens without the date's.

    The date follows the last semicolon; comments and even clauses may follow it. Where no semicolon is, a date with a
    time at the end of the line counts, as SendGrid writes it.
    """
    starts = [token.end for token in tokens if token.kind is TokenKind.SEMICOLON][-3:]
    found = None
    start = max(0, len(line) - _DATE_TAIL)
    if starts:
        for start in reversed(starts):
            found = find_date(line[start:], time_required=False)
            if found:
                break
    else:
        found = find_date(line[start:])
    if found is None:
        return None, tokens
    date, first, last = found[0], start + found[1], start + found[2]
    return date, [token for token in tokens if token.end <= first or token.start >= last]


def _clauses(tokens: Sequence[Token]) -> dict[str, _Clause]:
    """The clauses by keyword. Each may stand once: of a repeated one the first counts.

    The exception is a second `from`, in which some hosts write the envelope sender.
    """
    clauses: dict[str, _Clause] = {}
    current = _Clause()
    for token in tokens:
        if token.kind is TokenKind.SEMICOLON:
            # What follows is the date's: the day of the week is no word of the last clause.
            current = _Clause()
            continue
        if token.kind is TokenKind.COMMENT:
            current.comments.append(token.text)
            continue
        keyword = token.text.lower()
        if token.kind is TokenKind.WORD and keyword in _CLAUSES:
            current = _Clause()
            clauses.setdefault("second from" if keyword == "from" and "from" in clauses else keyword, current)
        elif current.comments:
            current.tail.append(token.text)
        else:
            current.words.append(token.text)
    return clauses


def _client_ip(places: Iterable[str]) -> str | None:
    """The first IP address in these texts, those in a HELO aside: a client may claim anything there."""
    for place in places:
        for match in _ADDRESS.finditer(_HELO.sub("", place)):
            try:
                address = ipaddress.ip_address(match["ip"])
            except ValueError:
                continue
            mapped = getattr(address, "ipv4_mapped", None)
            return str(mapped or address)
    return None


def _envelope_from(second: _Clause | None, comments: Sequence[str]) -> str | None:
    for comment in comments:
        match = _ENVELOPE_FROM.search(comment)
        if match:
            return match[1]
    if second and second.host and "@" in second.host:
        return second.host.strip("<>")
    return None


def _tls_remarks(protocol: _Clause | None, comments: Sequence[str]) -> list[str]:
    """The comments, and what Exim writes behind its version: `with esmtps (TLS1.3) tls TLS_AES_256_GCM_SHA384`."""
    if protocol and protocol.comments and protocol.tail:
        return [f"{protocol.comments[0]} {' '.join(protocol.tail)}", *comments]
    return list(comments)


def _first(texts: Sequence[str]) -> str | None:
    return texts[0][:_MAX_VALUE] if texts else None
