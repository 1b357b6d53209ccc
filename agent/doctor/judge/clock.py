"""This machine's clock, held against a server's."""

from __future__ import annotations

from datetime import datetime

from agent.doctor.finding import Finding, failure, ok, warning

_TOLERATED = 5.0
_FATAL = 300.0
_SOURCE = "RFC 5905; tokens and Kerberos allow for 5 minutes"


def judge_clock(ours: datetime, theirs: datetime, *, by: str, uncertainty: float) -> Finding:
    """Compare two readings of the same moment; *by* says whose clock, *uncertainty* is in seconds."""
    offset = (ours - theirs).total_seconds()
    found = f"this clock is {abs(offset):.0f} s {'ahead of' if offset > 0 else 'behind'} {by} (± {uncertainty:.0f} s)"
    if abs(offset) <= _TOLERATED + uncertainty:
        return ok("clock.offset", f"this clock agrees with {by} (± {uncertainty:.0f} s)")
    fix = "Have the clock set by NTP: timedatectl set-ntp true, and check with chronyc tracking."
    if abs(offset) >= _FATAL:
        return failure(
            "clock.offset",
            found,
            meaning="Tokens and certificates are judged by this clock: logins fail, or expire at once.",
            fix=fix,
            source=_SOURCE,
        )
    return warning(
        "clock.offset",
        found,
        meaning="Latencies and verdicts do not depend on it, but times in mail, logs and reports are wrong by that.",
        fix=fix,
        source=_SOURCE,
    )
