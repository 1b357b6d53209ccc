"""Every figure of a report, computed a second time from the ledger's rows by other means, is the same."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict

import numpy as np
import pytest

from agent.report import period
from checks.core.stats import newcombe

SEEN = {"delivered", "late", "junk", "degraded"}


@pytest.fixture(scope="module")
def rows(past):
    """All canaries with the path of their check, as dictionaries, straight from the file."""
    with sqlite3.connect(past.removeprefix("sqlite:///")) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute('select c.*, s."check" from canaries c join specs s on s.id = c.spec').fetchall()
    return [{**dict(row), "path": json.loads(row["check"])["path"]} for row in found]


def within(rows, since, until):
    return [row for row in rows if since <= row["started_wall"] < until]


@pytest.fixture(scope="module")
def week(rows, kit):
    return within(rows, kit.week.since.timestamp(), kit.week.until.timestamp())


def of_path(rows, path):
    return [row for row in rows if path in ("", row["path"])]


def shown(figures):
    return [*figures.paths, figures.overall]


def test_the_week_has_something_of_everything(week):
    assert len(week) == 7 * 96 * 4
    assert {row["outcome"] for row in week} == {"delivered", "junk", "auth_failed"}


def test_every_path_of_the_week_is_told(figures, week):
    assert [path.path for path in figures.paths] == sorted({row["path"] for row in week})


def test_counts_are_those_of_the_rows(figures, week):
    for path in shown(figures):
        mine = of_path(week, path.path)
        outcomes = Counter(row["outcome"] for row in mine)
        assert path.ends.started == path.ends.concluded == len(mine)
        assert path.ends.outcomes == outcomes
        measured = [row for row in mine if row["verdict"] != "unknown"]
        assert path.ends.measured == len(measured)
        assert (path.ends.junk.n, path.ends.junk.of) == (outcomes["junk"], len(measured))
        assert path.ends.refused.n == outcomes["auth_failed"]
        assert path.ends.on_time.n == sum(row["verdict"] == "pass" for row in mine)
        assert path.objective.failed == len(measured) - path.ends.on_time.n
        assert path.objective.allowed == pytest.approx(0.01 * len(measured))


def test_latencies_are_those_of_the_rows(figures, week):
    for path in shown(figures):
        mine = [row for row in of_path(week, path.path) if row["outcome"] in SEEN]
        for told, column in ((path.latency, "end_to_end"), (path.gap, "observation_gap")):
            wanted = np.quantile([row[column] for row in mine], (0.5, 0.95, 0.99))
            assert told.n == len(mine)
            assert (told.p50, told.p95, told.p99) == pytest.approx(tuple(wanted))


def test_stages_are_those_of_the_attempts_that_were_accepted(figures, week):
    for path in shown(figures):
        seconds = defaultdict(list)
        for row in of_path(week, path.path):
            attempt = json.loads(row["attempt"])
            if row["attempt_kind"] == "accepted":
                for timing in attempt["transcript"]["stages"]:
                    seconds[timing["stage"]].append(timing["seconds"])
        assert set(path.stages) == set(seconds)
        for stage, told in path.stages.items():
            wanted = np.quantile(seconds[stage], (0.5, 0.95, 0.99))
            assert told.n == len(seconds[stage])
            assert (told.p50, told.p95, told.p99) == pytest.approx(tuple(wanted))


def test_hours_and_days_are_those_of_the_rows(figures, week):
    by_hour = defaultdict(list)
    by_day = defaultdict(Counter)
    for row in week:
        hour = int((row["started_wall"] - figures.since) // 3600)
        day = np.datetime64(int(row["started_wall"]) + 3600, "s").astype("datetime64[D]")  # Amsterdam in November
        by_day[str(day)][row["verdict"]] += 1
        if row["outcome"] in SEEN:
            by_hour[hour].append(row["end_to_end"])
    assert {one.hour: one.latency.p95 for one in figures.overall.hours} == pytest.approx(
        {hour: np.quantile(values, 0.95) for hour, values in by_hour.items()}
    )
    assert {one.day: +Counter(one.verdicts) for one in figures.overall.days} == by_day


def test_bars_count_the_canaries_of_each_day_by_what_became_of_them(figures, week):
    names = {"delivered": "passed", "junk": "junk", "auth_failed": "refused"}
    days = defaultdict(Counter)
    for row in week:
        day = np.datetime64(int(row["started_wall"]) + 3600, "s").astype("datetime64[D]")  # Amsterdam in November
        days[str(day)][names[row["outcome"]]] += 1
    assert {one.day: +Counter(one.ends) for one in figures.overall.days} == days


def test_changes_of_shares_are_newcombes_of_the_counts_of_both_periods(figures, rows, week, kit):
    since = kit.week.since.timestamp()
    spans = {"the week before": since - 7 * 86400, "the 4 weeks before": since - 28 * 86400}
    for path in shown(figures):
        now = of_path(week, path.path)
        assert [change.against for change in path.changes] == list(spans)
        for change in path.changes:
            # the clocks went back on 25 October: the week before and the four before begin in another offset
            begin = spans[change.against] - (3600 if change.against != "the week before" else 0)
            before = [row for row in of_path(within(rows, begin, since), path.path) if row["verdict"] != "unknown"]
            good_now = sum(row["verdict"] == "pass" for row in now)
            good_before = sum(row["verdict"] == "pass" for row in before)
            wanted = newcombe(good_now, len(now), good_before, len(before))
            assert (change.on_time.n, change.on_time.n_before) == (len(now), len(before))
            assert change.on_time.interval == wanted


def test_the_change_of_the_95th_percentile_agrees_with_the_rows_to_three_digits(figures, rows, week, kit):
    since = kit.week.since.timestamp()
    before = [row for row in within(rows, since - 7 * 86400, since) if row["outcome"] in SEEN]
    for path in shown(figures):
        change = path.changes[0].p95
        for told, mine in ((change.now, week), (change.before, before)):
            seconds = [row["end_to_end"] for row in of_path(mine, path.path) if row["outcome"] in SEEN]
            assert told == pytest.approx(np.quantile(seconds, 0.95), rel=0.02)
        assert change.interval.low <= change.difference <= change.interval.high


def test_changes_of_stages_and_hops_are_those_of_the_rows_to_three_digits(figures, rows, week, past, kit):
    since = kit.week.since.timestamp()
    before = within(rows, since - 7 * 86400, since)
    with sqlite3.connect(past.removeprefix("sqlite:///")) as connection:
        read = connection.execute("select canary, findings from sightings where findings is not null").fetchall()
    hops = {canary: [hop.get("delay") for hop in json.loads(text)["hops"]] for canary, text in read}

    def stage(row, name):
        timings = json.loads(row["attempt"])["transcript"]["stages"] if row["attempt_kind"] == "accepted" else ()
        return [timing["seconds"] for timing in timings if timing["stage"] == name]

    for path in figures.paths:
        told = path.changes[0]
        assert set(told.stages) == set(path.stages)
        assert list(told.hops) == [2, 3, 4]
        for now, seconds_of in (
            *((change, lambda row, name=name: stage(row, name)) for name, change in told.stages.items()),
            *(
                (change, lambda row, hop=hop: hops.get(row["id"], [None] * 9)[hop - 1 : hop])
                for hop, change in told.hops.items()
            ),
        ):
            for value, n, mine in ((now.now, now.n, week), (now.before, now.n_before, before)):
                seconds = [one for row in of_path(mine, path.path) for one in seconds_of(row) if one is not None]
                assert n == len(seconds)
                assert value == pytest.approx(np.quantile(seconds, 0.95), rel=0.02, abs=1e-8)
            assert now.interval.low <= now.interval.high


def test_refusals_are_counted_by_reply_and_explained(figures, week):
    refused = [row for row in week if row["outcome"] == "auth_failed"]
    (told,) = figures.refusals
    assert (told.n, told.code, told.enhanced, told.stage) == (len(refused), 535, "5.7.139", "auth")
    assert (told.first, told.last) == (refused[0]["started_wall"], refused[-1]["started_wall"])
    assert "SMTP AUTH" in told.meaning
    assert "Set-CASMailbox" in told.fix


def test_incidents_have_the_edges_of_the_failing_rows(figures, week):
    failing = [row for row in week if row["outcome"] == "auth_failed"]
    told = next(one for one in figures.incidents if one.path == "submission")
    after = next(row for row in week if row["path"] == "submission" and row["seq"] > failing[-1]["seq"])
    assert (told.began, told.ended) == (failing[0]["started_wall"], after["started_wall"])
    assert told.detected == pytest.approx(failing[1]["concluded_at"])
    assert told.failures == len(failing)
    assert "535 5.7.139" in told.words
    assert "Set-CASMailbox" in told.fix


def test_an_incident_without_words_of_a_server_is_explained_by_what_happened(figures):
    told = next(one for one in figures.incidents if one.outcome == "junk")
    assert told.meaning
    assert told.fix


@pytest.fixture(scope="module")
def headers(past, week):
    """What the headers of the week's canaries say, as (path, findings), read from the file."""
    paths = {row["id"]: row["path"] for row in week}
    with sqlite3.connect(past.removeprefix("sqlite:///")) as connection:
        found = connection.execute("select canary, findings from sightings where findings is not null").fetchall()
    return [(paths[canary], json.loads(text)) for canary, text in found if canary in paths]


