"""What the tests of the metrics are made of: checks, a view of the agent, and a way to read an exposition."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from agent.ledger import Snapshot
from agent.metrics import Collector, Picture
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
from checks.core.model import Check, Expectations, Limits
from checks.ports import CredentialFacts, Endpoint

NOW_AT = 1_000_000.0
WALL_OFFSET = 700_000_000.0
NEXT_DUE = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
TOKEN_REQUESTS = {"ok": 3, "refused": 0}
NOT_AFTER = datetime(2027, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Scrape:
    """An exposition, read back by the library's parser."""

    samples: Mapping[tuple[str, tuple[tuple[str, str], ...]], float]

    def value(self, metric: str, **labels: str) -> float | None:
        """The sample with exactly these labels; None if there is none."""
        return self.samples.get((f"relaycanary_{metric}", tuple(sorted(labels.items()))))

    def series(self, metric: str) -> list[dict[str, str]]:
        """The label sets of a metric."""
        return [dict(labels) for name, labels in self.samples if name == f"relaycanary_{metric}"]

    def total(self, metric: str, **labels: str) -> float:
        """The sum over all series that have these labels."""
        return sum(
            value
            for (name, found), value in self.samples.items()
            if name == f"relaycanary_{metric}" and labels.items() <= dict(found).items()
        )


def read(text: bytes) -> Scrape:
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in samples, f"{key} stands there twice"
            samples[key] = sample.value
    return Scrape(samples)


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
    )


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def check() -> Callable[..., Check]:
    """Make a check; keywords replace what it is made of."""
    return make_check


@pytest.fixture
def refusing_check() -> Check:
    """A negative check: content with being refused."""
    return make_check("must-refuse", expect=Expectations(refused=r"5\.7\.\d+"))


@pytest.fixture
def view() -> Callable[..., AgentView]:
    """Make a view of an agent with these checks, one path and one mailbox."""
    return make_view


@pytest.fixture
def scrape() -> Callable[[AgentView, Snapshot | None], Scrape]:
    """Write down what the agent shows, and read it back."""

    def of(view: AgentView, ledger: Snapshot | None) -> Scrape:
        return read(generate_latest(Collector(Picture(view, ledger))))  # type: ignore[arg-type]

    return of


@pytest.fixture
def parse() -> Callable[[bytes], Scrape]:
    """Read Prometheus text back."""
    return read
