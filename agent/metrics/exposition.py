"""Answer scrapes: one consistent picture each, written in the background while the agent goes on measuring mail."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder, gzip_accepted
from prometheus_client.registry import Collector as Source

from agent.ledger import LedgerError, Snapshot
from agent.metrics.collector import FAMILIES
from agent.metrics.picture import Picture
from agent.status import AgentView

_log = structlog.get_logger("metrics")
_PIECE = 50  # samples written at once, which takes about half a millisecond
_PAUSE = 0.0002  # seconds
_BLOCK = 65536  # bytes; given to a socket all at once, an answer of megabytes would hold up the event loop
_GZIP = 31  # zlib's window size of 2**15, with gzip's header and trailer around it
_VERSIONS = ("version=0.0.4;", "version=1.0.0;", "version=2.0.0;")


class Format(NamedTuple):
    """The form of an answer that the scraper asked for, by its headers Accept and Accept-Encoding."""

    content_type: str
    gzip: bool


@dataclass(frozen=True, slots=True)
class _Families:
    """Metric families, as the library's encoders take them."""

    metrics: tuple[Metric, ...] = ()

    def collect(self) -> tuple[Metric, ...]:
        """List them."""
        return self.metrics


class Exposition:
    """Writes the metrics down. Scrapers that come while an answer in their format is being written share it.

    Args:
        view: shows the agent as it is now; called in the event loop.
        snapshot: takes one consistent picture of the ledger, or raises LedgerError.
        patience: how long the ledger may take before it counts as not readable, in seconds; Prometheus gives a
            scrape 10 s by default.
    """

    def __init__(
        self,
        view: Callable[[], AgentView],
        snapshot: Callable[[], Awaitable[Snapshot]],
        *,
        patience: float = 5.0,
    ) -> None:
        self._view = view
        self._snapshot = snapshot
        self._patience = patience
        self._writing = asyncio.Lock()
        self._underway: dict[Format, asyncio.Task[Sequence[bytes]]] = {}

    async def scrape(self, accept: str, accept_encoding: str) -> tuple[Sequence[bytes], Format]:
        """Return the metrics, in blocks to be sent one after the other, and the format that suits the scraper."""
        encode, wanted = negotiate(accept, accept_encoding)
        task = self._underway.get(wanted)
        if task is None:
            task = asyncio.create_task(self._write(encode, wanted), name="scrape")
            self._underway[wanted] = task
            task.add_done_callback(lambda _: self._underway.pop(wanted))
        # a scraper that hangs up takes the answer away from nobody else
        return await asyncio.shield(task), wanted

    async def picture(self) -> Picture:
        """Take one consistent picture, for whoever writes it down in another way."""
        ledger = await self._read()
        view = self._view()
        return await asyncio.to_thread(Picture, view, ledger)

    async def _write(self, encode: Callable[[Source], bytes], wanted: Format) -> Sequence[bytes]:
        async with self._writing:
            ledger = await self._read()
            # after the ledger: the age of what it says is reckoned to the moment at which it was read, not earlier
            view = self._view()
            return await asyncio.to_thread(_render, encode, view, ledger, wanted.gzip)

    async def _read(self) -> Snapshot | None:
        try:
            async with asyncio.timeout(self._patience):
                return await self._snapshot()
        except LedgerError as error:
            _log.error("metrics.ledger_failed", why=str(error))
        except TimeoutError:
            _log.error("metrics.ledger_slow", seconds=self._patience)
        return None


def negotiate(accept: str, accept_encoding: str) -> tuple[Callable[[Source], bytes], Format]:
    """Choose Prometheus text or OpenMetrics by what the scraper accepts; Prometheus text if in doubt."""
    try:
        encode, content_type = choose_encoder(accept)
    except TypeError:  # a version that is no number, which the library compares with one
        encode, content_type = choose_encoder("")
    if not any(version in content_type for version in _VERSIONS):
        # the library promises whatever version it is asked for
        encode, content_type = choose_encoder("")
    return encode, Format(content_type, gzip_accepted(accept_encoding))


def pieces(encode: Callable[[Source], bytes], picture: Picture) -> Iterator[bytes]:
    """Walk through the whole exposition in small pieces; joined, they are what *encode* makes of it at once.

    What the library writes around samples is cut off where a family goes on: its own HELP and TYPE lines in front,
    and the end mark of OpenMetrics behind.
    """
    end = encode(_Families())
    for family in FAMILIES:
        metric: Any = family.metric()
        head = encode(_Families((metric,))).removesuffix(end)
        yield head
        for row in family.of(picture):
            metric.add_metric(*row)
            if len(metric.samples) >= _PIECE:
                yield _samples(encode, metric, head, end)
                metric = family.metric()
        yield _samples(encode, metric, head, end)
    yield end


def _samples(encode: Callable[[Source], bytes], metric: Metric, head: bytes, end: bytes) -> bytes:
    return encode(_Families((metric,))).removeprefix(head).removesuffix(end)


def _render(encode: Callable[[Source], bytes], view: AgentView, ledger: Snapshot | None, gzip: bool) -> Sequence[bytes]:
    """Write the answer; runs in a worker thread."""
    packer = zlib.compressobj(wbits=_GZIP) if gzip else None
    blocks: list[bytes] = []
    block = bytearray()
    for piece in pieces(encode, Picture(view, ledger)):
        block += packer.compress(piece) if packer else piece
        if len(block) >= _BLOCK:
            blocks.append(bytes(block))
            block.clear()
        # A thread that computes without a break lets the event loop have the interpreter every 5 ms at best, and
        # the latencies that the agent measures would be those of its own scrapes.
        time.sleep(_PAUSE)  # noqa: TID251 - in a worker thread: no event loop waits, no simulated time passes
    if packer:
        block += packer.flush()
    return [*blocks, bytes(block)]
