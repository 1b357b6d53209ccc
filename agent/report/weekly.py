"""The scheduled report: made once a week, by a process of its own, and tried again until it is sent.

A process of its own, since reading a week of canaries takes seconds of computing, which must not be seen in the
latencies that the agent measures.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from apscheduler.triggers.cron import CronTrigger

from agent.report.archive import Archive
from agent.report.period import Period, week_of, weeks_before
from agent.status import ReportStatus
from checks.ports import Clock

_log = structlog.get_logger("report")
_LONGEST_NAP = 60.0  # the wall clock may be set meanwhile, and the settings changed
_PAUSES = (60.0, 300.0, 900.0, 3600.0)
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Plan:
    """When the report is due: a day of the week and a time of day in a time zone."""

    weekday: str
    hour: int
    minute: int
    zone: ZoneInfo

    @classmethod
    def of(cls, schedule: str, zone: ZoneInfo) -> Plan:
        """Read ``mon 07:00``."""
        weekday, _, clock = schedule.partition(" ")
        hour, _, minute = clock.partition(":")
        return cls(weekday, int(hour), int(minute), zone)

    def last_due(self, now: datetime) -> datetime:
        """Tell when a report was due last. A time that a clock change leaves out is due at its end."""
        trigger = CronTrigger(day_of_week=self.weekday, hour=self.hour, minute=self.minute, timezone=self.zone)
        # strictly within the last seven days of the calendar, through a clock change too
        begin = (now.astimezone(self.zone).replace(tzinfo=None) - _WEEK).replace(tzinfo=self.zone)
        due: datetime | None = trigger.get_next_fire_time(None, begin + timedelta(microseconds=1))
        while due is not None and (following := trigger.get_next_fire_time(due, due + timedelta(minutes=1))) <= now:
            due = following
        return due if due is not None and due <= now else begin

    def owed(self, now: datetime) -> Period:
        """Tell the week that the last due report is about: the last one that was complete by then."""
        running = week_of(self.last_due(now), self.zone)
        return week_of(weeks_before(running, 1).since, self.zone)


@dataclass(slots=True, kw_only=True)
class Weekly:
    """Sends what is owed, once.

    `plan` tells the schedule as it is now, None while there is none; `first` when the oldest canary on record was
    started, and `send` makes and sends the report of a week, and tells whether everybody got it.
    """

    clock: Clock
    archive: Archive
    plan: Callable[[], Plan | None]
    first: Callable[[], Awaitable[float | None]]
    send: Callable[[str], Awaitable[bool]]
    status: ReportStatus = field(default_factory=ReportStatus)
    _failures: int = 0

    async def run(self) -> None:
        """Send reports for ever. One that was missed while the agent was down is made up for; older ones are not."""
        self.status.sent_at = max((one.sent_at for one in self.archive.issues() if one.sent_at), default=None)
        while True:
            await self.clock.sleep(await self.once())

    async def once(self) -> float:
        """Send what is owed; return for how many seconds there is nothing to do."""
        plan = self.plan()
        if plan is None:
            return _LONGEST_NAP
        week = plan.owed(self.clock.now())
        issue = self.archive.issue(week.name)
        if issue is not None and issue.sent_at is not None:
            return _LONGEST_NAP
        first = await self.first()
        if first is None or first >= week.until.timestamp():
            return _LONGEST_NAP  # that week was before our time
        if await self.send(week.name):
            self._failures = 0
            self.status.sent += 1
            self.status.sent_at = self.clock.now().timestamp()
            _log.info("report.sent", week=week.name)
            return _LONGEST_NAP
        self.status.failed += 1
        pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        self._failures += 1
        _log.error("report.not_sent", week=week.name, again_in=pause)
        return pause
