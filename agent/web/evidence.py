"""What the API tells of one canary: its page, as plain values for JSON."""

from __future__ import annotations

from typing import Any

from agent.ledger.cases import CaseFile
from agent.status import AgentView
from agent.web import shapes
from agent.web.canary_page import CanaryPage, compose
from agent.web.message import Mail
from checks.core.model import Accepted, Refused


def evidence(view: AgentView, case: CaseFile) -> dict[str, Any]:
    """Tell everything that is on record of a canary; `pruned` is whether there was more."""
    page = compose(view, case)
    record, known = case.record, page.diagnosis
    return {
        **shapes.canary(record),
        "sender": record.check.sender,
        "recipient": record.check.recipient,
        "message_id": page.message_id or None,
        "subject": page.subject,
        "diagnosis": known.for_programs() if known else None,
        **_hand_over(page),
        "seen": [
            {
                "mailbox": one.mailbox,
                "folder": one.folder,
                "junk": one.junk,
                "seen": shapes.iso(one.seen),
                "not_before": shapes.iso(one.after),
                "deleted": shapes.iso(one.deleted),
            }
            for one in case.seen
        ],
        "bounces": [
            {
                "mailbox": one.mailbox,
                "folder": one.folder,
                "seen": shapes.iso(one.seen),
                "final": one.final,
                "action": one.action,
                "status": one.status,
                "diagnostic": one.diagnostic,
            }
            for one in case.bounced
        ],
        "timeline": [{"at": shapes.iso(one.at), "words": one.words} for one in page.timeline],
        **_mail(page.mail),
        "pruned": page.pruned,
    }


def _hand_over(page: CanaryPage) -> dict[str, Any]:
    attempt, reply = page.case.record.attempt, page.reply
    stages = attempt.transcript.stages if isinstance(attempt, Accepted | Refused) else ()
    return {
        "endpoint": page.endpoint or None,
        "tls": {"version": page.tls.version, "cipher": page.tls.cipher} if page.tls else None,
        "stages": [{"stage": one.stage.value, "seconds": one.seconds} for one in stages],
        "refused_at": page.stage or None,
        "reply": {"code": reply.code, "enhanced": reply.enhanced, "text": reply.text} if reply else None,
        "detail": page.detail or None,
        "dialogue": [{"after_seconds": one.after, "who": one.who, "text": one.text} for one in page.dialogue],
    }


def _mail(mail: Mail | None) -> dict[str, Any]:
    hops = mail.hops if mail else ()
    return {
        "authentication": dict(mail.authentication) if mail else {},
        "filtering": dict(mail.filtering) if mail else {},
        "hops": [
            {
                "from": one.from_,
                "by": one.by,
                "with": one.with_,
                "date": one.date.isoformat() if one.date else None,
                "delay_seconds": one.delay.total_seconds() if one.delay is not None else None,
            }
            for one in hops
        ],
        "headers": list(mail.lines) if mail else [],
    }
