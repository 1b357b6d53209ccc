"""Send what is in the outbox: one worker a channel, so that a channel which hangs delays no other.

A page is sent at least once: it is struck off after the other side took it, and an agent that dies in between sends it
again, under the same key. One that is not taken is tried again, at growing intervals, for as long as it is true.
"""

from __future__ import annotations

import asyncio
import random
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import structlog

from agent.alerts import page as pages
from agent.alerts.channels.port import Channel, NotSent
from agent.alerts.page import Event, Page
from agent.alerts.policy import Route
from agent.clock import news_or_time
from agent.ledger import LedgerError
from agent.ledger.alert_store import AlertStore
from agent.ledger.outbox import WaitingPage
from agent.supervise import supervise
from agent.words import age
from checks.ports import Clock

_log = structlog.get_logger("alerts")
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 300.0
_PATIENCE = 30.0
_LONGEST_NAP = 60.0
_RETRY_LEDGER = 2.0
_LAST_MOMENT = 5.0
_STALE = 120.0
_OLD_NEWS = 86400.0
"""How long it is tried to tell that something is over, in seconds; that it lasts, is tried for as long as it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unwritten:
    """What became of a page, which the ledger does not know yet: taken, or tried again at `due_at`."""

    write: Callable[[], Awaitable[None]]
    attempts: int
    due_at: float = float("inf")


@dataclass(slots=True, kw_only=True)
class Worker:
    """Sends the pages of one channel, one after the other, the most urgent first.

    A page that was taken while the ledger cannot be written is known here until it can: a full disk must not make a
    telephone ring every few seconds.
    """

    channel: Channel
    store: AlertStore
    clock: Clock
    news: asyncio.Event = field(default_factory=asyncio.Event)
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)
    unwritten: dict[int, _Unwritten] = field(default_factory=dict)

    async def run(self) -> None:
        """Send pages for ever. Whoever holds `sending` keeps the next one back."""
        while True:
            self.news.clear()
            try:
                async with self.sending:
                    await self._write_down()
                    now = self.clock.steady()
                    resting = [seq for seq, one in self.unwritten.items() if one.due_at > now]
                    page, due_at = await self.store.next_page(self.channel.name, now, but=resting)
                    if page is not None:
                        await self._send(page)
                        continue
            except LedgerError as error:
                _log.error("alerts.ledger_failed", channel=self.channel.name, why=str(error))
                due_at = self.clock.steady() + _RETRY_LEDGER
            if self.unwritten:
                due_at = min(self.clock.steady() + _RETRY_LEDGER, due_at or float("inf"))
            await news_or_time(self.news, _LONGEST_NAP if due_at is None else due_at - self.clock.steady())

    async def finish(self) -> None:
        """Wait until the page that is being sent is sent, and keep back the next one, for good."""
        await self.sending.acquire()

    async def _write_down(self) -> None:
        """Tell the ledger what became of pages, as far as it can be written."""
        try:
            await _write(self.unwritten)
        except LedgerError as error:
            _log.error("alerts.ledger_failed", channel=self.channel.name, why=str(error))

    async def _send(self, waiting: WaitingPage) -> None:
        if (before := self.unwritten.get(waiting.seq)) is not None:
            waiting = replace(waiting, attempts=before.attempts)
        told = {"channel": self.channel.name, "incident": waiting.incident, "what": waiting.event}
        try:
            page = _dated(pages.load(waiting.content), waiting, self.clock.now().timestamp())
            async with asyncio.timeout(_PATIENCE):
                await self.channel.send(page, waiting.seq)
        except NotSent as problem:
            await self._not_sent(waiting, str(problem), problem.retry_after)
        except TimeoutError:
            await self._not_sent(waiting, f"no answer within {_PATIENCE:.0f} s", None)
        except Exception as defect:  # noqa: BLE001 - a library for a hundred services: one must not stop the others
            await self._not_sent(waiting, f"the channel failed: {_where(defect)}", None)
        else:
            attempts, wall = waiting.attempts + 1, self.clock.now().timestamp()
            _log.info("alerts.sent", **told, attempts=attempts)
            written = partial(self.store.sent, waiting, wall=wall)
            self.unwritten[waiting.seq] = _Unwritten(write=written, attempts=attempts)
            await self._write_down()

    async def _not_sent(self, waiting: WaitingPage, why: str, wish: float | None) -> None:
        told = {"channel": self.channel.name, "incident": waiting.incident, "what": waiting.event, "why": why}
        old = self.clock.now().timestamp() - waiting.written_wall > _OLD_NEWS
        if waiting.event == Event.RESOLVED and old:
            _log.error("alerts.given_up", **told, attempts=waiting.attempts + 1)
            due_at = None
        else:
            pause = backoff(waiting.attempts, wish)
            _log.warning("alerts.not_sent", **told, attempts=waiting.attempts + 1, again_in=round(pause, 1))
            due_at = self.clock.steady() + pause
        written = partial(self.store.not_sent, waiting, why, due_at=due_at)
        until = float("inf") if due_at is None else due_at
        self.unwritten[waiting.seq] = _Unwritten(write=written, attempts=waiting.attempts + 1, due_at=until)
        await self._write_down()


async def _write(unwritten: dict[int, _Unwritten]) -> None:
    for seq, one in list(unwritten.items()):
        await one.write()
        del unwritten[seq]


def backoff(attempts: int, wish: float | None = None) -> float:
    """Say for how many seconds to leave a channel alone after *attempts* failures before this one.

    It doubles, up to five minutes, with up to half of it taken off at random: agents that failed together shall not
    come back together. The channel's own *wish* is respected up to the same limit: a page must not wait for an hour.
    """
    pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(attempts, 16))
    return max(pause * random.uniform(0.5, 1.0), min(wish or 0.0, _LONGEST_PAUSE))  # noqa: S311 - no secret hangs on it


def _dated(page: Page, waiting: WaitingPage, now: float) -> Page:
    late = now - waiting.written_wall
    if late < _STALE:
        return page
    words = f"This was written {age(late)} ago, and could not be sent sooner."
    return replace(page, note=f"{page.note} {words}".strip())


def _where(defect: Exception) -> str:
    """Tell the place of a defect and not its words or values, which may hold the URL of the channel."""
    place = traceback.extract_tb(defect.__traceback__)[-1]
    return f"{type(defect).__name__} in {Path(place.filename).name}, line {place.lineno}"


@dataclass(slots=True, kw_only=True)
class Delivery:
    """The workers of all channels that the settings name.

    `unwritten` is what they know and the ledger does not, by channel: also of those that the settings have lost, since
    one that is back must not get again what it took.
    """

    store: AlertStore
    clock: Clock
    workers: dict[str, Worker] = field(default_factory=dict)
    unwritten: dict[str, dict[int, _Unwritten]] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def apply(self, channels: Mapping[str, Channel], routes: Sequence[Route] = ()) -> None:
        """Work for *channels* from now on, each of which is told what its route says.

        What waits for a channel that is gone is given up, and it is said; what one is not to be told of any more is
        taken back.
        """
        await self.close()
        try:
            await self._tidy(channels, routes)
        except LedgerError as error:
            _log.error("alerts.ledger_failed", why=str(error))
        self.workers = {
            name: Worker(channel=one, store=self.store, clock=self.clock, unwritten=self.unwritten.setdefault(name, {}))
            for name, one in channels.items()
        }
        self.tasks = [
            asyncio.create_task(supervise(f"channel {name}", worker.run, self.clock), name=f"channel {name}")
            for name, worker in self.workers.items()
        ]

    async def _tidy(self, channels: Mapping[str, Channel], routes: Sequence[Route]) -> None:
        for known in self.unwritten.values():
            await _write(known)
        await self.store.rename({one.former: one.name for one in routes if one.former not in {"", *channels}})
        for name, number in (await self.store.abandon(channels.keys())).items():
            _log.error("alerts.given_up", channel=name, pages=number, why="the settings do not have the channel")
        for route in routes:
            number = await self.store.take_back(route.name, route.beneath, end=Event.RESOLVED)
            if number:
                why = f"the channel is told of {route.severity} and above"
                _log.info("alerts.taken_back", channel=route.name, pages=number, why=why)
        for name in channels:
            await self.store.retry_all(name, at=self.clock.steady())

    def wake(self) -> None:
        """There may be something to send."""
        for worker in self.workers.values():
            worker.news.set()

    async def close(self) -> None:
        """Give what is being sent a moment, then stop: what is cut off is sent again."""
        if self.workers:
            finishing = [asyncio.ensure_future(worker.finish()) for worker in self.workers.values()]
            await asyncio.wait(finishing, timeout=_LAST_MOMENT)
            for one in finishing:
                one.cancel()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.workers, self.tasks = {}, []
