"""What the headers of a delivered canary say, arranged for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from checks.core.headers.authres import authentication
from checks.core.headers.exchange import filtering
from checks.core.headers.fields import parse_headers
from checks.core.headers.received import Hop, received_chain

_MOST_LINES = 400


@dataclass(frozen=True, slots=True)
class Mail:
    """The Received chain (oldest first), the results of authentication, the filter's words, and the lines as sent.

    `message_id` is what the message came to be known by: Exchange gives mail of Graph one of its own.
    """

    hops: Sequence[Hop]
    authentication: Sequence[tuple[str, str]]
    filtering: Sequence[tuple[str, str]]
    message_id: str
    lines: Sequence[str]


def read(headers: bytes) -> Mail:
    """Take headers apart; whatever they hold, the result is bounded."""
    parsed = parse_headers(headers)
    found = filtering(parsed)
    words = {
        "SCL (spam confidence)": found.scl,
        "BCL (bulk)": found.bcl,
        "SFV (filter verdict)": found.sfv,
        "CAT (category)": found.cat,
        "direction": found.direction,
        "client address": found.client_ip,
        "country": found.country,
        "destination": found.destination,
    }
    return Mail(
        hops=received_chain(parsed),
        authentication=sorted(authentication(parsed).results().items()),
        filtering=[(name, str(value)) for name, value in words.items() if value is not None],
        message_id=parsed.first("Message-ID") or "",
        lines=headers.decode("utf-8", "backslashreplace").splitlines()[:_MOST_LINES],
    )
