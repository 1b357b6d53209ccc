"""Dates as mail software writes them, read into aware datetimes.

RFC 5322 section 3.3 and its obsolete forms, asctime, ISO 8601, Go's default format and American numeric dates, with
the time before, after or without a zone. A date without a zone is read as UTC, as Microsoft's header analyzer does.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = "(?P<month>" + "|".join(_MONTHS) + ")[a-z]{0,6}"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE | re.ASCII)
    for pattern in (
        rf"(?<![\w:])(?P<day>\d{{1,2}})[ -]+{_MONTH}\.?,?[ -]+(?P<year>\d{{2,4}})(?![\w:])",
        r"(?<![\w.-])(?P<year>\d{4})[-/](?P<month>\d{1,2})[-/](?P<day>\d{1,2})(?![\d-])",
        r"(?<![\w.-])(?P<month>\d{1,2})[-/](?P<day>\d{1,2})[-/](?P<year>\d{4})(?!\d)",
        rf"\b{_MONTH} +(?P<day>\d{{1,2}}),? +(?P<year>\d{{4}})(?![\w:])",
        rf"\b{_MONTH} +(?P<day>\d{{1,2}}) +\d\d?:\d\d:\d\d(?: [a-z]{{1,5}}| [+-]\d{{4}})? +(?P<year>\d{{4}})(?!\w)",
    )
)
_DAY_NAME = re.compile(r"\b(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}\.?,? {0,4}\Z", re.IGNORECASE)
_TIME = re.compile(
    r"(?<![\w:])(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,12}))?)?"
    r"(?: ?(?P<half>[AP]M)\b)?(?:\s{0,4}(?P<zone>[+-]\d{2}:?\d{2}|[A-Z]{1,5})(?![\w:+-]))?",
    re.IGNORECASE | re.ASCII,
)
_ISO_TIME = re.compile(r"(?<=\d)T(?=\d\d:\d\d)")
# RFC 5322 section 4.3; single military letters were used with both signs, so they say nothing beyond UTC.
_ZONE_HOURS = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}
# Beyond RFC 5322, but unambiguous in mail practice.
_ZONE_HOURS |= {"CET": 1, "MET": 1, "CEST": 2, "MEST": 2, "EET": 2, "EEST": 3, "MSK": 3, "JST": 9, "KST": 9}
_MAX_LENGTH = 400
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
_NOON = 12


def parse_date(text: str) -> datetime | None:
    """The first date in a text, with its time and zone, as an aware datetime; None when there is none.

    A date without a time is midnight. Dates before 1970 and after 2199 are taken for noise.
    """
    found = find_date(text, time_required=False)
    return found[0] if found else None


def find_date(text: str, *, time_required: bool = True) -> tuple[datetime, int, int] | None:
    """The first date in a text and the offsets between which it stands, from the day's name to the zone."""
    text = _ISO_TIME.sub(" ", text[:_MAX_LENGTH])
    date = next((match for pattern in _DATES if (match := pattern.search(text))), None)
    if date is None:
        return None
    # The time follows the date, or stands inside it (asctime).
    time = _TIME.search(text, date.end()) or _TIME.search(text, date.start())
    if time is None and time_required:
        return None
    moment = _moment(date, time)
    if moment is None:
        return None
    day_name = _DAY_NAME.search(text, 0, date.start())
    start = day_name.start() if day_name else date.start()
    return moment, start, max(date.end(), time.end() if time else 0)


def _moment(date: re.Match[str], time: re.Match[str] | None) -> datetime | None:
    year = _year(date["year"])
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return None
    month = _MONTHS.index(date["month"].lower()) + 1 if date["month"].isalpha() else int(date["month"])
    try:
        midnight = datetime(year, month, int(date["day"]), tzinfo=_zone(time["zone"] if time else None))
    except ValueError:
        return None
    return midnight + _since_midnight(time) if time and _is_time_of_day(time) else (None if time else midnight)


def _year(digits: str) -> int:
    """RFC 5322 section 4.3: two digits are 1950 to 2049, three count from 1900."""
    year = int(digits)
    if len(digits) == 4:  # noqa: PLR2004 -- a year in full
        return year
    return year + (2000 if year < 50 and len(digits) == 2 else 1900)  # noqa: PLR2004 -- RFC 5322's pivot


def _is_time_of_day(time: re.Match[str]) -> bool:
    return int(time["hour"]) <= 24 and int(time["minute"]) < 60 and int(time["second"] or 0) <= 60  # noqa: PLR2004


def _since_midnight(time: re.Match[str]) -> timedelta:
    hour = int(time["hour"])
    half = (time["half"] or "").upper()
    if half:
        hour = hour % _NOON + (_NOON if half == "PM" else 0)
    micros = int((time["fraction"] or "0").ljust(6, "0")[:6])
    # Added as a duration, so that a leap second (:60) and 24:00 are the moments that they mean.
    return timedelta(hours=hour, minutes=int(time["minute"]), seconds=int(time["second"] or 0), microseconds=micros)


def _zone(zone: str | None) -> timezone:
    """The offset from UTC that a zone names; unknown names are UTC (RFC 5322 section 4.3).

    Raises:
        ValueError: the offset is a day or more.
    """
    if zone is None:
        return UTC
    if zone[0] in "+-":
        digits = zone[1:].replace(":", "")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        return timezone(-offset if zone[0] == "-" else offset)
    return timezone(timedelta(hours=_ZONE_HOURS.get(zone.upper(), 0)))
