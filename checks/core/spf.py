"""What an SPF record says about one sending address (RFC 7208), once everything it refers to has been looked up."""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_LOOKUPS = 10
"""Look-ups that evaluating a record may take; one more, and receivers call the record broken (RFC 7208 4.6.4)."""


class SpfResult(enum.StrEnum):
    """What a receiver that evaluates the record comes to (RFC 7208 2.6); `UNDECIDED` is ours."""

    PASS = "pass"  # noqa: S105 - a word of the standard, not a password
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    UNDECIDED = "undecided"  # only a receiver can tell: the record asks about the message itself


@dataclass(frozen=True, slots=True, kw_only=True)
class SpfTerm:
    """One mechanism: the result on a match, and what matches.

    `networks` are the addresses that it stands for; `included` is the record that an include leads to. With neither,
    or with `open_ended`, it may match what we cannot tell (exists, ptr, macros).
    """

    text: str
    result: SpfResult
    networks: Sequence[str] = ()
    included: SpfRecord | None = None
    open_ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SpfRecord:
    """A record and what it refers to. `otherwise` is what its `all` says, `redirect` the record that goes on."""

    domain: str
    text: str
    terms: Sequence[SpfTerm]
    otherwise: SpfResult | None = None
    redirect: SpfRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpfVerdict:
    """A result, and the way to it: the domains of the records that led there, the last with the mechanism."""

    result: SpfResult
    way: tuple[str, ...]


def evaluate(record: SpfRecord, address: str) -> SpfVerdict:
    """Say what *record* makes of mail from *address*; the first mechanism that matches decides (RFC 7208 4.6.2).

    Raises:
        ValueError: *address* is not an IP address.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return _evaluate(record, ip)


def chain(record: SpfRecord) -> Iterator[str]:
    """List the domains of *record* and of every record that it includes or redirects to, depth first."""
    yield record.domain
    for term in record.terms:
        if term.included is not None:
            yield from chain(term.included)
    if record.redirect is not None:
        yield from chain(record.redirect)


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _evaluate(record: SpfRecord, ip: _Address) -> SpfVerdict:
    for term in record.terms:
        matched, way = _matches(term, ip)
        if matched is None:
            return SpfVerdict(result=SpfResult.UNDECIDED, way=(record.domain, *way))
        if matched:
            return SpfVerdict(result=term.result, way=(record.domain, *way))
    if record.otherwise is None and record.redirect is not None:
        onward = _evaluate(record.redirect, ip)
        return SpfVerdict(result=onward.result, way=(record.domain, *onward.way))
    if record.otherwise is None:
        return SpfVerdict(result=SpfResult.NEUTRAL, way=(record.domain, "no mechanism matches"))
    return SpfVerdict(result=record.otherwise, way=(record.domain, "all"))


def _matches(term: SpfTerm, ip: _Address) -> tuple[bool | None, tuple[str, ...]]:
    """Tell whether a mechanism matches, None where we cannot know; and what matched."""
    if term.included is not None:
        inner = _evaluate(term.included, ip)
        if inner.result is SpfResult.UNDECIDED:
            return None, inner.way
        return inner.result is SpfResult.PASS, inner.way
    if any(ip in ipaddress.ip_network(network, strict=False) for network in term.networks):
        return True, (term.text,)
    return (None if term.open_ended else False), (term.text,)
