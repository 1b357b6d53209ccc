"""Weeks are those of the calendar of a place, through its clock changes."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from agent.report import period
from agent.report.weekly import Plan

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


@pytest.mark.parametrize(
    ("week", "since", "hours"),
    [
        ("2026-W47", "2026-11-16T00:00+01:00", 168),
        ("2026-W43", "2026-10-19T00:00+02:00", 169),  # the clocks go back on its Sunday
        ("2026-W13", "2026-03-23T00:00+01:00", 167),  # and forward on its
        ("2026-W53", "2026-12-28T00:00+01:00", 168),
        ("2027-W01", "2027-01-04T00:00+01:00", 168),
    ],
)
def test_a_week_begins_on_monday_at_midnight_and_has_as_many_hours_as_the_clock_says(week, since, hours):
    found = period.week(week, AMSTERDAM)
    assert found.since == datetime.fromisoformat(since)
    assert found.hours == hours


@pytest.mark.parametrize("text", ["2026-W54", "2027-W53", "2026-W00", "2026W47", "W47", "", "0000-W01", "2026-47"])
def test_a_week_that_does_not_exist_is_refused_in_words(text):
    with pytest.raises(ValueError, match="week"):
        period.week(text, AMSTERDAM)


def test_weeks_before_end_where_the_period_begins_at_midnight_of_their_place():
    now = period.week("2026-W44", AMSTERDAM)
    before = period.weeks_before(now, 1)
    assert (before.since, before.until) == (datetime.fromisoformat("2026-10-19T00:00+02:00"), now.since)
    assert period.weeks_before(now, 4).since == datetime.fromisoformat("2026-09-28T00:00+02:00")


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-23T06:00:00+00:00", "2026-11-23T06:00:00+00:00"),  # Monday 07:00 in Amsterdam, to the second
        ("2026-11-23T05:59:59+00:00", "2026-11-16T06:00:00+00:00"),
        ("2026-11-26T12:00:00+00:00", "2026-11-23T06:00:00+00:00"),
        ("2026-10-26T05:59:59+00:00", "2026-10-19T05:00:00+00:00"),  # the Monday after the clocks went back
        ("2026-10-26T06:00:00+00:00", "2026-10-26T06:00:00+00:00"),
        ("2026-03-30T05:00:00+00:00", "2026-03-30T05:00:00+00:00"),  # and after they went forward
        ("2026-03-30T04:59:59+00:00", "2026-03-23T06:00:00+00:00"),
    ],
)
def test_a_report_is_due_at_the_same_time_of_day_summer_and_winter(now, due):
    plan = Plan.of("mon 07:00", AMSTERDAM)
    assert plan.last_due(datetime.fromisoformat(now)) == datetime.fromisoformat(due)


def test_the_time_that_a_clock_change_leaves_out_is_due_all_the_same():
    plan = Plan.of("sun 02:30", AMSTERDAM)
    due = plan.last_due(datetime(2026, 3, 29, 12, 0, tzinfo=UTC))
    assert datetime(2026, 3, 29, 0, 0, tzinfo=UTC) < due <= datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "now", "week"),
    [
        ("mon 07:00", "2026-11-23T07:00:00+01:00", "2026-W47"),
        ("mon 07:00", "2026-11-23T06:59:00+01:00", "2026-W46"),
        ("fri 18:00", "2026-11-27T18:00:00+01:00", "2026-W47"),  # on a Friday the last complete week is the one before
        ("sun 23:00", "2026-11-22T23:30:00+01:00", "2026-W46"),
    ],
)
def test_what_is_owed_is_the_last_week_that_was_complete_when_the_report_was_due(schedule, now, week):
    assert Plan.of(schedule, AMSTERDAM).owed(datetime.fromisoformat(now)).name == week
