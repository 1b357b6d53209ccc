"""The loop around one mailbox reader: look, interpret, write down, wait; back off while the mailbox is unreadable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import structlog

from agent.ledger import Ledger, LedgerError, LookRecord
from agent.status import MailboxStatus
from agent.watch.clean import Cleaner
from agent.watch.interpret import Interpreter
from agent.watch.pacing import Pacing
from checks.core.model import Accepted, Attempt, Canary
from checks.errors import LocalFault, MailboxUnreadable
from checks.ports import Clock, Look, MailboxReader

_log = structlog.get_logger("watch")
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_SLOWEST = 60.0
_MOST_SLOWNESS = 8.0
_EASE_AFTER = 300.0
_NAP = 0.25  # below this it costs more to enter and leave IDLE than to look again
_BLIND_FACTOR = 2.0
_BLIND_SLACK = 5.0
_MARGIN = timedelta(days=1)  # of reaching back: for clocks that disagree, and what came just before we began
_REACH_KNOWN_FOR = 3600.0  # far less than the margin, which covers what was sent meanwhile


@dataclass(slots=True)
class _Folder:
    """How far one folder was looked into. `midway` tells that the cursor may lead into the middle of a round."""

    name: str
    cursor: str | None = None
    looked_at: float | None = None
    due_at: float = 0.0
    midway: bool = False


@dataclass(slots=True, kw_only=True)
class Watcher:
    """Watches one mailbox. `look_every` is the longest time between looks into a folder, in seconds.

    `account` says whose mailbox it is: after a reload the same name may be another's.

    A server that throttles us is looked into less often: twice the time after each refusal, and half of it again after
    some minutes without one.
    """

    name: str
    reader: MailboxReader
    ledger: Ledger
    clock: Clock
    interpreter: Interpreter
    cleaner: Cleaner
    look_every: float
    news: Callable[[], None]
    connected: Callable[[float], None]
    account: str = ""
    status: MailboxStatus = field(default_factory=MailboxStatus)
    _pacing: Pacing = field(default_factory=Pacing)
    _folders: list[_Folder] = field(default_factory=list)
    _all_wanted: bool = False
    _slowness: float = 1.0
    _throttled_at: float = 0.0
    _oldest_at: float = 0.0  # nothing that is in flight began before
    _oldest_until: float = 0.0
    _deafness: float = 0.0  # how long the last pause was after a wait that failed

    @property
    def interval(self) -> float:
        """The longest time between looks into a folder as it is now, in seconds."""
        return max(self.look_every, min(_SLOWEST, self.look_every * self._slowness))

    def expect(self, canary: Canary, attempt: Attempt) -> None:
        """Look for this canary soon: it was handed over."""
        if isinstance(attempt, Accepted):
            self._pacing.expect(canary.id, canary.check.path, attempt.transcript.ended_at)
            self.reader.wake()

    def want_look(self) -> None:
        """Look into every folder now: a canary is at its deadline."""
        self._all_wanted = True
        self.reader.wake()

    async def run(self) -> None:
        """Watch for ever. Only defects end it."""
        pause = 0.0
        while True:
            try:
                await self._resume()
                await self._look_where_due()
                pause = 0.0
                self._recovered()
                await self._clean()
                await self._wait()
            except MailboxUnreadable as error:
                pause = self._failed(error.reason, error.detail, pause, error.retry_after)
                await self.clock.sleep(pause)
            except LocalFault as fault:
                pause = self._failed("local", str(fault), pause, None)
                await self.clock.sleep(pause)
            except LedgerError as error:
                _log.error("watch.ledger_failed", mailbox=self.name, why=str(error))
                await self.clock.sleep(_FIRST_PAUSE)
            except Exception as defect:
                self._failed("defect", type(defect).__name__, pause, None)
                raise

    async def _clean(self) -> None:
        """Clean up. Where that is not allowed (a mailbox that may only be read), looks are none the worse for it."""
        try:
            await self.cleaner.now_and_then()
        except MailboxUnreadable as error:
            if error.reason == "throttled":
                raise
            _log.warning("mailbox.not_cleaned", mailbox=self.name, reason=error.reason, why=error.detail)

    async def _resume(self) -> None:
        """Go on where the ledger says the last look stopped."""
        if self._folders:
            return
        folders = []
        for name in self.reader.folders:
            cursor, looked_at = await self.ledger.cursor(self.name, name)
            folders.append(_Folder(name, cursor, looked_at, midway=cursor is not None))
        self._folders = folders

    async def _look_where_due(self) -> None:
        """Look into the first folder always, into the others when their time has come or a verdict waits for it."""
        now = self.clock.steady()
        everything, self._all_wanted = self._all_wanted, False
        for place, folder in enumerate(self._folders):
            if place == 0 or everything or now >= folder.due_at:
                await self._look(folder)

    async def _look(self, folder: _Folder) -> None:
        """Read page after page, until a round is through that began in this look.

        A round is as old as its first page. One that was broken off, by a failure or by the end of a life, is read to
        its end, but proves no absence: that is left to the next, which follows at once.
        """
        began_at, whole, complete = self.clock.steady(), False, False
        while not complete:
            reach = await self._reach()
            asked_at = self.clock.steady()
            look = await self.reader.look(folder.name, folder.cursor, since=self.clock.now() - reach)
            answered_at = self.clock.steady()
            self.connected(answered_at)
            if not folder.midway:
                began_at, whole = asked_at, True
            complete = look.complete and whole
            await self._write_down(folder, replace(look, complete=complete), began_at, answered_at)
            folder.midway = not look.complete

    async def _reach(self) -> timedelta:
        """Say how far back to begin where a cursor is void: whatever is still awaited may have come since it was sent.

        That is asked of all canaries: a bounce of one that is awaited elsewhere may lie here, and a mailbox may be
        renamed. What is older only widens the reach.
        """
        now = self.clock.steady()
        if now >= self._oldest_until:
            oldest = await self.ledger.oldest_in_flight()
            self._oldest_at, self._oldest_until = now if oldest is None else oldest, now + _REACH_KNOWN_FOR
        return _MARGIN + timedelta(seconds=max(self.interpreter.keep, now - self._oldest_at))

    async def _write_down(self, folder: _Folder, look: Look, began_at: float, answered_at: float) -> None:
        found = await self.interpreter.interpret(look.messages, seen_at=answered_at, after_at=folder.looked_at)
        something_due = await self.ledger.looked(
            LookRecord(
                mailbox=self.name,
                folder=folder.name,
                account=self.account,
                began_at=began_at,
                answered_at=answered_at,
                cursor=look.cursor,
                complete=look.complete,
                blind_after=_BLIND_FACTOR * self.interval + _BLIND_SLACK,
                sightings=found.sightings,
                bounces=found.bounces,
                copies=found.copies,
                headers=found.headers,
                ignored=found.ignored,
            )
        )
        folder.cursor = look.cursor
        for sighting in found.sightings:
            self._pacing.found(sighting.canary, sighting.seen_at)
        if look.complete:
            folder.looked_at = began_at
            folder.due_at = began_at + self.interval
            self._pacing.looked(began_at, answered_at, self._slowness)
        if something_due:
            self.news()

    async def _wait(self) -> None:
        """Wait until a look is due, the server has something to say, or somebody nudges."""
        if self._all_wanted:
            return
        now = self.clock.steady()
        planned = self._pacing.next_at()
        due = [folder.due_at for folder in self._folders]
        seconds = min(due if planned is None else [*due, planned]) - now
        if seconds <= 0:
            await self.clock.sleep(0)
        elif seconds < _NAP:
            await self.clock.sleep(seconds)
        else:
            await self._listen(seconds)

    async def _listen(self, seconds: float) -> None:
        """Let the reader wait. Where it cannot, the next look tells how the mailbox is; it has only lost its ear."""
        try:
            await self.reader.wait(seconds)
        except MailboxUnreadable as error:
            self._deafness = min(_LONGEST_PAUSE, max(_FIRST_PAUSE, self._deafness * 2))
            _log.info("mailbox.not_listening", mailbox=self.name, reason=error.reason, why=error.detail)
            if error.reason == "throttled":
                self._slow_down()
            await self.clock.sleep(max(min(seconds, self._deafness), error.retry_after or 0.0))
        else:
            self._deafness = 0.0

    def _recovered(self) -> None:
        if not self.status.up:
            _log.info("mailbox.readable", mailbox=self.name)
            self.status.since_at = self.clock.steady()
        self.status.up, self.status.reason, self.status.detail = True, "", ""
        now = self.clock.steady()
        if self._slowness > 1.0 and now - self._throttled_at > _EASE_AFTER:
            self._slowness, self._throttled_at = self._slowness / 2, now
        self.status.look_interval = self.interval

    def _failed(self, reason: str, detail: str, pause: float, wish: float | None) -> float:
        """Take note of a failure; return for how long to leave the mailbox alone."""
        pause = min(_LONGEST_PAUSE, max(_FIRST_PAUSE, pause * 2))
        if wish is not None:
            pause = max(pause, wish)
        if self.status.up or self.status.reason != reason:
            _log.warning("mailbox.unreadable", mailbox=self.name, reason=reason, why=detail, again_in=pause)
        if self.status.up:
            self.status.since_at = self.clock.steady()
        self.status.up, self.status.reason, self.status.detail = False, reason, detail
        if reason == "throttled":
            self._slow_down()
        self.status.look_interval = max(self.interval, pause)
        self.status.failures += 1
        return pause

    def _slow_down(self) -> None:
        self._slowness, self._throttled_at = min(_MOST_SLOWNESS, self._slowness * 2), self.clock.steady()
        self.status.throttled += 1


def look_every(late_after: Sequence[float], poll: float | None = None) -> float:
    """Say how often each folder is looked into at least, in seconds.

    It is given by the checks that wait for it, and, where the server gives no notice, by how often to *poll*.
    """
    return min(60.0, *(seconds / 2 for seconds in late_after), *([] if poll is None else [poll]), 60.0)
