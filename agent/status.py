"""What the running agent knows of itself right now: the part of the picture that is not in the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from checks.core.model import Check
from checks.ports import CredentialFacts, Endpoint


@dataclass(slots=True)
class MailboxStatus:
    """How reading a mailbox goes. `reason` is the fixed word of the last failure while it is not `up`.

    `look_interval` is the longest time between looks in seconds, as it is now (back-off included).
    """

    up: bool = False
    reason: str = ""
    detail: str = ""
    look_interval: float = 0.0
    throttled: int = 0
    failures: int = 0
    since_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """One configured check and its place in the schedule. `delay` is how late its last slot was fired, in seconds."""

    check: Check
    next_due: datetime | None
    skipped: int
    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateView:
    """A certificate that a path uses (`role` client) or was shown (`role` server)."""

    role: str
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PathView:
    """One configured path."""

    name: str
    method: str
    endpoint: Endpoint
    certificates: Sequence[CertificateView]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxView:
    """One configured mailbox."""

    name: str
    kind: str
    endpoint: Endpoint
    status: MailboxStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What the last audit of the ledger found: how much does not add up, and when (steady timeline, seconds)."""

    problems: int
    at: float


@dataclass(slots=True)
class ReportStatus:
    """How the scheduled reports go, since the agent started. `sent_at` is Unix time, of the newest issue ever sent."""

    sent: int = 0
    failed: int = 0
    sent_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialView:
    """One configured credential."""

    name: str
    facts: CredentialFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """Something that ends: a certificate, a secret, a feature of a service.

    `when` is Unix time; None where it does end, and nobody has told the agent when.
    """

    what: str
    when: float | None
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """The whole agent at one moment.

    `applied` tells whether settings are in force yet. `now_at` is the moment on the steady timeline; `wall_offset`
    in seconds turns such moments into Unix time. `audited` is None before the ledger has been audited.
    `alert_after` is how many failing verdicts in a row alert, and `retiring` what providers end of what is used.
    `web_certificate` is when the certificate of the agent's own pages ends. `channels` names what the agent's own
    alerts go to, `maintenance` tells why nobody is told of a check now, by its name.
    """

    site: str
    version: str
    applied: bool
    now_at: float
    wall_offset: float
    checks: Sequence[CheckView]
    paths: Sequence[PathView]
    mailboxes: Sequence[MailboxView]
    ledger_write_errors: int
    reload_successful: bool
    reload_success_at: float
    report: ReportStatus | None = None
    audited: Audited | None = None
    credentials: Sequence[CredentialView] = ()
    retiring: Sequence[Ahead] = ()
    alert_after: int = 1
    web_certificate: datetime | None = None
    channels: Sequence[str] = ()
    maintenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def now_wall(self) -> float:
        """The moment as Unix time."""
        return self.now_at + self.wall_offset
