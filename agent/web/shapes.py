"""What the API calls a check, a canary, an incident, a report: plain values for JSON, moments in ISO 8601, in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from agent.ledger import Silence, Snapshot
from agent.ledger.cases import CanaryRecord
from agent.report.archive import Issue
from agent.report.incidents import Incident
from agent.status import AgentView, CheckView
from agent.web.status_page import Ending, MailboxLine, silence_of, stand


def check(view: AgentView, taken: Snapshot, quiet: Sequence[Silence], one: CheckView) -> dict[str, Any]:
    """Tell how a check stands, under the names that ``status --json`` uses."""
    now = stand(view, taken, one.check)
    standing, known = now.standing, now.diagnosis
    silenced = silence_of(quiet, one.check, view)
    return {
        "check": one.check.name,
        "path": one.check.path,
        "method": one.check.method,
        "mailbox": one.check.mailbox,
        "severity": one.check.severity,
        "silenced_until": iso(silenced.ends_wall) if silenced else None,
        "verdict": now.verdict.value,
        "outcome": standing.outcome if standing else None,
        "reason": now.reason or None,
        "reasons": list(standing.reasons) if standing else [],
        "diagnosis": known.for_programs() if known else None,
        "since": _steady(now.since_at, view),
        "end_to_end_seconds": now.latency,
        "in_flight": now.in_flight.count,
        "overdue": now.in_flight.overdue,
        "last_pass": _steady(standing.passed_at, view) if standing else None,
        "concluded": _steady(standing.concluded_at, view) if standing else None,
        "next_due": one.next_due.astimezone(UTC).isoformat(timespec="milliseconds") if one.next_due else None,
    }


def canary(one: CanaryRecord) -> dict[str, Any]:
    """Tell what became of a canary."""
    return {
        "canary": one.canary,
        "check": one.check.name,
        "path": one.check.path,
        "method": one.check.method,
        "mailbox": one.check.mailbox,
        "started": iso(one.started),
        "concluded": iso(one.concluded),
        "outcome": one.outcome,
        "verdict": one.verdict,
        "reasons": list(one.reasons),
        "submission_seconds": one.submission,
        "delivery_seconds": one.delivery,
        "end_to_end_seconds": one.end_to_end,
        "observation_gap_seconds": one.observation_gap,
        "simulated": one.simulated,
    }


def incident(one: Incident) -> dict[str, Any]:
    """Tell of an incident; `ended` is null while it lasts, and with `removed` nobody has seen it mended."""
    return {
        "path": one.path,
        "checks": list(one.checks),
        "outcome": one.outcome,
        "words": one.words,
        "canary": one.canary,
        "began_as": one.began_as or None,
        "simulated": one.simulated,
        "failures": one.failures,
        "began": iso(one.began),
        "detected": iso(one.detected),
        "ended": iso(one.ended),
        "removed": one.removed,
        "meaning": one.meaning,
        "fix": one.fix,
    }


def mailbox(one: MailboxLine) -> dict[str, Any]:
    """Tell how reading a mailbox goes; `why` is null while it can be read."""
    known = one.diagnosis
    return {
        "mailbox": one.view.name,
        "kind": one.view.kind,
        "host": one.view.endpoint.host,
        "port": one.view.endpoint.port,
        "up": one.view.status.up,
        "reason": one.view.status.reason or None,
        "why": one.why or None,
        "diagnosis": known.for_programs() if known else None,
        "last_look": iso(one.looked),
        "checks": list(one.checks),
    }


def ending(one: Ending) -> dict[str, Any]:
    """Tell of something that runs out; `urgency` is a verdict: warn within 30 days, fail within 7.

    It is unknown where nobody knows when.
    """
    return {"what": one.ahead.what, "ends": iso(one.ahead.when), "fix": one.ahead.fix, "urgency": one.verdict.value}


def silence(one: Silence, now: float) -> dict[str, Any]:
    """Tell of a silence; `active` is whether it is in force now."""
    return {
        "silence": one.id,
        "author": one.author,
        "reason": one.reason,
        "created": iso(one.created_wall),
        "starts": iso(one.starts_wall),
        "ends": iso(one.ends_wall),
        "ended_by": one.ended_by,
        "check": one.check,
        "path": one.path,
        "site": one.site,
        "active": one.holds(now),
    }


def report(one: Issue) -> dict[str, Any]:
    """Tell of an issue of the report, and where its forms are."""
    return {
        "report": one.name,
        "sent": iso(one.sent_at),
        "links": {kind: f"/reports/{quote(one.name)}/{kind}" for kind in one.kinds},
    }


def _steady(at: float | None, view: AgentView) -> str | None:
    return None if at is None else iso(at + view.wall_offset)


def iso(at: float | None) -> str | None:
    """Write a moment (Unix time)."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
