"""Dates in the forms that mail software writes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.core.headers.dates import find_date, parse_date

NOON = datetime(2025, 4, 3, 12, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "Thu, 3 Apr 2025 12:00:05 +0000",
        "Thu, 03 Apr 2025 14:00:05 +0200 (CEST)",
        "Thursday, 3-Apr-25 12:00:05 GMT",
        "3 Apr 25 08:00:05 EDT",
        "Apr 3 2025 12:00:05 -0000",
        "Thu Apr  3 12:00:05 2025",
        "Thu Apr 3 12:00:05 UTC 2025",
        "4/3/2025 12:00:05 PM",
        "4-3-2025 8:00:05 AM -0400 (EDT)",
        "2025-04-03T12:00:05Z",
        "2025-04-03 14:00:05 +02:00",
    ],
)
def test_every_form_is_the_same_moment(text):
    assert parse_date(text) == NOON


def test_exchange_writes_its_fractions_with_four_digits():
    assert parse_date("23 Apr 2025 09:10:25.4494 (UTC)") == datetime(2025, 4, 23, 9, 10, 25, 449400, tzinfo=UTC)


@pytest.mark.parametrize(("digits", "year"), [("00", 2000), ("49", 2049), ("91", 1991), ("125", 2025)])
def test_a_short_year_is_read_as_rfc_5322_says(digits, year):
    assert parse_date(f"1 Jan {digits} 00:00:00 +0000").year == year


def test_a_leap_second_and_midnight_at_24_are_moments():
    assert parse_date("31 Dec 2016 23:59:60 +0000") == datetime(2017, 1, 1, tzinfo=UTC)
    assert parse_date("31 Dec 2016 24:00:00 +0000") == datetime(2017, 1, 1, tzinfo=UTC)


def test_a_date_alone_is_midnight_unless_a_time_is_required():
    assert parse_date("22 Apr 2018") == datetime(2018, 4, 22, tzinfo=UTC)
    assert find_date("22 Apr 2018") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "32 Jan 2025 00:00:00",
        "1 Foo 2025 00:00:00",
        "2025-13-01 00:00:00",
        "1 Jan 2025 25:61:00",
        "1 Jan 2025 00:00:00 +2500",
        "1 Jan 0001 00:00:00",
    ],
)
def test_what_is_no_date_is_none(text):
    assert parse_date(text) is None


def test_the_place_of_a_date_is_told():
    date, start, end = find_date("id 7 Thu, 3 Apr 2025 12:00:05 +0000 (UTC)")
    assert (date, start, end) == (NOON, 5, 35)


@given(st.integers(0, 7_000_000_000), st.integers(-720, 840))
def test_every_rfc_5322_date_is_read_back(epoch, minutes):
    moment = datetime.fromtimestamp(epoch, UTC)
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    local = moment + timedelta(minutes=minutes)
    if 1970 <= local.year < 2200:
        assert parse_date(f"{local:%a, %d %b %Y %H:%M:%S} {sign}{hours:02}{rest:02}") == moment


@given(st.text(alphabet="0123456789:-/ JanFebAPM+ZT.,()", max_size=80))
def test_any_text_gives_a_date_or_none(text):
    date = parse_date(text)
    assert date is None or date.tzinfo is not None
