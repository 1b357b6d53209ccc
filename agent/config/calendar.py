"""Times that come again by the calendar, as settings write them: ``sat,sun 02:00``, ``2nd tue 18:00``."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, time

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = r"(?:mon|tue|wed|thu|fri|sat|sun)"
_FORM = re.compile(
    rf"(?:(?P<daily>daily)|(?P<date>\d{{4}}-\d{{2}}-\d{{2}})|(?:(?P<which>[1-4](?:st|nd|rd|th)|last) )?"
    rf"(?P<days>{_DAY}(?:-{_DAY})?(?:,{_DAY}(?:-{_DAY})?)*)) (?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d)"
)
_LAST = -1
_WEEK = 7

FORMS = "'daily 02:00', 'sat,sun 02:00', 'mon-fri 22:00', '2nd tue 18:00', 'last sun 03:00' or '2026-12-24 18:00'"
"""How it may be written, by example."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginnings:
    """When something begins: at a time, on days of the week, of these the *which*-th of a month, or on one date."""

    at: time
    weekdays: frozenset[int] = frozenset(range(_WEEK))
    which: int | None = None
    on: date | None = None

    def include(self, day: date) -> bool:
        """Tell whether it begins on *day*."""
        if self.on is not None:
            return day == self.on
        if day.weekday() not in self.weekdays:
            return False
        if self.which == _LAST:
            return day.day + _WEEK > monthrange(day.year, day.month)[1]
        return self.which is None or (day.day - 1) // _WEEK + 1 == self.which


def parse(text: str) -> Beginnings:
    """Read when something begins; see `FORMS`.

    Raises:
        ValueError: it is none of the forms.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no beginning: write it like {FORMS}")
    at = time(int(found["hour"]), int(found["minute"]))
    if found["daily"]:
        return Beginnings(at=at)
    if found["date"]:
        return Beginnings(at=at, on=date.fromisoformat(found["date"]))
    which = found["which"]
    number = None if which is None else _LAST if which == "last" else int(which[0])
    return Beginnings(at=at, weekdays=frozenset(_weekdays(found["days"])), which=number)


def _weekdays(text: str) -> list[int]:
    days: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        begin = _DAYS.index(first)
        length = (_DAYS.index(last or first) - begin) % _WEEK
        days += [(begin + step) % _WEEK for step in range(length + 1)]
    return days
