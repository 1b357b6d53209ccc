"""The metrics by OTLP (OpenTelemetry), out of the same picture as a scrape.

The SDK's instruments cannot say again what a ledger has counted: none of them takes a whole histogram, and a counter
of theirs begins at zero in each process. So the picture is put into the SDK's own data model, which its exporter
sends. Counters and histograms are cumulative, since the first run on this ledger; so they go on over a restart.
Names are those of `/metrics`, which Prometheus' own receiver of OTLP leaves as they are.

Heavy, and imported by those who ask for it only: extra `otlp`.
Source: OpenTelemetry, "Metrics Data Model" (Sums, Histograms, Resets and Gaps).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import structlog
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from agent.metrics.collector import FAMILIES
from agent.metrics.family import Family
from agent.metrics.picture import Picture
from checks.errors import LocalFault
from checks.ports import Clock
from checks.wire.threads import in_own_thread

_log = structlog.get_logger("otlp")
_SOON = 1.0
_PATIENCE = 10  # seconds for one export, its retries included
_BATCH = 5000  # data points in a request
_CUMULATIVE = AggregationTemporality.CUMULATIVE
_NANO = 1_000_000_000

Points = list[Any]


class Exporter:
    """Sends a picture every so often.

    Args:
        endpoint: the whole address.
        headers: reads what belongs into the header fields, or raises LocalFault.
        ca_file: the CAs to trust instead of the system's.
        every: the time between two exports, in seconds.
        picture: takes one, with the time of the first run on its ledger; None while there is nothing to tell.
        clock: for the pauses, and the time of the points.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        headers: Callable[[], Mapping[str, str]],
        ca_file: Path | None,
        every: float,
        picture: Callable[[], Awaitable[tuple[Picture, float] | None]],
        clock: Clock,
    ) -> None:
        self._endpoint = endpoint
        self._headers = headers
        self._ca_file = ca_file
        self._every = every
        self._picture = picture
        self._clock = clock
        self._began = clock.now().timestamp()
        self._shown: Mapping[str, str] = {}
        self._exporter: OTLPMetricExporter | None = None
        self._problem = ""
        self._words = _Words()

    async def run(self) -> None:
        """Send until it is cancelled."""
        self._words.listen()
        try:
            while True:
                taken = await self._picture()
                if taken is not None:
                    self._tell(await self._send(*taken))
                await self._clock.sleep(self._every if taken is not None else min(self._every, _SOON))
        finally:
            if self._exporter is not None:
                self._exporter.shutdown()
                self._exporter = None

    async def _send(self, picture: Picture, since: float) -> str:
        """Return what is wrong."""
        now = self._clock.now().timestamp()
        self._words.last = ""
        try:
            exporter = self._made(self._headers())
            result = await in_own_thread(lambda: exporter.export(metrics_data(picture, since, self._began, now)))
        except LocalFault as fault:
            return str(fault)
        return "" if result is MetricExportResult.SUCCESS else self._words.last or "it was not taken"

    def _made(self, headers: Mapping[str, str]) -> OTLPMetricExporter:
        """Make the exporter; anew where a secret has changed."""
        if self._exporter is None or headers != self._shown:
            if self._exporter is not None:
                self._exporter.shutdown()
            self._shown = dict(headers)
            self._exporter = OTLPMetricExporter(
                endpoint=self._endpoint,
                headers=self._shown,
                certificate_file=None if self._ca_file is None else str(self._ca_file),
                timeout=_PATIENCE,
                compression=Compression.Gzip,
                max_export_batch_size=_BATCH,
            )
        return self._exporter

    def _tell(self, problem: str) -> None:
        if problem and problem != self._problem:
            _log.error("otlp.not_sent", why=problem)
        elif self._problem and not problem:
            _log.info("otlp.sent")
        self._problem = problem


class _Words(logging.Handler):
    """Catches what the exporter says to Python's own logging, which nobody else listens to."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""

    def listen(self) -> None:
        """Take the words of the whole SDK, instead of standard error."""
        logger = logging.getLogger("opentelemetry")
        logger.propagate = False
        logger.handlers = [self]

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the newest."""
        self.last = record.getMessage()


def metrics_data(picture: Picture, since: float, began: float, now: float) -> MetricsData:
    """Put a picture into the SDK's data model.

    Args:
        picture: the agent at one moment.
        since: Unix time at which the ledger began to count.
        began: Unix time at which this agent was started, since when all else is counted.
        now: the time of the points.
    """
    view = picture.view
    resource = Resource(
        {"service.name": "relaycanary", "service.version": view.version, "service.instance.id": view.site}
    )
    metrics = []
    for family in FAMILIES:
        start = _nano(since if family.recorded else began)
        data = _data(family, list(_points(family, picture, start, _nano(now))))
        unit = "s" if family.name.endswith("_seconds") else ""
        metrics.append(Metric(name=family.name, description=family.documentation, unit=unit, data=data))
    scope = ScopeMetrics(InstrumentationScope("relaycanary", view.version), metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _data(family: Family, points: Points) -> Sum | Gauge | Histogram:
    match family.kind:
        case "counter":
            return Sum(points, _CUMULATIVE, is_monotonic=True)
        case "histogram" | "summary":
            return Histogram(points, _CUMULATIVE)
        case _:
            return Gauge(points)


def _points(family: Family, picture: Picture, start: int, now: int) -> Iterator[NumberDataPoint | HistogramDataPoint]:
    for labels, *values in family.of(picture):
        attributes = dict(zip(family.labels, labels, strict=True))
        match family.kind:
            case "histogram":
                buckets, total = values
                yield _histogram(attributes, start, now, buckets, total)
            case "summary":  # the data model keeps them for old formats only: a histogram of one bucket says the same
                count, total = values
                yield _histogram(attributes, start, now, [("+Inf", count)], total)
            case "info":
                yield NumberDataPoint(attributes, 0, now, 1)
            case _:
                if not math.isnan(values[0]):  # which says that there is none
                    yield NumberDataPoint(attributes, start if family.kind == "counter" else 0, now, float(values[0]))


def _histogram(
    attributes: dict[str, str], start: int, now: int, buckets: list[tuple[str, int]], total: float
) -> HistogramDataPoint:
    cumulative = [int(count) for _, count in buckets]
    return HistogramDataPoint(
        attributes=attributes,
        start_time_unix_nano=start,
        time_unix_nano=now,
        count=cumulative[-1],
        sum=total,
        bucket_counts=[count - before for before, count in zip([0, *cumulative], cumulative, strict=False)],
        explicit_bounds=[float(bound) for bound, _ in buckets[:-1]],
        min=None,  # type: ignore[arg-type]  # nobody kept them, and the message may leave them out
        max=None,  # type: ignore[arg-type]
    )


def _nano(seconds: float) -> int:
    return int(seconds * _NANO)
