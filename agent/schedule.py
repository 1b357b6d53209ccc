"""When each check's canaries are due: a drift-free grid, kept by APScheduler.

``slot k`` of a check is due at ``k * every + phase`` seconds of Unix time; the phase is a hash of the check's name,
so that checks do not march in step. The job only hands the slot over: a slow canary delays nothing. Slots that
nobody fired (a suspended machine, an overloaded one, a clock set forward) are counted from the slot numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from checks.core import verdict
from checks.core.model import Check
from checks.ports import Clock

_log = structlog.get_logger("schedule")
_STAGGER = 0.1  # seconds between the first canaries after start
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICRO = 1_000_000
_CLOCK_LOOK = 10.0
_STEP = 5.0


@dataclass(frozen=True, slots=True)
class Grid:
    """The slots of one check, in whole microseconds.

    Exactly what a `datetime` can hold: in floating point a due time may be rounded to just before itself, and the
    slot after it would be the same one again.
    """

    every: int
    phase: int

    @classmethod
    def of(cls, check: Check) -> Grid:
        """Place a check on its grid, by its name."""
        every = max(1, round(check.limits.every * _MICRO))
        digest = hashlib.sha256(check.name.encode()).digest()
        return cls(every, int.from_bytes(digest[:8], "big") % every)

    def slot(self, moment: datetime) -> int:
        """Tell the slot that is under way at a moment."""
        return ((moment - _EPOCH) // _MICROSECOND - self.phase) // self.every

    def due(self, slot: int) -> datetime:
        """Tell when a slot is due."""
        return _EPOCH + (slot * self.every + self.phase) * _MICROSECOND

    def next_after(self, moment: datetime) -> datetime:
        """Tell when the first slot after a moment is due."""
        return self.due(self.slot(moment) + 1)


class GridTrigger(BaseTrigger):  # type: ignore[misc]
    """APScheduler's view of a grid. Never IntervalTrigger's jitter: it moves the base of the next run."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """Tell the first slot after the previous one."""
        return self._grid.next_after(previous or now)


@dataclass(slots=True)
class Timetable:
    """One check's place in the schedule. `skipped` counts slots since the start that were never fired."""

    check: Check
    grid: Grid
    last: int | None = None
    skipped: int = 0
    delay: float = 0.0

    def fire(self, now: datetime) -> int | None:
        """Take the slot that is under way, count those passed over; None if it was fired already."""
        slot = self.grid.slot(now)
        if self.last is not None and slot <= self.last:
            return None
        if self.last is not None:
            self.skipped += slot - self.last - 1
            self.delay = (now - self.grid.due(slot)).total_seconds()
        self.last = slot
        return slot

    def forget_future(self, now: datetime) -> None:
        """After the clock was set back: slots ahead of it may be fired (again)."""
        if self.last is not None:
            self.last = min(self.last, self.grid.slot(now))


class Schedule:
    """Fires the slots of all checks into `fire(check, slot)`, which must return at once."""

    def __init__(self, clock: Clock, fire: Callable[[Check, int], object]) -> None:
        self._clock = clock
        self._fire = fire
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self.timetables: dict[str, Timetable] = {}

    def start(self, checks: Sequence[Check]) -> None:
        """Begin: the first canary of every check goes out at once, one shortly after the other."""
        self._scheduler.start()
        self.update(checks)

    def stop(self) -> None:
        """Fire nothing any more."""
        self._scheduler.shutdown(wait=False)

    def update(self, checks: Sequence[Check], *, moved: Container[str] = ()) -> None:
        """Take over the checks as they are configured now; those that are unchanged go on undisturbed.

        The others send a canary at once: what their last one proved is proved no more. So do those in *moved*.
        """
        wanted = {check.name: check for check in checks}
        for name in self.timetables.keys() - wanted.keys():
            self._remove(name)
        new = 0
        for name, check in wanted.items():
            known = self.timetables.get(name)
            if known is not None and name not in moved and _goes_on(known, check):
                known.check = check
                continue
            if known is not None:
                self._remove(name)
            self._add(check, new * _STAGGER % max(1.0, check.limits.every))
            new += 1

    def next_due(self, name: str) -> datetime | None:
        """Tell when a check's next canary is due."""
        job = self._scheduler.get_job(name)
        return None if job is None else job.next_run_time

    async def watch_clock(self) -> None:
        """Compare the wall clock with the steady one, and recompute the next runs when one of them jumped."""
        wall, steady = self._clock.now(), self._clock.steady()
        while True:
            await self._clock.sleep(_CLOCK_LOOK)
            new_wall, new_steady = self._clock.now(), self._clock.steady()
            passed = new_steady - steady
            step = (new_wall - wall).total_seconds() - passed
            if abs(step) > _STEP or passed > _CLOCK_LOOK + _STEP:
                _log.warning("clock.jumped", step_seconds=round(step, 3), unwatched_seconds=round(passed, 3))
                self.recompute()
            wall, steady = new_wall, new_steady

    def recompute(self) -> None:
        """Set every check's next run anew from the wall clock as it is now."""
        now = self._clock.now()
        for name, timetable in self.timetables.items():
            timetable.forget_future(now)
            self._scheduler.modify_job(name, next_run_time=timetable.grid.next_after(now))

    def on_slot(self, name: str) -> None:
        """Hand the slot that is under way over, once."""
        timetable = self.timetables.get(name)
        if timetable is None:
            return
        slot = timetable.fire(self._clock.now())
        if slot is not None:
            self._fire(timetable.check, slot)

    async def _job(self, name: str) -> None:
        """Run in the event loop: APScheduler would give a plain function a thread."""
        self.on_slot(name)

    def _add(self, check: Check, stagger: float) -> None:
        grid = Grid.of(check)
        self.timetables[check.name] = Timetable(check, grid)
        self._scheduler.add_job(
            self._job,
            GridTrigger(grid),
            args=[check.name],
            id=check.name,
            next_run_time=self._clock.now() + timedelta(seconds=stagger),
            misfire_grace_time=None,
            coalesce=False,
        )

    def _remove(self, name: str) -> None:
        del self.timetables[name]
        self._scheduler.remove_job(name)


def _goes_on(known: Timetable, check: Check) -> bool:
    return known.grid == Grid.of(check) and verdict.proves(known.check, check)
