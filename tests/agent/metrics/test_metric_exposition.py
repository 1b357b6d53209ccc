"""How the metrics are written down: formats, pieces, and scrapers that come at the same time."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from agent.ledger import Histogram, InFlight, LedgerError, Snapshot, Total
from agent.metrics import Collector, Exposition, Picture
from agent.metrics.exposition import negotiate, pieces
from agent.status import AgentView
from checks.core.model import Check

pytestmark = pytest.mark.anyio
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def busy() -> Snapshot:
    return Snapshot(
        totals=[
            Total(owner=f"check-{number}", metric="canaries_started", labels={"method": "relay"}, value=number)
            for number in range(30)
        ],
        histograms=[
            Histogram(owner=f"check-{number}", method="relay", family="delivery", counts=[1, 1, 1], sum=61.25)
            for number in range(30)
        ],
        bounds=(0.05, 90.0),
        in_flight={f"check-{number}": [InFlight(count=number, oldest_at=5.0)] for number in range(30)},
    )


@pytest.fixture
def many(check: Callable[..., Check], view: Callable[..., AgentView]) -> AgentView:
    """An agent with more checks than fit into one piece of any family."""
    return view(*(check(f"check-{number}") for number in range(30)))


@pytest.mark.parametrize("accept", ["", PROMETHEUS_3, "application/openmetrics-text; version=1.0.0"])
def test_the_pieces_are_what_the_library_writes_at_once(many: AgentView, accept: str) -> None:
    encode, _ = negotiate(accept, "")
    picture = Picture(many, busy())

    found = list(pieces(encode, picture))

    assert b"".join(found) == encode(Collector(picture))  # type: ignore[arg-type]
    assert max(piece.count(b"\n") for piece in found) < 60


def test_no_ledger_is_written_in_pieces_too(many: AgentView) -> None:
    encode, _ = negotiate("", "")
    picture = Picture(many, None)

    assert b"".join(pieces(encode, picture)) == encode(Collector(picture))  # type: ignore[arg-type]


async def test_prometheus_text_is_read_back_by_the_library(many: AgentView) -> None:
    blocks, form = await Exposition(lambda: many, always(busy())).scrape("text/plain;version=0.0.4", "")
    body = b"".join(blocks)

    families = {family.name: family for family in read_text(body.decode())}
    assert form.content_type == TEXT
    assert families["relaycanary_delivery_seconds"].type == "histogram"
    assert families["relaycanary_stage_seconds"].type == "summary"
    assert families["relaycanary_canaries"].type == "counter"
    assert families["relaycanary_check_info"].type == "gauge"


async def test_openmetrics_is_read_back_by_the_library(many: AgentView) -> None:
    blocks, form = await Exposition(lambda: many, always(busy())).scrape(PROMETHEUS_3, "")
    body = b"".join(blocks)

    families = {family.name: family for family in read_openmetrics(body.decode())}
    assert form.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert families["relaycanary_check"].type == "info"
    assert families["relaycanary_delivery_seconds"].unit == "seconds"
    assert body.endswith(b"# EOF\n")


async def test_a_scraper_that_takes_gzip_gets_the_same_in_gzip(many: AgentView) -> None:
    exposition = Exposition(lambda: many, always(busy()))
    plain, _ = await exposition.scrape("", "")
    packed, form = await exposition.scrape("", "gzip")

    assert form.gzip
    assert gzip.decompress(b"".join(packed)) == b"".join(plain)
    assert sum(map(len, packed)) < sum(map(len, plain)) / 5


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "text/html",
        "application/openmetrics-text; version=newest",
        "application/openmetrics-text; version=99.0",
        "application/openmetrics-text; version=0.0.1",
        ";;;,,=",
    ],
)
def test_whatever_else_a_scraper_accepts_it_gets_prometheus_text(accept: str) -> None:
    _, form = negotiate(accept, "")

    assert form.content_type == TEXT


def test_openmetrics_without_a_version_is_its_first() -> None:
    _, form = negotiate(OPENMETRICS, "")

    assert form.content_type == openmetrics.exposition.CONTENT_TYPE_LATEST


async def test_scrapers_that_come_together_share_one_answer(many: AgentView) -> None:
    ledger = Slow(busy())
    exposition = Exposition(lambda: many, ledger.snapshot)
    scrapes = [asyncio.create_task(exposition.scrape("", "")) for _ in range(5)]
    await ledger.asked.wait()
    ledger.answer.set()
    answers = await asyncio.gather(*scrapes)

    assert ledger.times == 1
    assert len({tuple(blocks) for blocks, _ in answers}) == 1


async def test_the_next_scrape_takes_a_new_picture(many: AgentView) -> None:
    ledger = Slow(busy())
    ledger.answer.set()
    exposition = Exposition(lambda: many, ledger.snapshot)
    await exposition.scrape("", "")
    await exposition.scrape("", "")

    assert ledger.times == 2


async def test_answers_in_different_formats_are_written_one_after_the_other(many: AgentView) -> None:
    ledger = Slow(busy())
    exposition = Exposition(lambda: many, ledger.snapshot)
    scrapes = [asyncio.create_task(exposition.scrape(accept, "")) for accept in ("", OPENMETRICS)]
    await ledger.asked.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    assert ledger.times == 1
    ledger.answer.set()
    await asyncio.gather(*scrapes)

    assert ledger.times == 2


async def test_a_scraper_that_hangs_up_takes_the_answer_from_nobody_else(many: AgentView) -> None:
    ledger = Slow(busy())
    exposition = Exposition(lambda: many, ledger.snapshot)
    impatient, patient = (asyncio.create_task(exposition.scrape("", "")) for _ in range(2))
    await ledger.asked.wait()
    impatient.cancel()
    ledger.answer.set()
    blocks, _ = await patient
    body = b"".join(blocks)

    assert b"relaycanary_ledger_up 1.0" in body
    assert ledger.times == 1


async def test_a_ledger_that_cannot_be_read_does_not_keep_the_scrape_from_being_answered(many: AgentView) -> None:
    async def fails() -> Snapshot:
        raise LedgerError("the ledger cannot be used: disk I/O error")

    blocks, _ = await Exposition(lambda: many, fails).scrape("", "")
    body = b"".join(blocks)

    assert b"relaycanary_ledger_up 0.0" in body


async def test_a_ledger_that_does_not_answer_does_not_keep_the_scrape_from_being_answered(many: AgentView) -> None:
    exposition = Exposition(lambda: many, Slow(busy()).snapshot, patience=0.01)
    blocks, _ = await exposition.scrape("", "")
    body = b"".join(blocks)

    assert b"relaycanary_ledger_up 0.0" in body


def always(ledger: Snapshot) -> Callable[[], Any]:
    async def snapshot() -> Snapshot:
        return ledger

    return snapshot


class Slow:
    """A ledger that answers when it is told to, and counts how often it was asked."""

    def __init__(self, ledger: Snapshot) -> None:
        self._ledger = ledger
        self.times = 0
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def snapshot(self) -> Snapshot:
        self.times += 1
        self.asked.set()
        await self.answer.wait()
        return self._ledger
