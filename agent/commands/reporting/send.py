"""Send a report by a configured path: one transaction for each recipient."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from agent import loop
from agent.clock import SystemClock
from agent.config.build import build_credentials
from agent.config.model import Report
from agent.config.settings import Settings
from agent.report.document import Document
from agent.report.mail import compose_mail
from checks.core import refusal
from checks.core.model import Accepted
from checks.errors import LocalFault
from checks.ports import Tools


@dataclass(frozen=True, slots=True)
class NotSent:
    """One recipient who was not served, and why; `in_doubt` if the mail may have arrived all the same."""

    recipient: str
    why: str
    in_doubt: bool


def send(settings: Settings, report: Report, document: Document) -> list[NotSent]:
    """Send *document* to everybody whom the section ``report`` names; return whom it could not be sent to.

    Raises:
        checks.errors.LocalFault: the path cannot be made of the settings.
    """
    return loop.run(_send(settings, report, document))


async def _send(settings: Settings, report: Report, document: Document) -> list[NotSent]:
    clock = SystemClock()
    plugin = settings.paths[report.path]
    path = plugin.cls(report.path, plugin.settings, Tools(clock=clock, credentials=build_credentials(settings, clock)))
    sender = plugin.text("sender") or ""
    mail = compose_mail(document, sender=sender, to=report.to, now=clock.now(), unique=secrets.token_hex(8))
    failed: list[NotSent] = []
    try:
        for recipient in report.to:
            try:
                attempt = await path.send(sender, recipient, mail)
            except LocalFault as fault:
                failed.append(NotSent(recipient, str(fault), in_doubt=False))
                continue
            if not isinstance(attempt, Accepted):
                why = "; ".join(refusal.reasons_of(attempt))
                failed.append(NotSent(recipient, why, refusal.in_doubt(attempt)))
    finally:
        await path.close()
    return failed
