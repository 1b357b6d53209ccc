"""What a receiver of OTLP gets: a real server, and the messages of opentelemetry-proto."""

from __future__ import annotations

import asyncio
import json
import math
from contextlib import suppress
from typing import Any

import pytest
import structlog
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from support.agent_view import a_picture
from support.receiver import Receiver, receiving

from agent import log
from agent.clock import SystemClock
from agent.metrics import FAMILIES
from agent.metrics.otlp import Exporter
from checks.errors import LocalFault

pytestmark = pytest.mark.anyio
SINCE = 1_600_000_000.0


def metrics(receiver: Receiver, number: int = -1) -> dict[str, Any]:
    """Return the metrics of one export by name, and the resource under ""."""
    request = ExportMetricsServiceRequest.FromString(receiver.got[number].content)
    (resource,) = request.resource_metrics
    (scope,) = resource.scope_metrics
    labels = {one.key: one.value.string_value for one in resource.resource.attributes}
    return {"": labels, **{metric.name: metric for metric in scope.metrics}}


def point(metric: Any, **labels: str) -> Any:
    kind = metric.WhichOneof("data")
    (found,) = [
        one
        for one in getattr(metric, kind).data_points
        if labels.items() <= {pair.key: pair.value.string_value for pair in one.attributes}.items()
    ]
    return found


async def export(receiver: Receiver, number: int = 1, headers: Any = dict) -> None:
    """Send until as many exports have come."""

    async def picture() -> Any:
        return a_picture(), SINCE

    exporter = Exporter(
        endpoint=f"{receiver.url}/v1/metrics",
        headers=headers,
        ca_file=None,
        every=0.01,
        picture=picture,
        clock=SystemClock(),
    )
    task = asyncio.create_task(exporter.run())
    async with asyncio.timeout(60):
        while len(receiver.got) < number:
            await asyncio.sleep(0.005)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_every_metric_that_has_something_to_say_is_sent_under_its_own_name(receiver: Receiver) -> None:
    await export(receiver)
    picture = a_picture()
    told = {
        family.name
        for family in FAMILIES
        if [row for row in family.of(picture) if not (isinstance(row[1], float) and math.isnan(row[1]))]
    }
    found = metrics(receiver)
    labels = found.pop("")
    assert labels == {"service.name": "relaycanary", "service.version": "1.2.3", "service.instance.id": "ams1"}
    assert {name for name, one in found.items() if getattr(one, one.WhichOneof("data")).data_points} == told
    assert receiver.got[0].method == "POST"
    assert receiver.got[0].headers["content-type"] == "application/x-protobuf"


async def test_counters_and_histograms_are_cumulative_since_the_first_run_on_the_ledger(receiver: Receiver) -> None:
    await export(receiver)
    found = metrics(receiver)
    counter = found["relaycanary_canaries_total"]
    assert counter.sum.is_monotonic
    passed = point(counter, outcome="delivered", verdict="pass")
    assert passed.as_double == 7
    assert passed.start_time_unix_nano == SINCE * 1e9
    skipped = point(found["relaycanary_check_slots_skipped_total"])  # of this agent, not of the ledger
    assert skipped.start_time_unix_nano > SINCE * 1e9
    histogram = found["relaycanary_delivery_seconds"]
    delivery = point(histogram)
    assert list(delivery.explicit_bounds) == [0.05, 90.0]
    assert list(delivery.bucket_counts) == [1, 4, 2]
    assert (delivery.count, delivery.sum) == (7, 61.25)
    assert not delivery.HasField("min")
    assert histogram.unit == "s"
    assert {counter.sum.aggregation_temporality, histogram.histogram.aggregation_temporality} == {2}
    stage = point(found["relaycanary_stage_seconds"], stage="data")
    assert (stage.count, stage.sum, list(stage.explicit_bounds)) == (8, 3.5, [])


async def test_what_is_not_known_is_left_out_and_info_is_one(receiver: Receiver) -> None:
    await export(receiver)
    found = metrics(receiver)
    assert "relaycanary_spam_confidence_level" not in found
    info = found["relaycanary_check_info"].gauge.data_points
    assert [one.as_int for one in info] == [1]


async def test_a_secret_in_a_header_is_read_anew_for_each_export(receiver: Receiver) -> None:
    secrets = iter(["first", "second", *["third"] * 10_000])
    await export(receiver, 2, lambda: {"Authorization": f"Bearer {next(secrets)}"})
    assert [one.headers["authorization"] for one in receiver.got[:2]] == ["Bearer first", "Bearer second"]


async def test_a_receiver_that_refuses_is_told_once_in_its_words_and_without_a_secret(
    receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure(json=True)
    receiver.answers.extend([(401, {})] * 3)
    await export(receiver, 5, lambda: {"Authorization": "Bearer hidden"})
    structlog.reset_defaults()
    said = capsys.readouterr().err
    events = [json.loads(line) for line in said.splitlines()]
    assert [one["event"] for one in events] == ["otlp.not_sent", "otlp.sent"]
    assert "401" in events[0]["why"]
    assert "hidden" not in said


async def test_a_secret_that_cannot_be_read_is_told_and_nothing_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    def unreadable() -> dict[str, str]:
        raise LocalFault("the environment variable OTLP_TOKEN is not set")

    log.configure(json=True)
    with receiving() as receiver:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await export(receiver, 1, unreadable)
        assert receiver.got == []
    structlog.reset_defaults()
    (event,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert event["why"] == "the environment variable OTLP_TOKEN is not set"
