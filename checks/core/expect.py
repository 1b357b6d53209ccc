"""Hold a delivered canary against what its check expects. A finding that is missing is never taken for a good one."""

from __future__ import annotations

from collections.abc import Iterator

from checks.core.model import Expectations, Findings, TlsFacts
from checks.core.servers import ServerHop

_NOTHING = Findings()
_UNNAMED = "an unnamed server"

ATTRIBUTION_UNOBSERVED = "attribution_unobserved"
"""Reason: `attributed` is expected and not found, on a mailbox that has never shown the header: it may not stamp it."""


def unmet(
    expect: Expectations, findings: Findings | None, tls: TlsFacts | None, *, attribution_known: bool = False
) -> tuple[str, ...]:
    """List the expectations that do not hold, each naming what was expected and what was found.

    *tls* is what was negotiated for the hop from us. That the connector's header is missing says something only where
    it is known to be stamped (*attribution_known*).
    """
    seen = findings or _NOTHING
    reasons = [
        f"{mechanism}: expected {wanted}, found {seen.results.get(mechanism, 'nothing')}"
        for mechanism, wanted in sorted(expect.results.items())
        if seen.results.get(mechanism) != wanted
    ]
    reasons.extend(_tls(expect, seen, tls))
    if _misattributed(expect, seen, known=attribution_known) and (attribution_known or seen.attributed):
        reasons.append(f"attributed: expected {_word(expect.attributed)}, found {_word(seen.attributed)}")
    if expect.scl_max is not None and (seen.scl is None or seen.scl > expect.scl_max):
        found = "nothing" if seen.scl is None else str(seen.scl)
        reasons.append(f"scl: expected at most {expect.scl_max}, found {found}")
    if expect.max_hop_delay is not None:
        reasons.extend(_hop_delay(expect.max_hop_delay, seen))
    missing = [name for name in expect.headers if name.lower() not in seen.headers]
    reasons.extend(f"header: expected {name}, found nothing" for name in missing)
    return tuple(reasons)


def unjudged(expect: Expectations, findings: Findings | None, *, attribution_known: bool) -> tuple[str, ...]:
    """List what is expected and not found, but cannot be held against the canary."""
    seen = findings or _NOTHING
    silent = _misattributed(expect, seen, known=attribution_known) and not (attribution_known or seen.attributed)
    return (ATTRIBUTION_UNOBSERVED,) if silent else ()


def _misattributed(expect: Expectations, seen: Findings, *, known: bool) -> bool:
    """Where the header is known to be stamped, its absence says that no connector took the canary."""
    found = False if seen.attributed is None and known else seen.attributed
    return expect.attributed is not None and found is not expect.attributed


def _tls(expect: Expectations, seen: Findings, tls: TlsFacts | None) -> Iterator[str]:
    if expect.tls is None:
        return
    lowest = _as_tuple(expect.tls)
    if tls is None or _as_tuple(tls.version.removeprefix("TLSv")) < lowest:
        yield f"tls: expected {expect.tls} or later, found {tls.version if tls else 'no TLS'}"
    if not expect.tls_every_hop:
        return
    if not seen.hops:
        yield f"tls: expected {expect.tls} or later on every hop, found no hops"
    for hop in seen.hops:
        if hop.wire and (hop.tls is None or _as_tuple(hop.tls.removeprefix("TLSv")) < lowest):
            yield f"tls: expected {expect.tls} or later on every hop, found {_spoken(hop)} at {hop.by or _UNNAMED}"


def _spoken(hop: ServerHop) -> str:
    if hop.tls is None:
        return "no TLS"
    return hop.tls or "TLS of a version that is not named"


def _hop_delay(longest: float, seen: Findings) -> Iterator[str]:
    hops = [hop for hop in seen.hops if hop.delay is not None]
    if not hops:
        yield f"hop: expected at most {longest:g} s, found no delay"
    for hop in hops:
        if hop.delay is not None and hop.delay > longest:
            yield f"hop: expected at most {longest:g} s, found {hop.delay:g} s at {hop.by or _UNNAMED}"


def _word(value: bool | None) -> str:
    return {True: "yes", False: "no", None: "nothing"}[value]


def _as_tuple(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
