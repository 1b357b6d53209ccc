"""What the headers of a delivered canary say, as far as a check can demand it."""

from __future__ import annotations

from checks.core.headers.attribution import WayIn, attribution
from checks.core.headers.authres import authentication
from checks.core.headers.exchange import Filtering, exchange, filtering
from checks.core.headers.fields import Headers, parse_headers
from checks.core.headers.received import received_chain
from checks.core.model import Findings

_JUNK_FROM_SCL = 5  # Microsoft: 5 and 6 are spam, 7 to 9 high-confidence spam


def find(block: bytes) -> Findings:
    """Read a whole header block. Total: hostile bytes give empty findings, never an error."""
    headers = parse_headers(block)
    filtered = filtering(headers)
    way = attribution(exchange(headers)).way
    return Findings(
        results=authentication(headers).results(),
        marked_junk=_marked_junk(filtered),
        attributed=None if way is WayIn.UNKNOWN else way is WayIn.CONNECTOR,
        scl=filtered.scl,
        longest_hop=_longest_hop(headers),
        headers=frozenset(name.lower() for name, _ in headers.fields),
    )


def _marked_junk(filtered: Filtering) -> str | None:
    """Tell by which mark the service filed the mail as junk, if it did."""
    if filtered.destination is not None:
        return "dest:J" if filtered.destination.upper() == "J" else None
    if filtered.scl is not None and filtered.scl >= _JUNK_FROM_SCL:
        return f"SCL:{filtered.scl}"
    return None


def _longest_hop(headers: Headers) -> float | None:
    delays = [hop.delay.total_seconds() for hop in received_chain(headers) if hop.delay is not None]
    return max(delays, default=None)
