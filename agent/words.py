"""What happened, how long it took and how long ago it was: in the words that people read, wherever they read them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from checks.core.model import Outcome

OUTCOMES: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.DELIVERED: "delivered",
        Outcome.LATE: "delivered late",
        Outcome.JUNK: "delivered as junk",
        Outcome.DEGRADED: "delivered, but not as expected",
        Outcome.BOUNCED: "bounced",
        Outcome.LOST: "lost",
        Outcome.UNREACHABLE: "unreachable",
        Outcome.TLS_FAILED: "TLS failed",
        Outcome.AUTH_FAILED: "authentication failed",
        Outcome.DEFERRED: "deferred",
        Outcome.REJECTED: "rejected",
        Outcome.ACCEPTED: "accepted, and should have been refused",
        Outcome.INDETERMINATE: "in doubt",
        Outcome.UNOBSERVED: "unobserved",
        Outcome.LOCAL_FAULT: "could not be tried",
    }
)
"""What happened, in the words that people read."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def span(seconds: float) -> str:
    """Write a measured time as people read it: ``3 ms``, ``1.24 s``, ``2 min 5 s``."""
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms" if abs(seconds) < 0.01 else f"{seconds * 1000:.0f} ms"  # noqa: PLR2004 - 10 ms
    return f"{seconds:.2f} s" if seconds < _MINUTE else age(seconds)


def age(seconds: float) -> str:
    """Write how long ago something was, in its two largest units: ``12 s``, ``5 min 3 s``, ``3 h 12 min``."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return _two(whole, _MINUTE, "min", 1, "s")
    if whole < _DAY:
        return _two(whole, _HOUR, "h", _MINUTE, "min")
    return _two(whole, _DAY, "d", _HOUR, "h")


def _two(seconds: int, large: int, large_unit: str, small: int, small_unit: str) -> str:
    rest = seconds % large // small
    return f"{seconds // large} {large_unit}" + (f" {rest} {small_unit}" if rest else "")


def count(number: int, word: str, plural: str | None = None) -> str:
    """Write ``1 check``, ``2 checks``, ``no checks``."""
    return f"{number or 'no'} {word if number == 1 else plural or word + 's'}"
