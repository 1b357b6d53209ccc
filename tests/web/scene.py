"""A ledger with something to show: three paths, one of which has failed before, one fails now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from support.make import T0, a_canary, a_check, a_sighting, accepted, refused

from agent.alerts.silencing import Names, new_silence
from agent.ledger import Ledger, Silence
from agent.ledger.looks import LookRecord
from agent.ledger.store import Judgement
from agent.status import AgentView, CertificateView, CheckView, MailboxStatus, MailboxView, PathView
from checks.core.findings import find
from checks.core.model import (
    Check,
    Conclusion,
    DialogueLine,
    Outcome,
    Refused,
    Reply,
    Stage,
    StageTiming,
    Verdict,
)
from checks.ports import Endpoint

NOW = T0 + 3600.0
DISABLED = "Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."
HOSTILE = "\x1b[31m<script>alert(1)</script> \u202eevil\u200f \x07" + "x" * 10_000
CHECKS = (a_check("relay"), a_check("submission", method="submission"), a_check("direct", method="direct_send"))
STAGES = tuple(StageTiming(stage=stage, seconds=0.1) for stage in (Stage.DNS, Stage.CONNECT, Stage.GREETING))
HEADERS = (
    "Received: from b.contoso.example by c.contoso.example with HTTPS; Tue, 14 Nov 2023 22:13:24 +0000\r\n"
    "Received: from agent.contoso.example by b.contoso.example with ESMTPS; Tue, 14 Nov 2023 22:13:21 +0000\r\n"
    "Authentication-Results: spf=pass smtp.mailfrom=contoso.example; dkim=pass header.d=contoso.example; dmarc=pass\r\n"
    "Subject: {said}\r\n\r\n"
)


def an_agent(checks: Sequence[Check]) -> AgentView:
    def later(days: float) -> datetime:
        return datetime.fromtimestamp(NOW + days * 86400 + 60, UTC)

    def endpoint(host: str) -> Endpoint:
        return Endpoint(host=host, port=25, tls="required")

    down = MailboxStatus(up=False, reason="unreachable", detail="connection refused")
    return AgentView(
        site="ams1",
        version="1.2.3<script>",
        applied=True,
        now_at=NOW,
        wall_offset=0.0,
        checks=[
            CheckView(check=one, next_due=datetime.fromtimestamp(NOW + 20, UTC), skipped=0, delay=0.0) for one in checks
        ],
        paths=[
            PathView(
                name=one.path,
                method=one.method,
                endpoint=endpoint("mx.contoso.example"),
                certificates=[CertificateView(role="client", not_after=later(5))] if one.path == "relay" else (),
            )
            for one in checks
        ],
        mailboxes=[
            MailboxView(
                name="inbox", kind="imap", endpoint=endpoint("imap.contoso.example"), status=MailboxStatus(up=True)
            ),
            MailboxView(name="outside", kind="imap", endpoint=endpoint("imap.outside.example"), status=down),
        ],
        ledger_write_errors=0,
        reload_successful=True,
        reload_success_at=T0,
        alert_after=2,
    )


def a_silence(**changes: Any) -> Silence:
    """Make one that is about the check relay, for the hour around now."""
    about = {"author": "Ada", "reason": "new firewall", "starts": NOW - 1800, "ends": NOW + 1800, "check": "relay"}
    names = Names(site="ams1", checks=[one.name for one in CHECKS], paths=[one.path for one in CHECKS])
    return new_silence(now=NOW, names=names, **{**about, **changes})


async def a_scene(ledger: Ledger, *, said: str = DISABLED, each: int = 12) -> AgentView:
    """Write *each* canaries of every check, a minute apart and the last just before now; *said* is what servers say."""
    await ledger.begin_run(site="ams1", version="1", began_at=T0, began_wall=T0)
    await ledger.configure(watched={"inbox": ["INBOX"], "outside": ["INBOX"]}, thresholds=(), at=T0)
    for check in CHECKS:
        for number in range(each):
            failing = (check.name == "submission" and number >= each - 3) or (check.name == "relay" and 2 <= number < 5)
            await _one(ledger, check, NOW - 60.0 * (each - number), said if failing else None)
    await ledger.looked(a_look(NOW - 1.0))
    return an_agent(CHECKS)


async def _one(ledger: Ledger, check: Check, at: float, said: str | None) -> None:
    canary = a_canary(check, at=at)
    await ledger.start(canary)
    words = "250 2.6.0 Queued" if said is None else said
    dialogue = (DialogueLine(at=at, who="C", text="EHLO agent"), DialogueLine(at=at + 0.5, who="S", text=words))
    if said is None:
        attempt = accepted(at, 0.63, tls="TLSv1.3")
        seen = {"delivery": 2.0, "end_to_end": 2.63, "submission": 0.63, "observation_gap": 0.2}
        result = Conclusion(canary=canary.id, outcome=Outcome.DELIVERED, verdict=Verdict.PASS, reasons=(), **seen)
    else:
        login = check.name == "submission"
        attempt = refused(Stage.AUTH if login else Stage.RCPT, 535, "5.7.139" if login else "5.7.64", at=at)
        reply = Reply(code=535 if login else 550, enhanced="5.7.139" if login else "5.7.64", text=said)
        attempt = replace(attempt, reply=reply)
        outcome = Outcome.AUTH_FAILED if login else Outcome.REJECTED
        result = Conclusion(canary=canary.id, outcome=outcome, verdict=Verdict.FAIL, reasons=(str(reply),))
    attempt = replace(attempt, transcript=replace(attempt.transcript, dialogue=dialogue, stages=STAGES))
    await ledger.attempted(canary, attempt, online=True, at=at + 1)
    if not isinstance(attempt, Refused):
        headers = HEADERS.format(said=HOSTILE[:900].replace("\x1b", "")).encode()
        look = a_look(at + 2.0)
        found = replace(
            look, sightings=[a_sighting(canary, at + 2.63, findings=find(headers))], headers={canary.id: headers}
        )
        await ledger.looked(found)
    (due,) = [one for one in await ledger.due(NOW + 1e6) if one.facts.canary.id == canary.id]
    await ledger.judged([Judgement(due=due, result=result)], at=at + 3)


def a_look(began_at: float) -> LookRecord:
    return LookRecord(
        mailbox="inbox",
        folder="INBOX",
        began_at=began_at,
        answered_at=began_at + 0.63,
        cursor="1",
        complete=True,
        blind_after=1e6,
    )
