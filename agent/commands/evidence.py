"""What headers and handshakes show, as plain values for JSON: the same wherever a command prints it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from checks.core.headers.authres import authentication
from checks.core.headers.exchange import filtering
from checks.core.headers.fields import Headers
from checks.core.headers.received import received_chain
from checks.core.model import Certificate, TlsFacts
from checks.core.servers import ServerTimes

_MECHANISMS = ("spf", "dkim", "dmarc", "compauth")
_DIGITS = 6


def show_hops(headers: Headers) -> list[dict[str, Any]]:
    """List the Received chain, oldest first, host names as written; delays are in seconds, by the hosts' clocks."""
    return [
        {
            "from": hop.from_,
            "by": hop.by,
            "with": hop.with_,
            "date": hop.date.isoformat() if hop.date else None,
            "delay_seconds": hop.delay.total_seconds() if hop.delay is not None else None,
        }
        for hop in received_chain(headers)
    ]


def show_authentication(headers: Headers, authserv_ids: Collection[str] = ()) -> dict[str, str | None]:
    """Tell the receiver's result of each mechanism; None where it does not say.

    The receiver is who is named by *authserv_ids*, or wrote the topmost header.
    """
    results = authentication(headers, authserv_ids or None).results()
    return {mechanism: results.get(mechanism) for mechanism in _MECHANISMS}


def show_antispam(headers: Headers) -> dict[str, str | int | None]:
    """Tell what the service's filter decided, in the words of its headers; None where they do not say."""
    found = filtering(headers)
    return {
        "scl": found.scl,
        "bcl": found.bcl,
        "sfv": found.sfv,
        "cat": found.cat,
        "direction": found.direction,
        "client_ip": found.client_ip,
        "country": found.country,
        "destination": found.destination,
    }


def show_servers(times: ServerTimes) -> dict[str, Any]:
    """Tell what the servers' own clocks say, and how far two of these are ahead of ours."""
    return {
        "transit_seconds": times.transit,
        "end_to_end_seconds": times.end_to_end,
        "arrived": times.arrived.isoformat() if times.arrived else None,
        "clocks": [
            {
                "server": clock.server,
                "host": clock.host,
                "offset_seconds": round(clock.offset, _DIGITS),
                "uncertainty_seconds": round(clock.uncertainty, _DIGITS),
            }
            for clock in times.clocks
        ],
    }


def show_tls(facts: TlsFacts) -> dict[str, Any]:
    """Tell what was negotiated, and the server's own certificate."""
    return {
        "version": facts.version,
        "cipher": facts.cipher,
        "certificate": _show_certificate(facts.chain[0]) if facts.chain else None,
    }


def _show_certificate(certificate: Certificate) -> dict[str, Any]:
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "names": list(certificate.names),
        "not_after": certificate.not_after.isoformat(),
        "sha256": certificate.sha256,
    }
