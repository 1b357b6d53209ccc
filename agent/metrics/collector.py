"""The agent's metrics for prometheus-client: built anew for every scrape, so that nothing goes stale."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import Metric

from agent.metrics import canaries, checks, servers, surroundings
from agent.metrics.family import Family
from agent.metrics.picture import Picture

FAMILIES: tuple[Family, ...] = (
    *canaries.FAMILIES,
    *servers.FAMILIES,
    *checks.FAMILIES,
    *surroundings.FAMILIES,
)
"""Every metric of the agent, in the order of the exposition."""


class Collector:
    """A custom collector of one picture."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture

    def collect(self) -> Iterator[Metric]:
        """Walk through all families, each complete."""
        for family in FAMILIES:
            metric: Any = family.metric()
            for row in family.of(self._picture):
                metric.add_metric(*row)
            yield metric
