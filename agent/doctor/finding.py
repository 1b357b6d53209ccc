"""What the doctor says about one thing."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Status(enum.StrEnum):
    """How bad it is, worst first."""

    FAILURE = "failure"
    WARNING = "warning"
    NOT_TESTED = "not_tested"
    OK = "ok"


FROM_WORST = tuple(Status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    id: what was looked at ("smtp.port", "dns.spf"): stable, for scripts. subject: whose it is ("path relay", "domain
    contoso.com"). found: what was seen. meaning and fix: what it comes to and what to do, for everything but ok.
    source: where that is written.
    """

    id: str
    status: Status
    found: str
    subject: str = ""
    meaning: str = ""
    fix: str = ""
    source: str = ""


def ok(name: str, found: str, *, meaning: str = "", source: str = "") -> Finding:
    """Make a finding that needs nothing done."""
    return Finding(id=name, status=Status.OK, found=found, meaning=meaning, source=source)


def warning(name: str, found: str, *, meaning: str, fix: str, source: str) -> Finding:
    """Make a finding of what works, but not as well as it should, or not for long."""
    return Finding(id=name, status=Status.WARNING, found=found, meaning=meaning, fix=fix, source=source)


def failure(name: str, found: str, *, meaning: str, fix: str, source: str) -> Finding:
    """Make a finding of what does not work."""
    return Finding(id=name, status=Status.FAILURE, found=found, meaning=meaning, fix=fix, source=source)


def not_tested(name: str, why: str, *, fix: str = "", source: str = "") -> Finding:
    """Make a finding of what cannot be known from here; *why* goes on after "not tested:"."""
    return Finding(id=name, status=Status.NOT_TESTED, found=f"not tested: {why}", fix=fix, source=source)


def worst(findings: Iterable[Finding]) -> Status:
    """Tell the worst status among *findings*; ok if there are none."""
    return min((finding.status for finding in findings), key=FROM_WORST.index, default=Status.OK)
