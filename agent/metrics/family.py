"""What one metric family is: its name, type and help, and how its samples come out of a picture of the agent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    SummaryMetricFamily,
)

from agent.metrics.picture import Picture

PREFIX = "relaycanary_"

Row = tuple[Any, ...]
"""The arguments of the library's ``add_metric``: label values first, then what the type of the family asks for."""
Rows = Callable[[Picture], Iterator[Row]]

_KINDS = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
    "info": InfoMetricFamily,
    "summary": SummaryMetricFamily,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric family of the exposition.

    `recorded` families come from the ledger alone: while it cannot be read they have no samples, since an old value
    would read as news, and a zero as a restarted counter.
    """

    kind: str
    name: str
    documentation: str
    labels: tuple[str, ...]
    recorded: bool
    rows: Rows

    def of(self, picture: Picture) -> Iterator[Row]:
        """Walk through the samples of *picture*, computed as they are asked for."""
        return iter(()) if self.recorded and picture.ledger is None else self.rows(picture)

    def metric(self) -> Any:
        """Make the library's family, without samples."""
        if self.kind == "info":
            # OpenMetrics has a type for it and adds the suffix itself; as Prometheus text it is a gauge of that name
            return InfoMetricFamily(self.name.removesuffix("_info"), self.documentation, labels=self.labels)
        unit = "seconds" if self.name.endswith("_seconds") else ""
        return _KINDS[self.kind](self.name, self.documentation, labels=self.labels, unit=unit)


def family(kind: str, name: str, documentation: str, *labels: str, recorded: bool = False) -> Callable[[Rows], Family]:
    """Make a family of the function that tells its samples."""

    def make(rows: Rows) -> Family:
        return Family(
            kind=kind,
            name=PREFIX + name,
            documentation=documentation,
            labels=labels,
            recorded=recorded,
            rows=rows,
        )

    return make
