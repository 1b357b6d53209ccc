"""Hold a delivered canary against what its check expects. A finding that is missing is never taken for a good one."""

from __future__ import annotations

from checks.core.model import Expectations, Findings, TlsFacts

_NOTHING = Findings()


ATTRIBUTION_UNOBSERVED = "attribution_unobserved"
"""Reason: `attributed` is expected and not found, on a mailbox that has never shown the header: it may not stamp it."""


def unmet(
    expect: Expectations, findings: Findings | None, tls: TlsFacts | None, *, attribution_known: bool = False
) -> tuple[str, ...]:
    """List the expectations that do not hold, each naming what was expected and what was found.

    That the connector's header is missing says something only where it is known to be stamped (*attribution_known*).
    """
    seen = findings or _NOTHING
    reasons = [
        f"{mechanism}: expected {wanted}, found {seen.results.get(mechanism, 'nothing')}"
        for mechanism, wanted in sorted(expect.results.items())
        if seen.results.get(mechanism) != wanted
    ]
    if expect.tls is not None and _tls_version(tls) < _as_tuple(expect.tls):
        reasons.append(f"tls: expected {expect.tls} or later, found {tls.version if tls else 'no TLS'}")
    if _misattributed(expect, seen) and (attribution_known or seen.attributed):
        reasons.append(f"attributed: expected {_word(expect.attributed)}, found {_word(seen.attributed)}")
    if expect.scl_max is not None and (seen.scl is None or seen.scl > expect.scl_max):
        found = "nothing" if seen.scl is None else str(seen.scl)
        reasons.append(f"scl: expected at most {expect.scl_max}, found {found}")
    if expect.max_hop_delay is not None and (seen.longest_hop is None or seen.longest_hop > expect.max_hop_delay):
        found = "nothing" if seen.longest_hop is None else f"{seen.longest_hop:g} s"
        reasons.append(f"hop: expected at most {expect.max_hop_delay:g} s, found {found}")
    missing = [name for name in expect.headers if name.lower() not in seen.headers]
    reasons.extend(f"header: expected {name}, found nothing" for name in missing)
    return tuple(reasons)


def unjudged(expect: Expectations, findings: Findings | None, *, attribution_known: bool) -> tuple[str, ...]:
    """List what is expected and not found, but cannot be held against the canary."""
    seen = findings or _NOTHING
    silent = _misattributed(expect, seen) and not (attribution_known or seen.attributed)
    return (ATTRIBUTION_UNOBSERVED,) if silent else ()


def _misattributed(expect: Expectations, seen: Findings) -> bool:
    return expect.attributed is not None and seen.attributed is not expect.attributed


def _word(value: bool | None) -> str:
    return {True: "yes", False: "no", None: "nothing"}[value]


def _tls_version(tls: TlsFacts | None) -> tuple[int, ...]:
    return _as_tuple(tls.version.removeprefix("TLSv")) if tls else ()


def _as_tuple(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
