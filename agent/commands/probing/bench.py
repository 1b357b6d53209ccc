"""The agent's own parts, put together for one canary."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from agent.clock import SystemClock
from agent.commands.parts import addresses, signing_keys
from agent.config.build import build_credentials, build_mailboxes, build_paths
from agent.config.settings import Settings
from agent.judge import Judge
from agent.ledger import Ledger, LookRecord
from agent.online import Online
from agent.probe import Probe
from agent.watch import Cleaner, Interpreter, Watcher, look_every
from checks.core.model import Attempt, Canary, Check, StageTiming
from checks.ports import MailboxReader, Tools


class Bench:
    """Everything that sends, reads back and judges canaries of one check; `watchers` has its mailboxes by name.

    Raises:
        checks.errors.LocalFault: a part cannot be made of the settings.
    """

    def __init__(
        self,
        settings: Settings,
        check: Check,
        ledger: Ledger,
        *,
        observe: Callable[[StageTiming, str], None],
        handed_over: Callable[[Canary, Attempt], None],
        news: Callable[[], None],
    ) -> None:
        self.clock = SystemClock()
        self._check = check
        self._ledger = ledger
        self._news = news
        tools = Tools(clock=self.clock, credentials=build_credentials(settings, self.clock), observe=observe)
        self.paths = build_paths(settings, tools)
        self.readers = build_mailboxes(settings, tools)
        endpoints = [path.endpoint() for path in self.paths.values()]
        endpoints += [reader.endpoint() for reader in self.readers.values()]
        self._online = Online(self.clock, endpoints)
        keys = signing_keys(settings)
        self._secrets = {key.id: key.secret for key in keys}
        self._addresses = addresses(settings)
        self.probe = Probe(
            clock=self.clock,
            ledger=ledger,
            online=self._online,
            paths=self.paths,
            key=keys[0],
            handed_over=handed_over,
        )
        self._sent_items = settings.paths[check.path].text("sent_items")
        names = dict.fromkeys(name for name in (check.mailbox, check.bounces, self._sent_items) if name is not None)
        self.watchers = {name: self._watcher(name) for name in names}
        self.judge = Judge(clock=self.clock, ledger=ledger, wants_look=lambda name: self.watchers[name].want_look())

    async def look_past(self, name: str) -> None:
        """Look past what lies in a mailbox already, so that old mail is not gone through, and arrivals are bracketed.

        Raises:
            checks.errors.MailboxUnreadable: it cannot be read.
            checks.errors.LocalFault: our own login cannot be made.
            LedgerError: it could not be written down.
        """
        for folder in self.readers[name].folders:
            await self._look_past(name, self.readers[name], folder)

    async def delete(self, name: str) -> None:
        """Delete what was recognised as ours in a mailbox, each message proven so by a fresh look.

        Raises:
            checks.errors.MailboxUnreadable, checks.errors.LocalFault, LedgerError: as `look_past`.
        """
        await self._cleaner(name, self.watchers[name].interpreter, keep=0.0).now_and_then()

    async def close(self) -> None:
        """Let go of all connections."""
        closing = [path.close() for path in self.paths.values()]
        closing += [reader.close() for reader in self.readers.values()]
        await asyncio.gather(*closing, return_exceptions=True)

    async def _look_past(self, name: str, reader: MailboxReader, folder: str) -> None:
        cursor, complete, began_at = None, False, self.clock.steady()
        while not complete:
            look = await reader.look(folder, cursor, since=self.clock.now())
            answered_at = self.clock.steady()
            self._online.connected(answered_at)
            cursor, complete = look.cursor, look.complete
            await self._ledger.looked(
                LookRecord(
                    mailbox=name,
                    folder=folder,
                    began_at=began_at,
                    answered_at=answered_at,
                    cursor=look.cursor,
                    complete=look.complete,
                    blind_after=math.inf,
                )
            )

    def _watcher(self, name: str) -> Watcher:
        limits = self._check.limits
        interpreter = Interpreter(
            mailbox=name,
            addresses=self._addresses[name],
            secrets=self._secrets,
            keep=limits.lost_after + limits.observe_within,
            ledger=self._ledger,
            reader=self.readers[name],
            clears_sent=name == self._sent_items,
        )
        return Watcher(
            name=name,
            reader=self.readers[name],
            ledger=self._ledger,
            clock=self.clock,
            interpreter=interpreter,
            cleaner=self._cleaner(name, interpreter, keep=interpreter.keep),
            look_every=look_every([limits.late_after], self.readers[name].poll),
            news=self._news,
            connected=self._online.connected,
        )

    def _cleaner(self, name: str, interpreter: Interpreter, *, keep: float) -> Cleaner:
        return Cleaner(
            mailbox=name,
            reader=self.readers[name],
            ledger=self._ledger,
            clock=self.clock,
            interpreter=interpreter,
            keep=keep,
        )
