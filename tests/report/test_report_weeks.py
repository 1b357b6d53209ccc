"""Weeks that are not like the others: empty, the first, one with a hole, one that nobody observed, one under way."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest
from support.make import a_check

from agent.report import forms, period
from agent.report.change import Direction
from checks.core.model import Limits


def lead(figures):
    return [paragraph.text for paragraph in forms.document(figures).lead]


def everything_can_be_written(figures):
    written = forms.write(figures, forms.FORMS)
    assert all(written[form] for form in forms.FORMS)
    json.loads(written["json"])
    return written


def test_a_week_without_a_canary_says_that_nothing_is_known(kit, tmp_path):
    url = kit.write_past(tmp_path, kit.checks, days=1)
    figures = kit.report(url, kit.week)
    assert figures.overall.ends.started == 0
    assert lead(figures) == ["No canary was sent in this period: nothing is known about the mail."]


def test_a_ledger_without_any_canary_has_a_report_too(kit, tmp_path):
    figures = kit.report(kit.write_past(tmp_path, [], days=1), kit.week)
    assert (figures.first, figures.paths, figures.overall.ends.started) == (None, [], 0)
    written = everything_can_be_written(figures)
    assert b"Everything was observed" not in written["text"]


def test_the_first_week_has_nothing_to_compare_with_and_begins_with_its_first_canary(kit, tmp_path):
    url = kit.write_past(tmp_path, kit.checks, days=8)
    figures = kit.report(url, kit.week)
    assert figures.first > figures.since
    for change in figures.overall.changes:
        assert change.on_time.direction is change.p95.direction is Direction.UNPROVEN
    assert not [one for one in figures.unobserved if one.began < figures.first]


def test_a_week_with_a_hole_names_the_hole_and_leaves_it_out_of_the_charts(kit, tmp_path):
    url = kit.write_past(tmp_path, kit.checks, days=15)
    since = kit.week.since.timestamp()
    begin, end = since + 50 * 3600, since + 74 * 3600
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("delete from canaries where started_wall >= ? and started_wall < ?", (begin, end))
    figures = kit.report(url, kit.week)
    (hole,) = [one for one in figures.unobserved if one.what == "every path"]
    assert hole.began == pytest.approx(begin, abs=300)  # when the next canary would have been due
    assert hole.ended == end
    assert not [one.hour for one in figures.overall.hours if 50 <= one.hour < 74]
    assert figures.overall.ends.started == 144 * 4 * 4
    everything_can_be_written(figures)


def test_an_incident_of_a_check_that_was_taken_out_of_the_settings_is_not_called_open_nor_mended(kit, tmp_path):
    url = kit.write_past(tmp_path, kit.checks, days=8)
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        late = kit.week.until.timestamp() - 3600
        failed = "update canaries set verdict = 'fail', outcome = 'rejected' where name = 'direct' and started_wall > ?"
        assert connection.execute(failed, (late,)).rowcount
    mended = "nobody has seen it mended"
    known = {one.name: one for one in kit.checks}
    moved = replace(known["direct"], path="another")
    for check, wanted in ((known["direct"], "still open"), (known["relay"], mended), (moved, mended)):
        figures = kit.report(url, kit.week, checks=[check])
        (incident,) = [one for one in figures.incidents if one.path == "direct" and one.outcome == "rejected"]
        assert (incident.ended is None) is (check is known["direct"])
        written = everything_can_be_written(figures)
        assert wanted in " ".join(written["text"].decode().split())


def test_the_two_hours_in_which_no_mailbox_was_read_are_told_with_the_canaries_that_were_not_observed(past, kit):
    figures = kit.report(past, period.week("2026-W46", kit.zone))
    blind = [one for one in figures.unobserved if one.what.startswith("mailbox")]
    assert {one.what for one in blind} == {"mailbox inbox", "mailbox outside"}
    assert {one.ended - one.began for one in blind} == {7200.0}
    assert figures.overall.ends.unknown.n == 2 * 4 * 4
    assert list(figures.overall.unknown_reasons) == ["unobserved: nobody could look into the mailbox"]
    assert figures.overall.ends.is_measured


def test_a_period_with_over_a_tenth_of_unknown_verdicts_is_told_as_not_measured(kit, tmp_path):
    url = kit.write_past(tmp_path, kit.checks, days=15)
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("update canaries set verdict = 'unknown', outcome = 'unobserved' where seq % 8 = 0")
    figures = kit.report(url, kit.week)
    assert not figures.overall.ends.is_measured
    assert any(text.startswith("Not measured: 12.5") for text in lead(figures))


def test_a_week_that_is_under_way_says_so_and_ends_with_the_present(past, kit):
    figures = kit.report(past, period.week_of(kit.now, kit.zone))
    assert not figures.complete
    assert "This period is not over: the figures are those until now." in lead(figures)
    assert not [one for one in figures.unobserved if one.ended > kit.now.timestamp()]


def test_a_made_up_past_is_marked_in_every_form(figures):
    written = everything_can_be_written(figures)
    assert figures.simulated
    assert b"Simulated history" in written["html"]
    assert b"Simulated history" in written["text"]
    assert json.loads(written["json"])["simulated"] is True
    assert all(one["simulated"] for one in json.loads(written["json"])["incidents"])


def test_an_incident_that_goes_on_over_the_end_of_the_week_is_open_in_it_and_ends_in_the_next(past, kit):
    # the relay was refused from 2.3 days before the present on, for two and a half hours: cut a period through it
    middle = kit.now - timedelta(days=2.3, hours=-1)
    before = kit.report(past, period.between(middle - timedelta(days=1), middle))
    after = kit.report(past, period.between(middle, middle + timedelta(days=1)))
    (first,) = [one for one in before.incidents if one.path == "relay"]
    (second,) = [one for one in after.incidents if one.path == "relay"]
    assert first.ended is None
    assert second.began == pytest.approx(first.began)
    assert second.ended is not None


def test_a_ledger_of_400_days_has_the_report_of_any_of_its_weeks_and_of_all_of_them(kit, tmp_path):
    seldom = a_check("relay", limits=Limits(every=14400.0, late_after=60.0, lost_after=600.0))
    url = kit.write_past(tmp_path, [seldom], days=400, every=14400.0)
    oldest, newest = (kit.report(url, period.week(name, kit.zone)) for name in ("2025-W44", "2026-W47"))
    assert oldest.overall.ends.started == newest.overall.ends.started == 7 * 6
    assert [week.name for week in oldest.overall.weeks] == ["2025-W43", "2025-W44"]
    assert [week.name for week in newest.overall.weeks] == [f"2026-W{number}" for number in range(43, 48)]
    whole = kit.report(url, period.between(kit.now - timedelta(days=400), kit.now))
    assert whole.overall.ends.started == sum(sum(day.verdicts.values()) for day in whole.overall.days)
    # hours between two canaries of a check that is seldom due are no holes
    assert [one.what for one in whole.unobserved] == ["mailbox inbox"]
    everything_can_be_written(whole)


def test_thirty_paths_have_a_report_whose_charts_fit_on_its_pages(kit, tmp_path):
    checks = [a_check(f"check-{number}", path=f"path-{number}") for number in range(30)]
    figures = kit.report(kit.write_past(tmp_path, checks, days=11, every=7200.0), kit.week)
    assert len(figures.paths) == 30
    everything_can_be_written(figures)
    shown = [block.words for section in forms.document(figures).sections for block in section.blocks if words_of(block)]
    assert any("of 30, the 8 with most failures" in words for words in shown)


def words_of(block):
    return getattr(block, "words", "")
