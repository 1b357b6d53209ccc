"""Maintenance windows: by the calendar of a time zone, through the change of its clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.alerts.maintenance import Window
from agent.config import calendar

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def a_window(schedule: str, hours: float = 3, **more: object) -> Window:
    known = {"name": "patches", "beginnings": calendar.parse(schedule), "lasts": hours * 3600, "zone": AMSTERDAM}
    return Window(**{**known, **more})


def at(text: str, zone: ZoneInfo = AMSTERDAM) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("schedule", "inside", "outside"),
    [
        ("daily 02:00", "2026-11-25T02:00", "2026-11-25T01:59:59"),
        ("sun 02:00", "2026-11-29T04:59:59", "2026-11-29T05:00"),
        ("sat,sun 02:00", "2026-11-28T03:00", "2026-11-27T03:00"),
        ("mon-fri 22:00", "2026-11-28T00:30", "2026-11-29T00:30"),  # from Friday into Saturday
        ("fri-mon 22:00", "2026-11-30T23:00", "2026-12-01T23:00"),
        ("2nd tue 18:00", "2026-12-08T20:00", "2026-12-01T20:00"),
        ("last sun 03:00", "2026-11-29T05:00", "2026-11-22T05:00"),
        ("1st mon 00:00", "2026-12-07T01:00", "2026-12-14T01:00"),
        ("2026-12-24 18:00", "2026-12-24T20:59", "2025-12-24T19:00"),
    ],
)
def test_a_window_is_open_when_its_schedule_says(schedule, inside, outside):
    window = a_window(schedule)
    assert window.until(at(inside)) is not None
    assert window.until(at(outside)) is None


def test_the_end_of_a_window_is_told_in_its_own_time_zone():
    assert a_window("sun 02:00").until(datetime(2026, 11, 29, 2, 0, tzinfo=UTC)) == at("2026-11-29T05:00")


def test_a_beginning_that_the_clocks_leave_out_comes_when_they_have_been_put_forward():
    window = a_window("sun 02:30", hours=1)  # 2026-03-29: 02:00 CET is 03:00 CEST
    assert window.until(at("2026-03-29T03:29")) is None
    assert window.until(at("2026-03-29T03:30")) is not None


def test_a_beginning_that_comes_twice_begins_the_first_time_and_lasts_in_true_time():
    window = a_window("sun 02:30", hours=1)  # 2026-10-25: 02:30 comes as CEST and again as CET
    begin = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert window.until(begin - timedelta(seconds=1)) is None
    end = window.until(begin)
    assert end is not None
    assert end.timestamp() == datetime(2026, 10, 25, 1, 30, tzinfo=UTC).timestamp()
    assert window.until(begin + timedelta(hours=1)) is None


@given(st.integers(0, 730 * 86400), st.integers(1, 167))
def test_a_daily_window_is_open_exactly_for_as_long_as_it_lasts_after_a_beginning(seconds, hours):
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    window = a_window("daily 02:00", hours=hours, zone=ZoneInfo("UTC"))
    since = (now - now.replace(hour=2, minute=0, second=0, microsecond=0)) % timedelta(days=1)
    assert (window.until(now) is not None) == (since < timedelta(hours=hours))


@pytest.mark.parametrize(
    "schedule",
    ["", "sun", "sun 24:00", "2:00", "3rd 02:00", "funday 02:00", "5th mon 01:00", "sun  02:00", "SUN 02:00"],
)
def test_what_is_no_schedule_is_refused_with_examples(schedule):
    with pytest.raises(ValueError, match="is no beginning: write it like 'daily 02:00'"):
        calendar.parse(schedule)


def test_a_window_is_about_what_it_names_or_about_everything():
    assert a_window("daily 02:00").fits(check="any", path="any")
    named = a_window("daily 02:00", checks=frozenset({"relay"}), paths=frozenset({"graph"}))
    assert named.fits(check="relay", path="mx")
    assert named.fits(check="other", path="graph")
    assert not named.fits(check="other", path="mx")
