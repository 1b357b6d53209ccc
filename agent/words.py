"""What happened, how long it took and how long ago it was: in the words that people read, wherever they read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from checks.core.expect import ATTRIBUTION_UNOBSERVED, EVIDENCE_UNOBSERVED
from checks.core.model import Cause, Outcome
from checks.core.verdict import TIMELINESS_UNOBSERVED

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

_CAUSES: Mapping[str, str] = MappingProxyType(
    {
        Cause.NAME: "the host name could not be resolved",
        Cause.CONNECT: "no TCP connection",
        Cause.TLS: "the handshake or the certificate failed",
        Cause.NOT_OFFERED: "the server does not offer it",
        Cause.TIMEOUT: "no answer in time",
        Cause.DROPPED: "the connection was dropped",
        Cause.GARBAGE: "an answer that is not of the protocol",
    }
)
_FIXED: Mapping[str, str] = MappingProxyType(
    {
        ATTRIBUTION_UNOBSERVED: "whether the connector took it cannot be told: this mailbox has never shown its header",
        EVIDENCE_UNOBSERVED: "what its header says could not be read",
    }
)

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def told(reasons: Sequence[str], gap: float | None = None) -> Sequence[str]:
    """Say the *reasons* of a verdict as people say them; programs are given the fixed words as they are.

    The fixed word of a cause goes where the other side's words, or ours, follow it. *gap* is for how many seconds
    nobody looked before the canary was seen.
    """
    if reasons and reasons[0] in _CAUSES:
        reasons = reasons[1:] or (_CAUSES[reasons[0]],)
    return [_told(one, gap) for one in reasons]


def _told(reason: str, gap: float | None) -> str:
    if reason == TIMELINESS_UNOBSERVED:
        return f"on time or not cannot be told: nobody looked for {'a while' if gap is None else span(gap)}"
    return _FIXED.get(reason, reason)


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
