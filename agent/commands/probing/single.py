"""Send one canary and follow it to its verdict, on a ledger of its own, with the agent's own parts."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from agent import __version__
from agent.clock import news_or_time
from agent.commands.probing.bench import Bench
from agent.commands.probing.result import Result
from agent.commands.signals import on_signals
from agent.config.settings import Settings
from agent.ledger import Ledger, LedgerError
from agent.ledger.inspect import Case, newest_case
from agent.probe import may_arrive
from agent.supervise import supervise
from checks.core.model import Attempt, Canary, Check, Outcome, StageTiming
from checks.errors import LocalFault, MailboxUnreadable
from checks.ports import Endpoint

_LAST_LOOK = 30.0
"""Seconds after `lost_after` that the last look may take; nobody sits in front of a screen for a day."""
_CLEANING = 15.0
_KINDS = {"sighting": "canary", "copy": "copy of the canary", "bounce": "bounce"}


class Audience(Protocol):
    """Is told what happens as it happens."""

    def started(self, check: Check, endpoint: Endpoint) -> None:
        """A canary of *check* will be handed over at *endpoint*."""

    def looking(self, mailboxes: Sequence[str]) -> None:
        """The mailboxes are looked into before anything is sent."""

    def sending(self) -> None:
        """The canary is being handed over."""

    def stage(self, timing: StageTiming, remark: str) -> None:
        """A stage of the hand-over has ended; not every path tells while it is at it."""

    def handed_over(self, attempt: Attempt) -> None:
        """The hand-over has ended, well or not."""

    def waiting(self, folders: Sequence[str]) -> None:
        """The canary may arrive, and is looked for in *folders*."""

    def unreadable(self, why: str) -> None:
        """A mailbox cannot be read at the moment."""

    def readable(self) -> None:
        """The mailbox of the check can be read again."""


async def send_one(settings: Settings, check: Check, ledger: Ledger, audience: Audience) -> Result:
    """Send one canary of *check* and wait for its verdict, for `lost_after` and a last look at most.

    SIGINT and SIGTERM end it with what is known. If the canary is in the mailbox, it is deleted in any case.

    Raises:
        checks.errors.LocalFault: a part cannot be made of the settings.
        LedgerError: the ledger cannot be used.
    """
    single = _Single(settings, check, ledger, audience)
    try:
        work = asyncio.ensure_future(single.run())
        on_signals({"SIGINT": work.cancel, "SIGTERM": work.cancel})
        ended = ""
        try:
            await work
        except asyncio.CancelledError:
            ended = "interrupted"
        notes = await single.clean_up()
        return await single.result(ended, notes)
    finally:
        await single.close()


class _Single:
    """One canary on its way."""

    def __init__(self, settings: Settings, check: Check, ledger: Ledger, audience: Audience) -> None:
        limits = replace(check.limits, observe_within=min(_LAST_LOOK, check.limits.observe_within))
        self._check = replace(check, limits=limits)
        self._site = settings.agent.site
        self._ledger = ledger
        self._audience = audience
        self._news = asyncio.Event()
        self._attempt: Attempt | None = None
        self._unreadable: dict[str, str] = {}
        self._bench = Bench(
            settings,
            self._check,
            ledger,
            observe=audience.stage,
            handed_over=self._handed_over,
            news=self._news.set,
        )
        self._watchers = self._bench.watchers

    async def run(self) -> None:
        """Look once, send, and wait for the verdict."""
        await self._open_books()
        self._audience.started(self._check, self._bench.paths[self._check.path].endpoint())
        self._audience.looking(list(self._watchers))
        for name in self._watchers:
            try:
                await self._bench.look_past(name)
            except (MailboxUnreadable, LocalFault) as error:  # the watcher goes on trying
                self._cannot_read(name, str(error))
        clock = self._bench.clock
        parts = (supervise(f"watch {name}", watcher.run, clock) for name, watcher in self._watchers.items())
        watching = [asyncio.ensure_future(part) for part in parts]
        try:
            self._audience.sending()
            if await self._bench.probe.send(self._check, slot=0) is not None:
                await self._conclude()
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)

    async def clean_up(self) -> list[str]:
        """Delete the canary and its bounces; say what stays, and why."""
        notes: list[str] = []
        for name in self._watchers:
            why = "the server keeps it"
            try:
                async with asyncio.timeout(_CLEANING):
                    await self._bench.delete(name)
            except (MailboxUnreadable, LocalFault, LedgerError) as error:
                why = str(error)
            except TimeoutError:
                why = f"no answer within {_CLEANING:g} s"
            left = await self._ledger.deletable(name, before=math.inf)
            notes += [f"the {_KINDS[one.kind]} stays in {one.ref.folder} of mailbox {name}: {why}" for one in left]
        return notes

    async def result(self, ended: str, notes: Sequence[str]) -> Result:
        """Tell what is known now."""
        case = await self._case()
        if case is None and not ended:
            ended = "the canary could not be written down, and so was not sent"
        self._follow_mailbox()
        if case is not None and (doubt := self._doubt(case)):
            notes = [*notes, doubt]
        return Result(
            check=self._check,
            attempt=self._attempt,
            case=case,
            ended=ended,
            unreadable=self._unreadable.get(self._check.mailbox, ""),
            notes=tuple(notes),
        )

    async def close(self) -> None:
        """Let go of all connections."""
        await self._bench.close()

    async def _open_books(self) -> None:
        clock, limits = self._bench.clock, self._check.limits
        await self._ledger.begin_run(
            site=self._site, version=__version__, began_at=clock.steady(), began_wall=clock.now().timestamp()
        )
        await self._ledger.configure(
            watched={name: self._bench.readers[name].folders for name in self._watchers},
            thresholds=(limits.late_after, limits.lost_after),
            at=clock.steady(),
        )

    async def _conclude(self) -> None:
        """Judge whenever there is something new, until there is a verdict; the judge's own deadlines bound it."""
        while True:
            self._news.clear()
            pause = await self._bench.judge.once()
            case = await self._case()
            if case is not None and case.conclusion is not None:
                return
            self._follow_mailbox()
            await news_or_time(self._news, pause)

    async def _case(self) -> Case | None:
        return await self._ledger.read(partial(newest_case, check=self._check.name))

    def _handed_over(self, canary: Canary, attempt: Attempt) -> None:
        self._attempt = attempt
        self._audience.handed_over(attempt)
        if may_arrive(attempt) and self._check.expect.refused is None:
            self._audience.waiting(self._bench.readers[self._check.mailbox].folders)
            self._watchers[self._check.mailbox].expect(canary, attempt)
        self._news.set()

    def _follow_mailbox(self) -> None:
        """Take note of how reading the mailbox goes, and tell when that changes."""
        name = self._check.mailbox
        status = self._watchers[name].status
        if status.detail:
            self._cannot_read(name, status.detail)
        elif status.up and self._unreadable.pop(name, ""):
            self._audience.readable()

    def _cannot_read(self, mailbox: str, detail: str) -> None:
        why = f"the mailbox {mailbox} cannot be read: {detail}"
        if self._unreadable.get(mailbox) != why:
            self._unreadable[mailbox] = why
            self._audience.unreadable(why)

    def _doubt(self, case: Case) -> str:
        """Say what may still come of a canary that was not seen: after this, nobody looks for it."""
        if case.folder is not None or (case.conclusion is not None and case.conclusion.outcome is Outcome.BOUNCED):
            return ""
        if self._attempt is None:
            return "the canary was being handed over: it may have been sent, and then stays in the mailbox"
        if may_arrive(self._attempt):
            return "the canary was not seen; if it still arrives, it stays in the mailbox"
        return ""
