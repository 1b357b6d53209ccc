"""Hold a delivered canary against what its check expects. A finding that is missing is never taken for a good one."""

from __future__ import annotations

from collections.abc import Iterator

from checks.core.model import Expectations, Findings, TlsFacts
from checks.core.servers import ServerHop

_UNNAMED = "an unnamed server"

ATTRIBUTION_UNOBSERVED = "attribution_unobserved"
"""Reason: `attributed` is expected and not found, on a mailbox that has never shown the header: it may not stamp it."""

EVIDENCE_UNOBSERVED = "evidence_unobserved"
"""Reason: the canary was seen, and nobody could read the header that its check has expectations of."""


def unmet(
    expect: Expectations, findings: Findings | None, tls: TlsFacts | None, *, attribution_known: bool = False
) -> tuple[str, ...]:
    """List the expectations that do not hold, each naming what was expected and what was found.

    *tls* is what was negotiated for the hop from us. That the connector's header is missing says something only where
    it is known to be stamped (*attribution_known*). Without *findings* nobody could read the header: what it would
    have said is not held against the canary.
    """
    first_hop = tuple(_tls(expect, tls))
    if findings is None:
        return first_hop
    results = [
        f"{mechanism}: expected {wanted}, found {findings.results.get(mechanism, 'nothing')}"
        for mechanism, wanted in sorted(expect.results.items())
        if findings.results.get(mechanism) != wanted
    ]
    reasons = [*results, *first_hop, *_tls_of_hops(expect, findings)]
    if _misattributed(expect, findings, known=attribution_known) and (attribution_known or findings.attributed):
        reasons.append(f"attributed: expected {_word(expect.attributed)}, found {_word(findings.attributed)}")
    if expect.scl_max is not None and (findings.scl is None or findings.scl > expect.scl_max):
        found = "nothing" if findings.scl is None else str(findings.scl)
        reasons.append(f"scl: expected at most {expect.scl_max}, found {found}")
    if expect.max_hop_delay is not None:
        reasons.extend(_hop_delay(expect.max_hop_delay, findings))
    missing = [name for name in expect.headers if name.lower() not in findings.headers]
    reasons.extend(f"header: expected {name}, found nothing" for name in missing)
    return tuple(reasons)


def unjudged(expect: Expectations, findings: Findings | None, *, attribution_known: bool) -> tuple[str, ...]:
    """List what is expected and not found, but cannot be held against the canary."""
    if findings is None:
        return (EVIDENCE_UNOBSERVED,) if _needs_header(expect) else ()
    silent = _misattributed(expect, findings, known=attribution_known)
    return (ATTRIBUTION_UNOBSERVED,) if silent and not (attribution_known or findings.attributed) else ()


def _needs_header(expect: Expectations) -> bool:
    """Tell whether anything is expected that only the header tells; a mail in the inbox may be marked as junk there."""
    sought = (expect.results, expect.headers, expect.tls_every_hop, expect.placement == "inbox")
    limits = (expect.attributed, expect.scl_max, expect.max_hop_delay)
    return any(sought) or any(limit is not None for limit in limits)


def _misattributed(expect: Expectations, seen: Findings, *, known: bool) -> bool:
    """Where the header is known to be stamped, its absence says that no connector took the canary."""
    found = False if seen.attributed is None and known else seen.attributed
    return expect.attributed is not None and found is not expect.attributed


def _tls(expect: Expectations, tls: TlsFacts | None) -> Iterator[str]:
    """Say what is wrong with the hop from us, which we have seen ourselves."""
    if expect.tls is not None and (tls is None or _as_tuple(tls.version.removeprefix("TLSv")) < _as_tuple(expect.tls)):
        yield f"tls: expected {expect.tls} or later, found {tls.version if tls else 'no TLS'}"


def _tls_of_hops(expect: Expectations, seen: Findings) -> Iterator[str]:
    if expect.tls is None or not expect.tls_every_hop:
        return
    lowest = _as_tuple(expect.tls)
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
