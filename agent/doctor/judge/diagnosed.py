"""Refusals in the words of the catalogue."""

from __future__ import annotations

from agent.doctor.finding import Finding, Status
from checks.core.model import Protocol, Refused
from checks.knowledge import diagnose_refusal, diagnose_text

_UNKNOWN = "The server gave no reason that is known."
_PERMANENT = 500
_THROTTLED = 429
_ASK = "Ask whoever runs the server, and show them its words."


def of_refusal(name: str, refused: Refused, *, method: str, status: Status | None = None) -> Finding:
    """Make a finding of what a server refused: a failure, or, for what may pass by itself, a warning."""
    if status is None:
        status = Status.WARNING if _may_pass(refused) else Status.FAILURE
    said = str(refused.reply) if refused.reply is not None else refused.detail or refused.cause.value
    known = diagnose_refusal(refused, method=method)
    return Finding(
        id=name,
        status=status,
        found=f"refused at {refused.stage.upper()}: {said}",
        meaning=known.meaning if known else _UNKNOWN,
        fix=known.fix if known else _ASK,
        source=known.source if known else "RFC 5321 section 4.2",
    )


def _may_pass(refused: Refused) -> bool:
    """Tell whether it is a 4xx of SMTP, or, over HTTP, throttling or a fault of the server (RFC 9110 15.6)."""
    if refused.reply is None:
        return False
    code = refused.reply.code
    return code < _PERMANENT if refused.protocol is Protocol.SMTP else code == _THROTTLED or code >= _PERMANENT


def of_words(name: str, said: str, *, meaning: str, fix: str, source: str) -> Finding:
    """Make a finding of a failure in words; the catalogue's are preferred to those given."""
    known = diagnose_text(said)
    return Finding(
        id=name,
        status=Status.FAILURE,
        found=said,
        meaning=known.meaning if known else meaning,
        fix=known.fix if known else fix,
        source=known.source if known else source,
    )
