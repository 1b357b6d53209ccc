"""Everything that the doctor examines, in the order in which the settings have it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from agent.doctor.examinations.alerts import of_channel, of_heartbeat
from agent.doctor.examinations.check import of_check
from agent.doctor.examinations.credential import of_credential
from agent.doctor.examinations.domain import of_domain
from agent.doctor.examinations.mailbox import of_mailbox
from agent.doctor.examinations.path import of_path
from agent.doctor.finding import Finding
from agent.doctor.kit import Kit
from checks.core.model import Check


@dataclass(frozen=True, slots=True)
class Examination:
    """One thing to examine, independent of all others; findings without a subject are about *subject*."""

    subject: str
    run: Callable[[], Awaitable[list[Finding]]]


def examinations(kit: Kit) -> list[Examination]:
    """List what there is to examine."""
    settings = kit.settings
    return [
        *(Examination(f"path {name}", partial(of_path, kit, name)) for name in settings.paths),
        *(Examination(f"mailbox {name}", partial(of_mailbox, kit, name)) for name in settings.mailboxes),
        *(
            Examination(f"credential {name}", partial(of_credential, kit, name))
            for name in settings.sections.credentials
        ),
        *(
            Examination(f"check {check.name}", partial(of_check, kit, check))
            for check in settings.checks.values()
            if _concerns_connector(check)
        ),
        *(
            Examination(f"domain {domain}", partial(of_domain, kit, domain, names))
            for domain, names in kit.domains().items()
        ),
        *(Examination(f"channel {name}", partial(of_channel, kit, name)) for name in settings.alerts.named),
        *([Examination("heartbeat", partial(of_heartbeat, kit))] if settings.alerts.heartbeat else []),
    ]


def _concerns_connector(check: Check) -> bool:
    return check.expect.refused is None and (check.method == "relay" or check.expect.attributed is not None)
