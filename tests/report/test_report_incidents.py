"""From failures to incidents: what opens one, what ends it, and what is told as one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.report import incidents
from agent.report.incidents import Judged, OnPath

PATHS = {"relay": "relay", "relay-b": "relay", "direct": "direct"}


def life(verdicts, *, begin=0.0, every=60.0, outcome="rejected"):
    """One letter a canary: f fails, p passes; the conclusion comes 5 s after the start."""
    words = {"f": "fail", "p": "pass"}
    starts = [begin + place * every for place in range(len(verdicts))]
    return [Judged(f"c{at:g}", at, at + 5, words[one], outcome, "no") for at, one in zip(starts, verdicts, strict=True)]


def usual(check):
    """A check on the path that it has had all along."""
    return OnPath(check, PATHS[check])


def find(lives, *, after=2, failing_since=None, known=PATHS):
    return incidents.find(
        {usual(check): life for check, life in lives.items()},
        after=after,
        failing_since={usual(check): since for check, since in (failing_since or {}).items()},
        known={usual(check) for check in known},
    )


def edges(found):
    return [(one.began, one.detected, one.ended, one.failures) for one in found.incidents]


@pytest.mark.parametrize(
    ("verdicts", "wanted", "single"),
    [
        ("p", [], 0),
        ("fp", [], 1),
        ("ffp", [(0, 65, 120, 2)], 0),
        ("ff", [(0, 65, None, 2)], 0),
        ("fpf", [], 2),
        ("fffpfp", [(0, 65, 180, 3)], 1),
    ],
)
def test_as_many_failures_in_a_row_as_an_alert_needs_make_an_incident(verdicts, wanted, single):
    found = find({"relay": life(verdicts)})
    assert (edges(found), found.single_failures) == (wanted, single)


def test_an_incident_that_was_under_way_when_the_period_began_has_its_true_beginning():
    found = find({"relay": life("fp", begin=1000.0)}, failing_since={"relay": 400.0})
    assert edges(found) == [(400.0, 1005.0, 1060.0, 1)]


def test_failures_that_come_back_within_half_an_hour_are_one_incident_that_says_how_often():
    flapping = [*life("ffp"), *life("ffp", begin=1200.0), *life("ffp", begin=9000.0)]
    first, second = find({"relay": flapping}).incidents
    assert (first.began, first.ended, first.runs, first.failures) == (0, 1320, 2, 4)
    assert (second.began, second.runs) == (9000, 1)


def test_checks_of_one_path_that_fail_alike_at_the_same_time_are_one_incident():
    (one,) = find({"relay": life("ffp"), "relay-b": life("fffp", begin=30.0)}).incidents
    assert (one.checks, one.began, one.ended, one.failures) == (("relay", "relay-b"), 0, 210, 5)


def test_an_incident_of_several_checks_is_open_while_one_of_them_fails():
    (one,) = find({"relay": life("ffp"), "relay-b": life("ff", begin=30.0)}).incidents
    assert one.ended is None


def test_a_run_of_a_check_that_the_settings_do_not_have_is_over_with_its_last_failure_but_not_mended():
    (one,) = find({"relay": life("fff")}, known=["relay-b"]).incidents
    assert (one.ended, one.removed) == (125, True)
    (mended,) = find({"relay": life("fffp")}, known=["relay-b"]).incidents
    assert (mended.ended, mended.removed) == (180, False)


def test_what_fails_later_on_the_path_of_a_check_that_was_removed_is_another_incident_with_an_end_of_its_own():
    lives = {"relay": life("fff"), "relay-b": life("ffp", begin=86400.0)}
    first, second = find(lives, known=["relay-b"]).incidents
    assert (first.checks, first.ended, first.removed) == (("relay",), 125, True)
    assert (second.checks, second.ended, second.removed) == (("relay-b",), 86520, False)


@pytest.mark.parametrize(("verdicts", "ended"), [("ff", None), ("ffp", 210)])
def test_a_check_that_takes_the_place_of_a_removed_one_goes_on_with_its_incident_and_ends_it(verdicts, ended):
    lives = {"relay": life("fff"), "relay-b": life(verdicts, begin=90.0)}
    (one,) = find(lives, known=["relay-b"]).incidents
    assert (one.checks, one.failures, one.ended, one.removed) == (("relay", "relay-b"), 5, ended, False)


def test_what_fails_in_another_way_or_on_another_path_is_another_incident():
    found = find({"relay": life("ffp"), "relay-b": life("ffp", outcome="deferred"), "direct": life("ffp")})
    assert sorted((one.path, one.outcome) for one in found.incidents) == [
        ("direct", "rejected"),
        ("relay", "deferred"),
        ("relay", "rejected"),
    ]


def test_the_time_to_detect_runs_from_the_first_failing_canary_to_the_one_that_made_it_an_incident():
    (one,) = find({"relay": life("ffffp")}, after=3).incidents
    assert one.time_to_detect == 125


def said(words, *, begin=0.0, outcome="auth_failed"):
    return [
        Judged(f"c{begin + place * 60:g}", begin + place * 60, begin + place * 60 + 5, "fail", outcome, one)
        for place, one in enumerate(words)
    ]


BAD_LOGIN, EXPIRED = "535 5.7.3 Authentication unsuccessful", "401 AADSTS7000222: the secret is expired. Trace ID: {}"


def test_an_incident_that_lasts_speaks_of_its_newest_failure_and_says_how_it_began():
    words = [BAD_LOGIN, *(EXPIRED.format(place) for place in range(5))]
    (one,) = find({"relay": said(words)}).incidents
    assert (one.words, one.canary) == (EXPIRED.format(4), "c300")
    assert one.began_as == f"authentication failed; {BAD_LOGIN}"


def test_an_incident_that_is_over_speaks_of_its_most_frequent_cause_whatever_the_rest_of_the_words():
    words = [
        BAD_LOGIN,
        EXPIRED.format(1),
        BAD_LOGIN,
        EXPIRED.format(2),
        EXPIRED.format(3),
        BAD_LOGIN,
        EXPIRED.format(4),
    ]
    (one,) = find({"relay": [*said(words), *life("p", begin=600.0)]}).incidents
    assert (one.words, one.began_as) == (EXPIRED.format(4), f"authentication failed; {BAD_LOGIN}")


def test_of_two_causes_as_frequent_the_newer_one_speaks():
    (one,) = find({"relay": [*said([BAD_LOGIN, EXPIRED.format(1)]), *life("p", begin=600.0)]}).incidents
    assert one.words == EXPIRED.format(1)


def test_an_incident_whose_cause_stays_the_same_began_as_nothing_else():
    (one,) = find({"relay": said([EXPIRED.format(1), EXPIRED.format(2)])}).incidents
    assert one.began_as == ""


def test_an_incident_is_made_up_only_if_all_of_its_failures_are():
    made_up = [replace(one, simulated=True) for one in life("ffp")]
    assert [one.simulated for one in find({"relay": made_up}).incidents] == [True]
    assert [one.simulated for one in find({"relay": [made_up[0], *life("fp", begin=60.0)]}).incidents] == [False]
