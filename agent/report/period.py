"""Which span of time a report is about. Weeks are those of the calendar in a time zone, through its clock changes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_WEEK = re.compile(r"(?P<year>[0-9]{4})-W(?P<week>[0-9]{2})")
_DAYS = 7


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` up to, but without, `until`, both in the time zone that people read."""

    name: str
    since: datetime
    until: datetime

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which days and hours are told."""
        zone = self.since.tzinfo
        return zone if isinstance(zone, ZoneInfo) else ZoneInfo("UTC")

    @property
    def hours(self) -> int:
        """How many hours it has; a week in which the clock changes has 167 or 169."""
        return max(1, round((self.until.timestamp() - self.since.timestamp()) / 3600))


def week(text: str, zone: ZoneInfo) -> Period:
    """Read an ISO 8601 week, such as ``2026-W47``: Monday 00:00 to the next Monday, in *zone*.

    Raises:
        ValueError: there is no such week; the message says what is wrong.
    """
    match = _WEEK.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:20]!r} is not a week: write it like 2026-W47")
    try:
        monday = date.fromisocalendar(int(match["year"]), int(match["week"]), 1)
        return _days(text, monday, _DAYS, zone)
    except (ValueError, OverflowError):
        raise ValueError(f"there is no week {match['week']} in {match['year']}") from None


def week_of(moment: datetime, zone: ZoneInfo) -> Period:
    """Return the week that *moment* lies in."""
    day = moment.astimezone(zone).date()
    year, number, weekday = day.isocalendar()
    return _days(f"{year}-W{number:02d}", day - timedelta(days=weekday - 1), _DAYS, zone)


def weeks_before(period: Period, weeks: int, *, skip: int = 0) -> Period:
    """Return the *weeks* whole weeks that end *skip* weeks before *period* begins, by the calendar."""
    until = _shifted(period.since, -_DAYS * skip)
    name = "the week before" if weeks == 1 and skip == 0 else f"the {weeks} weeks before"
    return Period(name, _shifted(until, -_DAYS * weeks), until)


def named(period: Period) -> Period:
    """Name a span of seven days: the week of the calendar that it is, else the day on which it begins."""
    if period.since.weekday() == 0 and period.since.time() == time():
        return week_of(period.since, period.zone)
    return replace(period, name=f"from {period.since:%Y-%m-%d}")


def between(since: datetime, until: datetime) -> Period:
    """Make a period of any length.

    Raises:
        ValueError: it ends before it begins.
    """
    if until <= since:
        raise ValueError(f"the report would end ({until:%Y-%m-%d %H:%M}) before it begins ({since:%Y-%m-%d %H:%M})")
    return Period(f"{since:%Y-%m-%d} to {until - timedelta(microseconds=1):%Y-%m-%d}", since, until)


def _days(name: str, first: date, days: int, zone: ZoneInfo) -> Period:
    since = datetime.combine(first, time(), zone)
    return Period(name, since, _shifted(since, days))


def _shifted(moment: datetime, days: int) -> datetime:
    """Move by calendar days: the same time of day, however many hours lie in between."""
    return datetime.combine(moment.date() + timedelta(days=days), moment.time(), moment.tzinfo)
