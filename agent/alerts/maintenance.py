"""Maintenance windows: times that come again, in which nobody is woken. Pure: the time is an argument."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from agent.config.calendar import Beginnings

_SECONDS_A_DAY = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One maintenance window: it begins by the calendar of a time zone and lasts a number of seconds.

    Without `checks` and `paths` it is about everything.
    """

    name: str
    beginnings: Beginnings
    lasts: float
    zone: ZoneInfo
    checks: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()

    def until(self, now: datetime) -> datetime | None:
        """Tell when the window ends that is open at *now*; None if none is.

        A beginning that a clock change leaves out comes as much later as the clocks were put forward; one that comes
        twice begins the first time. How long a window lasts is counted in true time.
        """
        today = now.astimezone(self.zone).date()
        ends = [
            end
            for back in range(math.ceil(self.lasts / _SECONDS_A_DAY) + 2)
            if (end := self._end_of(today - timedelta(days=back), now)) is not None
        ]
        return max(ends, key=datetime.timestamp, default=None)

    def fits(self, *, check: str, path: str) -> bool:
        """Tell whether it is about this check."""
        return (not self.checks and not self.paths) or check in self.checks or path in self.paths

    def _end_of(self, day: date, now: datetime) -> datetime | None:
        if not self.beginnings.include(day):
            return None
        begin = datetime.combine(day, self.beginnings.at, tzinfo=self.zone).timestamp()
        if not begin <= now.timestamp() < begin + self.lasts:
            return None
        return datetime.fromtimestamp(begin + self.lasts, self.zone)
