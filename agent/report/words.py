"""How figures are written for people: numbers, times, changes."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from agent.report.change import Change, Direction
from agent.report.figures import Share
from agent.words import span
from checks.core.stats import Interval

NOTHING = "-"
_LONG = 0.5  # seconds
_MOST_PLACES = 6  # of a percentage: beyond them nobody reads
_THIN, _FIXED = "\N{NARROW NO-BREAK SPACE}", "\N{NO-BREAK SPACE}"


def number(value: int) -> str:
    """Write a count with thin groups of three: ``2 016 000``."""
    return f"{value:,}".replace(",", _THIN)


def percent(value: float | None, beside: float | None = None) -> str:
    """Write a share. What is not quite all or nothing never reads as all or nothing: ``99.9998 %``.

    Nor does it read as the share *beside* it, such as an objective, unless it is the same.
    """
    if value is None:
        return NOTHING
    if value in (0.0, 1.0):
        return f"{value * 100:.0f}{_FIXED}%"
    marks = [mark * 100 for mark in (0.0, 1.0, beside) if mark is not None and mark != value]
    places = 1
    while places < _MOST_PLACES and any(round(value * 100, places) == round(mark, places) for mark in marks):
        places += 1
    return f"{value * 100:.{places}f}{_FIXED}%"


def share(one: Share, beside: float | None = None) -> str:
    """Write a share with its counts: ``99.1 % (29 971 of 30 240)``; see `percent` for what is *beside* it."""
    return f"{percent(one.value, beside)} ({number(one.n)} of {number(one.of)})" if one.of else f"{NOTHING} (0 of 0)"


def seconds(value: float | None) -> str:
    """Write a duration as everywhere else, its units beside their numbers: ``34 ms``, ``7.70 s``, ``3 h 30 min``."""
    return NOTHING if value is None else re.sub(r"(?<=[0-9]) ", _FIXED, span(value))


def moment(at: float, zone: ZoneInfo) -> str:
    """Write a moment in the time zone of the report: ``Fri 20 Nov 23:16``."""
    local = datetime.fromtimestamp(at, zone)
    return f"{local:%a} {local.day} {local:%b %H:%M}"


def change_of_share(change: Change) -> str:
    """Write how a share changed, in percentage points, with its interval."""
    if change.difference is None or change.interval is None:
        return "nothing to compare with"
    if not change.is_enough:
        return _too_few(change)
    points = f"{change.difference * 100:+.2f} points ({_interval(change.interval, 100, '.2f')})"
    return f"{change.direction.value}: {points}" if change.direction is not Direction.UNPROVEN else _unproven(points)


def change_of_seconds(change: Change) -> str:
    """Write how a latency changed, with its interval."""
    if change.difference is None:
        return "nothing to compare with"
    if change.interval is None or not change.is_enough:
        return _too_few(change)
    unit, factor, form = ("s", 1.0, ".2f") if _is_long(change) else ("ms", 1000.0, ".1f")
    words = f"{change.difference * factor:+{form}} {unit} ({_interval(change.interval, factor, form)})"
    return f"{change.direction.value}: {words}" if change.direction is not Direction.UNPROVEN else _unproven(words)


def _is_long(change: Change) -> bool:
    """Tell whether a latency is told in seconds: hundredths of them say something of it."""
    return max(change.now or 0.0, change.before or 0.0) >= _LONG


def _too_few(change: Change) -> str:
    return f"{Direction.UNPROVEN.value}: too few canaries ({number(min(change.n, change.n_before))})"


def _unproven(words: str) -> str:
    return f"{Direction.UNPROVEN.value}: {words}"


def _interval(interval: Interval, factor: float, form: str) -> str:
    return f"{interval.low * factor:+{form}} to {interval.high * factor:+{form}}"
