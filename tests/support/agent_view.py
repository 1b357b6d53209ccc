"""A view of an agent with one path and one mailbox, to make metrics of."""

from __future__ import annotations

from datetime import UTC, datetime

from agent.ledger import Histogram, InFlight, Snapshot, Total
from agent.metrics import Picture
from agent.status import (
    AgentView,
    Audited,
    CertificateView,
    CheckView,
    CredentialView,
    MailboxStatus,
    MailboxView,
    PathView,
    ReportStatus,
)
from checks.core.model import Check, Limits
from checks.ports import CredentialFacts, Endpoint

NOW_AT = 1_000_000.0
WALL_OFFSET = 700_000_000.0
NEXT_DUE = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
TOKEN_REQUESTS = {"ok": 3, "refused": 0}
NOT_AFTER = datetime(2027, 1, 1, tzinfo=UTC)


def make_check(name: str = "relay-inbox", method: str = "relay", **changes: object) -> Check:
    settings: dict[str, object] = {
        "name": name,
        "path": "to-tenant",
        "method": method,
        "mailbox": "inbox",
        "sender": "canary@contoso.example",
        "recipient": "inbox@contoso.example",
        "limits": Limits(every=300.0, late_after=60.0, lost_after=600.0),
        "severity": "critical",
    }
    return Check(**(settings | changes))  # type: ignore[arg-type]


def make_view(*checks: Check, now_at: float = NOW_AT, wall_offset: float = WALL_OFFSET) -> AgentView:
    return AgentView(
        site="ams1",
        version="1.2.3",
        applied=True,
        now_at=now_at,
        wall_offset=wall_offset,
        checks=[CheckView(check=check, next_due=NEXT_DUE, skipped=3, delay=0.25) for check in checks],
        paths=[
            PathView(
                name="to-tenant",
                method="relay",
                endpoint=Endpoint(host="mx.contoso.example", port=25, tls="required"),
                certificates=[CertificateView(role="server", not_after=NOT_AFTER)],
            )
        ],
        mailboxes=[
            MailboxView(
                name="inbox",
                kind="imap",
                endpoint=Endpoint(host="imap.contoso.example", port=993, tls="implicit"),
                status=MailboxStatus(up=True, look_interval=30.0, throttled=2),
            )
        ],
        credentials=[
            CredentialView(name="app", facts=CredentialFacts(not_after=NOT_AFTER, token_requests=TOKEN_REQUESTS)),
            CredentialView(name="outside", facts=CredentialFacts()),
        ],
        ledger_write_errors=1,
        reload_successful=True,
        report=ReportStatus(sent=2, failed=1, sent_at=1_700_000_000.0),
        reload_success_at=NOW_AT - 50.0,
        audited=Audited(problems=0, at=NOW_AT - 20.0),
        channels=("oncall",),
    )


def a_picture() -> Picture:
    """Make the picture of an agent with one check that has sent a few canaries."""
    labels = {"method": "relay"}
    ledger = Snapshot(
        totals=[
            Total(owner="relay-inbox", metric="canaries_started", labels=labels, value=8),
            Total(
                owner="relay-inbox",
                metric="canaries",
                labels={**labels, "outcome": "delivered", "verdict": "pass"},
                value=7,
            ),
            Total(owner="relay-inbox", metric="stage_seconds_sum", labels={**labels, "stage": "data"}, value=3.5),
            Total(owner="relay-inbox", metric="stage_seconds_count", labels={**labels, "stage": "data"}, value=8),
        ],
        histograms=[
            Histogram(owner="relay-inbox", method="relay", family="delivery", counts=[1, 4, 2], sum=61.25),
        ],
        bounds=(0.05, 90.0),
        in_flight={"relay-inbox": [InFlight(count=1, oldest_at=NOW_AT - 3)]},
    )
    return Picture(make_view(make_check()), ledger)
