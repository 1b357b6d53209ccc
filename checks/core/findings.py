"""What the headers of a delivered canary say, as far as a check can demand it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

from checks.core.headers.attribution import WayIn, attribution
from checks.core.headers.authres import authentication
from checks.core.headers.exchange import Filtering, exchange, filtering
from checks.core.headers.fields import Headers, parse_headers
from checks.core.headers.received import Hop, received_chain
from checks.core.model import Findings
from checks.core.servers import ServerHop

MAX_HOPS = 25
"""Hops that are kept of a chain, the newest; Exchange Online itself takes 30 for a loop."""
_MAX_NAMES = 200
JUNK_FROM_SCL = 5  # Microsoft: 5 and 6 are spam, 7 to 9 high-confidence spam
_SMTP = re.compile(r"SMTP|LMTP", re.IGNORECASE)


def find(block: bytes, authserv_ids: Collection[str] = ()) -> Findings:
    """Read a whole header block. Total: hostile bytes give empty findings, never an error.

    Of the Authentication-Results those count that one of *authserv_ids* stamped; without any, the topmost.
    """
    headers = parse_headers(block)
    filtered = filtering(headers)
    facts = exchange(headers)
    way = attribution(facts).way
    return Findings(
        results=authentication(headers, authserv_ids or None).results(),
        marked_junk=_marked_junk(filtered),
        attributed=None if way is WayIn.UNKNOWN else way is WayIn.CONNECTOR,
        scl=filtered.scl,
        hops=server_hops(headers),
        end_to_end_latency=facts.end_to_end_latency.total_seconds() if facts.end_to_end_latency is not None else None,
        arrived=facts.original_arrival,
        headers=frozenset(name.lower() for name, _ in headers.fields[:_MAX_NAMES]),
    )


def server_hops(headers: Headers) -> tuple[ServerHop, ...]:
    """The Received chain, oldest first, as far as figures and expectations need it."""
    return tuple(
        ServerHop(
            by=hop.by,
            at=hop.date,
            delay=hop.delay.total_seconds() if hop.delay is not None else None,
            tls=None if hop.tls is None else hop.tls.version or "",
            wire=_came_by_wire(hop),
        )
        for hop in received_chain(headers)[-MAX_HOPS:]
    )


def _came_by_wire(hop: Hop) -> bool:
    """Whether a message came from another host by SMTP: not from the store (`mapi`), within one host, or by HTTPS."""
    if hop.from_ is None or (hop.with_ is not None and not _SMTP.search(hop.with_)):
        return False
    if hop.by is not None and hop.from_.casefold() == hop.by.casefold():
        return False
    return hop.from_ip is None or not ipaddress.ip_address(hop.from_ip).is_loopback


def _marked_junk(filtered: Filtering) -> str | None:
    """Tell by which mark the service filed the mail as junk, if it did."""
    if filtered.destination is not None:
        return "dest:J" if filtered.destination.upper() == "J" else None
    if filtered.scl is not None and filtered.scl >= JUNK_FROM_SCL:
        return f"SCL:{filtered.scl}"
    return None