def test_delays_from_hop_to_hop_are_those_of_the_headers(figures, headers):
    for path in figures.paths:
        mine = [found["hops"] for name, found in headers if name == path.path]
        assert [one.hop for one in path.hops] == [2, 3, 4]
        for one in path.hops:
            delays = [hops[one.hop - 1]["delay"] for hops in mine]
            assert one.latency.n == len(mine) > 0
            assert one.host == mine[-1][one.hop - 1]["by"]
            assert (one.latency.p50, one.latency.p99) == pytest.approx(tuple(np.quantile(delays, (0.5, 0.99))))


def test_what_receivers_stamped_is_counted_by_mechanism_and_result(figures, headers):
    for path in shown(figures):
        stamped = defaultdict(Counter)
        for name, found in headers:
            if path.path in ("", name):
                for mechanism, result in found["results"].items():
                    stamped[mechanism][result] += 1
        assert path.authentication == stamped
        passed = {one: (counts["pass"], counts.total()) for one, counts in stamped.items()}
        assert {one: (share.n, share.of) for one, share in path.weeks[-1].authentication.items()} == passed


def test_what_the_filter_said_is_counted_by_its_level(figures, headers):
    for path in shown(figures):
        mine = [found for name, found in headers if path.path in ("", name)]
        assert path.filtering.scl == Counter(str(found["scl"]) for found in mine)
        marked = sum("marked_junk" in found for found in mine)
        assert (path.filtering.junk.n, path.filtering.junk.of) == (marked, len(mine))
    assert next(path for path in figures.paths if path.path == "direct").filtering.junk.n > 0


def test_the_weeks_of_a_trend_are_those_of_the_rows(figures, rows, kit):
    names = ["2026-W43", "2026-W44", "2026-W45", "2026-W46", "2026-W47"]
    for path in shown(figures):
        assert [week.name for week in path.weeks] == names
        for week in path.weeks:
            until = period.week(week.name, kit.zone).until.timestamp()
            mine = [row for row in of_path(within(rows, week.since, until), path.path) if row["verdict"] != "unknown"]
            assert (week.junk.n, week.junk.of) == (sum(row["outcome"] == "junk" for row in mine), len(mine))
            assert week.on_time.n == sum(row["verdict"] == "pass" for row in mine)


def test_signatures_that_failed_for_two_days_are_seen_in_the_trend(figures):
    relay = next(path for path in figures.paths if path.path == "relay")
    failed = {week.name: week.authentication["dkim"].of - week.authentication["dkim"].n for week in relay.weeks}
    assert failed["2026-W46"] > 0
    assert failed["2026-W47"] == failed["2026-W45"] == 0
    assert all(week.authentication["spf"].value == 1.0 for week in relay.weeks)
