"""What the tests of the metrics are made of: checks, a view of the agent, and a way to read an exposition."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from support.agent_view import make_check, make_view

from agent.ledger import Snapshot
from agent.metrics import Collector, Picture
from agent.status import AgentView
from checks.core.model import Check, Expectations


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
