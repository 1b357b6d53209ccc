"""What the report says in sentences agrees with its figures, and with itself."""

from __future__ import annotations

import sqlite3
from datetime import datetime

import pytest

from agent.ahead import Outlook
from agent.report import change, forms, period, words
from agent.report.figures import Share
from agent.status import Ahead


def lead(figures):
    return [paragraph.text for paragraph in forms.document(figures).lead]


def file_of(url):
    return sqlite3.connect(url.removeprefix("sqlite:///"))


@pytest.mark.parametrize(
    ("value", "beside", "said"),
    [
        (0.98958, 0.99, "98.96"),
        (0.989996, 0.99, "98.9996"),
        (0.99, 0.99, "99.0"),
        (0.999999, 0.99, "99.9999"),
        (0.965, 0.99, "96.5"),
    ],
)
def test_a_share_reads_as_its_objective_only_if_it_is_the_same(value, beside, said):
    assert words.percent(value, beside) == f"{said}\N{NO-BREAK SPACE}%"


def test_a_share_that_misses_its_objective_by_little_is_not_told_as_the_objective(kit, tmp_path):
    url = kit.write_past(tmp_path, kit.checks, days=11)
    with file_of(url) as connection:
        connection.execute("update canaries set verdict = 'pass', outcome = 'delivered'")
        connection.execute("update canaries set verdict = 'fail', outcome = 'lost' where seq % 99 = 0")
    figures = kit.report(url, kit.week)
    on_time = figures.overall.ends.on_time
    assert round(100 * on_time.value, 1) == 99.0
    assert on_time.value < 0.99
    (said,) = [text for text in lead(figures) if "The objective of 99.0" in text]
    assert said.startswith("98.99")


def test_too_few_canaries_are_the_reason_that_is_given_for_no_evidence_whatever_the_interval_is():
    clear = change.of_share(10, 33, 30, 33, more_is_better=True)
    assert clear.interval.high < 0
    assert words.change_of_share(clear) == "no evidence of change: too few canaries (33)"


def test_what_is_not_measured_has_neither_met_nor_missed_its_objective(kit, tmp_path):
    url = kit.write_past(tmp_path, kit.checks, days=15)
    with file_of(url) as connection:
        connection.execute("update canaries set verdict = 'unknown', outcome = 'unobserved' where seq % 8 = 0")
    said = lead(kit.report(url, kit.week))
    assert not [text for text in said if "objective" in text]
    assert any(text.startswith("Of those whose fate is known, ") for text in said)


def test_made_up_canaries_among_real_ones_are_counted_as_some_of_them(kit, tmp_path):
    url = kit.write_past(tmp_path, kit.checks, days=15)
    since = kit.week.since.timestamp()
    with file_of(url) as connection:
        connection.execute("update canaries set seq = seq + 1000000 where started_wall >= ?", (since + 3 * 86400,))
    figures = kit.report(url, kit.week)
    with file_of(url) as connection:
        query = "select count(*) from canaries where seq < 0 and started_wall >= ?"
        (made_up,) = connection.execute(query, (since,)).fetchone()
    assert figures.simulated_canaries == made_up == 3 * 96 * 4
    assert any(
        text.startswith("Simulated history: 1\N{NARROW NO-BREAK SPACE}152 of these are") for text in lead(figures)
    )


def test_a_real_week_that_is_compared_with_made_up_ones_says_so(kit, tmp_path):
    url = kit.write_past(tmp_path, kit.checks, days=15)
    with file_of(url) as connection:
        query = "update canaries set seq = seq + 1000000 where started_wall >= ?"
        connection.execute(query, (kit.week.since.timestamp(),))
    figures = kit.report(url, kit.week)
    assert (figures.simulated, figures.simulated_canaries, figures.simulated_before) == (False, 0, True)
    assert any("compared with, have simulated canaries" in text for text in lead(figures))


def test_a_week_of_a_made_up_past_names_the_site_of_that_past(figures):
    assert figures.site == "ams1"


@pytest.mark.parametrize(
    ("about", "said"),
    [
        (lambda kit: period.week("2020-W01", kit.zone), "Monday 30 December 2019 to Sunday 5 January 2020, "),
        (lambda kit: kit.week, "Monday 16 November to Sunday 22 November 2026, "),
        (
            lambda kit: period.between(datetime(2026, 11, 26, 10, tzinfo=kit.zone), kit.now.astimezone(kit.zone)),
            "Thursday 26 November 2026 10:00 to Thursday 26 November 2026 13:00, ",
        ),
    ],
)
def test_the_subtitle_tells_years_where_they_differ_and_times_where_it_is_not_whole_days(kit, past, about, said):
    assert forms.document(kit.report(past, about(kit))).subtitle.startswith(said)


def test_a_share_of_nothing_is_no_share():
    assert words.share(Share(0, 0), 0.99) == "- (0 of 0)"


def test_what_ends_in_years_is_counted_in_a_line_and_what_ends_nobody_knows_when_is_listed(kit, past):
    now = kit.now.timestamp()
    ends = [Ahead(what=f"certificate {year}", when=now + year * 365.25 * 86400, fix="renew it") for year in (3, 4)]
    soon = Ahead(what="the secret of app", when=now + 20 * 86400, fix="make a new one")
    undated = Ahead(what="the secret of other", when=None, fix="say when")
    outlook = Outlook.of([ends[1], undated, soon, ends[0]], now)
    assert (outlook.soon, outlook.later) == ([soon, undated], ends)
    assert outlook.rest() == "2 more, none before 2029-11-26."
    assert Outlook.of(ends[:1], now).rest() == "Nothing ends within 90 days; 1 later, none before 2029-11-26."
    said = forms.write(kit.report(past, kit.week, ahead=[soon, *ends, undated]), ["text"])["text"].decode()
    assert "certificate 3" not in said
    assert "2026-12-16  the secret of app" in said
    assert "not known   the secret of other" in said
