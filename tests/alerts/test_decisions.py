"""Who is told what, and when: one page for one cause, one when it is over, and none that is not true."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.alerts import ONCALL, TEAM, Desk, a_problem, a_refusal, a_scene, ill, quiet, well
from support.make import T0

from agent.alerts.incident import dump, load
from agent.alerts.policy import Policy, Route
from agent.alerts.signs import BLIND_AFTER
from checks.core.model import Outcome, Verdict

CONNECTOR = a_refusal(550, "5.7.64")
DIRECT_OFF = a_refusal(550, "5.7.68")


def blind(name: str, seconds: float = BLIND_AFTER, **check: object):
    return replace(well(name, **check), verdict=Verdict.UNKNOWN, blind_for=seconds)


def only(*routes: Route, **more: object) -> Desk:
    return Desk(policy=Policy(**{"routes": routes, "group_wait": 0.0, **more}))


def test_a_broken_path_pages_once_and_resolves_once():
    desk = only(ONCALL)
    broken = ill("relay", attempt=CONNECTOR)
    title = "Path relay: the connector does not recognise us (550 5.7.64)"
    assert desk.see(a_scene(broken, well("graph"))) == [("opened", "oncall", title)]
    for later in range(5, 60, 5):
        assert desk.see(a_scene(broken, well("graph"), now=T0 + later)) == []
    assert desk.see(a_scene(well(after=broken, times=1), well("graph"), now=T0 + 60)) == []
    assert desk.see(a_scene(well(after=broken, times=2), well("graph"), now=T0 + 70)) == [("resolved", "oncall", title)]
    assert desk.see(a_scene(well("relay"), well("graph"), now=T0 + 80)) == []
    assert [page.page.key for page in desk.pages] == ["relaycanary/ams1/i1"] * 2


def test_one_failure_pages_nobody():
    desk = only(ONCALL, TEAM)
    assert desk.see(a_scene(ill("relay", times=1), well("graph"))) == []
    assert desk.open == []


def test_a_page_says_everything_that_a_person_who_is_woken_needs():
    desk = only(ONCALL, status_url="https://canary.example")
    desk.see(a_scene(ill("relay", attempt=CONNECTOR), ill("slow", Outcome.LATE), well("graph")))
    page = desk.pages[0].page
    assert page.severity == "critical"
    assert page.began == T0 - 60
    assert page.said == "550 5.7.64 said the server"
    assert "inbound connector" in page.meaning
    assert "SenderIPAddresses" in page.fix
    assert page.source.startswith("learn.microsoft.com/")
    assert [(one.check, one.state) for one in page.affected] == [("relay", "fail, rejected, 2 in a row")]
    assert page.works == ("graph",)
    assert page.evidence.startswith("https://canary.example/canaries/canary")
    assert page.status == "https://canary.example/"


def test_a_page_waits_for_what_fails_with_it_but_no_longer_than_its_checks_need():
    desk = only(ONCALL, group_wait=15.0)
    scene = a_scene(ill("relay", attempt=CONNECTOR), ill("direct", times=1), well("graph"))
    assert desk.see(scene) == []
    assert desk.last.again_in == 15.0
    later = a_scene(ill("relay", attempt=CONNECTOR), ill("direct", attempt=DIRECT_OFF), well("graph"), now=T0 + 15)
    assert len(desk.see(later)) == 1
    hurried = only(ONCALL, group_wait=900.0)
    assert hurried.see(scene) == []
    assert hurried.last.again_in == 60.0  # its `every`


def test_a_clock_that_is_set_back_holds_no_page_back():
    desk = only(ONCALL, group_wait=15.0)
    relay, graph = ill("relay", attempt=CONNECTOR), well("graph")
    assert desk.see(a_scene(relay, graph)) == []
    assert [event for event, _, _ in desk.see(a_scene(relay, graph, now=T0 + 5 - 3600))] == ["opened"]
    assert desk.last.again_in is None


def test_a_clock_that_is_set_back_keeps_nobody_from_being_told_that_it_grew():
    desk = only(ONCALL)
    relay, graph, direct = ill("relay", attempt=CONNECTOR), ill("graph", Outcome.LOST), ill("direct", Outcome.DEFERRED)
    desk.see(a_scene(relay, well("graph"), well("direct")))
    assert desk.see(a_scene(relay, graph, direct, now=T0 + 10)) == []
    assert [event for event, _, _ in desk.see(a_scene(relay, graph, direct, now=T0 - 3600))] == ["changed"]


def test_what_is_over_before_the_page_goes_out_pages_nobody():
    desk = only(ONCALL, group_wait=15.0)
    broken = ill("relay")
    assert desk.see(a_scene(broken)) == []
    assert desk.see(a_scene(well(after=broken, times=2), now=T0 + 10)) == []
    assert desk.open == []
    assert desk.see(a_scene(well("relay"), now=T0 + 100)) == []


def test_everything_broken_at_once_is_one_page_and_one_resolution_though_it_comes_and_goes_piece_by_piece():
    desk = only(ONCALL, group_wait=15.0)
    names = ("relay", "direct", "submission", "graph")
    broken = {name: ill(name, attempt=a_refusal(451, "4.3.2"), outcome=Outcome.DEFERRED) for name in names}
    told = []
    for step, name in enumerate(names):  # one after the other they reach their second failure
        now = [
            broken[one] if one in names[: step + 1] else replace(broken[one], streaks={Verdict.FAIL: 1})
            for one in names
        ]
        told += desk.see(a_scene(*now, now=T0 + 3 * step))
        assert name
    told += desk.see(a_scene(*broken.values(), now=T0 + 15))
    told += desk.see(a_scene(*broken.values(), now=T0 + 400))
    for step in range(len(names)):  # and one after the other they pass again
        back = [well(after=broken[one]) if place <= step else broken[one] for place, one in enumerate(names)]
        told += desk.see(a_scene(*back, now=T0 + 500 + step))
    title = "No path delivers mail at site ams1"
    assert told == [("opened", "oncall", title), ("resolved", "oncall", title)]


def test_two_causes_at_once_are_two_pages_and_each_resolves_by_itself():
    desk = only(ONCALL)
    relay, direct = ill("relay", attempt=CONNECTOR), ill("direct", attempt=DIRECT_OFF)
    assert len(desk.see(a_scene(relay, direct, well("graph")))) == 2
    assert [event for event, _, _ in desk.see(a_scene(well(after=relay), direct, well("graph"), now=T0 + 60))] == [
        "resolved"
    ]
    assert [one.subject for one in desk.open] == ["direct.example"]


def test_an_incident_that_grows_into_the_whole_site_is_told_as_that_under_the_same_key():
    desk = only(ONCALL)
    relay = ill("relay", attempt=CONNECTOR)
    desk.see(a_scene(relay, well("graph")))
    grown = a_scene(relay, ill("graph", Outcome.DEFERRED), now=T0 + 30)
    assert desk.see(grown) == []  # a change is told when nothing has been told for a while
    told = desk.see(replace(grown, now=T0 + 301))
    assert told == [("changed", "oncall", "No path delivers mail at site ams1")]
    assert {page.page.key for page in desk.pages} == {"relaycanary/ams1/i1"}


def test_incidents_that_turn_out_to_be_one_become_one_and_the_younger_is_resolved_with_a_word():
    desk = only(ONCALL)
    relay, direct = ill("relay", attempt=CONNECTOR), ill("direct", attempt=DIRECT_OFF)
    desk.see(a_scene(relay, direct, well("graph")))
    told = desk.see(a_scene(relay, direct, ill("graph", Outcome.DEFERRED), now=T0 + 400))
    assert sorted(event for event, _, _ in told) == ["changed", "resolved"]
    note = next(one.page.note for one in desk.pages if one.page.event == "resolved")
    assert (
        note == "It turned out to be part of something larger, and goes on there: No path delivers mail at site ams1."
    )
    assert len(desk.open) == 1
    assert {one.check for one in desk.open[0].ill} == {"relay", "direct", "graph"}


def test_when_most_is_over_the_rest_is_told_as_what_it_is_once_it_has_failed_again():
    desk = only(ONCALL)
    relay, graph = ill("relay", attempt=CONNECTOR), ill("graph", Outcome.DEFERRED)
    desk.see(a_scene(relay, graph))
    back = well("graph", after=graph)
    assert desk.see(a_scene(relay, back, now=T0 + 400)) == []  # relay may be about to recover as well
    again = ill("relay", attempt=CONNECTOR)
    told = desk.see(a_scene(again, back, now=T0 + 410))
    assert told == [("changed", "oncall", "Path relay: the connector does not recognise us (550 5.7.64)")]


def test_unknown_canaries_between_failures_neither_open_nor_close_anything():
    desk = only(ONCALL)
    broken = ill("relay", attempt=CONNECTOR)
    desk.see(a_scene(broken, well("graph")))
    puzzled = replace(broken, verdict=Verdict.UNKNOWN, streaks={**broken.streaks, Verdict.UNKNOWN: 1})
    assert desk.see(a_scene(puzzled, well("graph"), now=T0 + 60)) == []
    assert len(desk.open) == 1


def test_blindness_has_an_incident_of_its_own_that_warns_and_wakes_somebody_only_after_an_hour():
    desk = only(ONCALL, TEAM)
    scene = a_scene(blind("relay"), well("graph", mailbox="other"))
    assert desk.see(scene) == [("opened", "team", "Mailbox inbox cannot be read: 1 check is blind")]
    long = a_scene(blind("relay", 3600.0), well("graph", mailbox="other"), now=T0 + 3600)
    assert sorted(desk.see(long)) == [
        ("opened", "oncall", "Mailbox inbox cannot be read: 1 check is blind"),
        ("worse", "team", "Mailbox inbox cannot be read: 1 check is blind"),
    ]
    back = a_scene(well("relay"), well("graph", mailbox="other"), now=T0 + 3700)
    assert sorted(event for event, _, _ in desk.see(back)) == ["resolved", "resolved"]


def test_an_agent_that_is_offline_wakes_somebody_and_one_path_that_it_cannot_try_does_not():
    desk = only(ONCALL, TEAM)
    untried = a_scene(ill("relay", Outcome.LOCAL_FAULT), ill("graph", Outcome.LOCAL_FAULT))
    assert {route for _, route, _ in desk.see(untried)} == {"oncall", "team"}
    other = only(ONCALL, TEAM)
    assert {route for _, route, _ in other.see(a_scene(ill("relay", Outcome.LOCAL_FAULT), well("graph")))} == {"team"}


def test_a_blind_mailbox_hides_no_refusal():
    desk = only(ONCALL)
    both = replace(ill("relay", attempt=CONNECTOR, verdict=Verdict.UNKNOWN), blind_for=BLIND_AFTER)
    told = desk.see(a_scene(both, well("graph", mailbox="other")))
    assert [title for _, _, title in told] == ["Path relay: the connector does not recognise us (550 5.7.64)"]


def test_what_comes_late_wakes_nobody():
    desk = only(ONCALL, TEAM)
    assert [(event, route) for event, route, _ in desk.see(a_scene(ill("relay", Outcome.LATE), well("graph")))] == [
        ("opened", "team")
    ]


def test_mail_that_vanishes_warns_when_it_is_overdue_and_pages_when_it_is_lost():
    desk = only(ONCALL, TEAM)
    overdue = replace(well("relay", times=0), verdict=Verdict.WARN, overdue=1, overdue_since=T0 - 70)
    assert desk.see(a_scene(overdue, well("graph"))) == [("opened", "team", "Mail by path relay is overdue")]
    lost = replace(ill("relay", Outcome.LOST), verdict=Verdict.WARN, overdue=5)
    told = desk.see(a_scene(lost, well("graph"), now=T0 + 660))
    title = "Mail by path relay is accepted and does not arrive"
    assert told == [("opened", "oncall", title), ("worse", "team", title)]
    assert desk.pages[-1].page.began == T0 - 70


def test_what_gets_better_without_being_well_is_over_for_those_who_only_hear_of_failures():
    desk = only(ONCALL, TEAM)
    graph = well("graph")
    desk.see(a_scene(ill("relay", attempt=CONNECTOR), graph))
    late = ill("relay", Outcome.LATE, times=3)
    late = replace(late, better={Verdict.FAIL: 3})
    told = desk.see(a_scene(late, graph, now=T0 + 600))
    assert [(event, route) for event, route, _ in told] == [("resolved", "oncall"), ("changed", "team")]
    assert desk.pages[-2].page.note == "It does not fail any more, but is not well yet: Path relay delivers, but late."
    assert desk.see(a_scene(well(after=late), well("graph"), now=T0 + 700))[0][:2] == ("resolved", "team")


def test_a_silenced_check_tells_nobody_until_the_silence_is_over():
    desk = only(ONCALL)
    scene = a_scene(ill("relay", attempt=CONNECTOR), well("graph"))
    assert desk.see(quiet(scene, "relay")) == []
    assert len(desk.open) == 1
    assert [event for event, _, _ in desk.see(replace(scene, now=T0 + 3600))] == ["opened"]


def test_what_is_over_within_a_silence_is_never_told():
    desk = only(ONCALL)
    broken = ill("relay", attempt=CONNECTOR)
    desk.see(quiet(a_scene(broken, well("graph")), "relay"))
    assert desk.see(a_scene(well(after=broken), well("graph"), now=T0 + 60)) == []


def test_whoever_was_woken_is_told_that_it_is_over_silenced_or_not():
    desk = only(ONCALL)
    broken = ill("relay", attempt=CONNECTOR)
    desk.see(a_scene(broken, well("graph")))
    told = desk.see(quiet(a_scene(well(after=broken), well("graph"), now=T0 + 60), "relay"))
    assert [event for event, _, _ in told] == ["resolved"]


def test_a_silence_about_one_check_does_not_silence_an_incident_of_two():
    desk = only(ONCALL)
    scene = a_scene(ill("relay", attempt=CONNECTOR), ill("graph", Outcome.DEFERRED))
    assert [event for event, _, _ in desk.see(quiet(scene, "relay"))] == ["opened"]


def test_a_check_that_the_settings_lose_is_not_called_well():
    desk = only(ONCALL)
    desk.see(a_scene(ill("relay", attempt=CONNECTOR), well("graph")))
    desk.see(a_scene(well("graph"), now=T0 + 60))
    assert desk.pages[-1].page.event == "resolved"
    assert "nothing has shown that it is well" in desk.pages[-1].page.note


def test_a_new_channel_is_told_of_what_is_open():
    desk = only(ONCALL)
    scene = a_scene(ill("relay", attempt=CONNECTOR), well("graph"))
    desk.see(scene)
    desk.policy = replace(desk.policy, routes=(ONCALL, TEAM))
    assert [(event, route) for event, route, _ in desk.see(scene)] == [("opened", "team")]


def test_a_channel_that_took_nothing_is_told_so_when_it_is_over():
    desk = only(ONCALL)
    desk.sends = False
    broken = ill("relay", attempt=CONNECTOR)
    desk.see(a_scene(broken, well("graph")))
    desk.see(a_scene(well(after=broken), well("graph"), now=T0 + 60))
    assert desk.pages[-1].page.note == "This channel took no page while it lasted, so nobody was told here."


def test_a_failure_after_the_end_is_a_new_incident_with_a_key_of_its_own():
    desk = only(ONCALL)
    broken = ill("relay", attempt=CONNECTOR)
    for scene in (a_scene(broken), a_scene(well(after=broken)), a_scene(ill("relay", attempt=CONNECTOR))):
        desk.see(scene)
    assert [page.page.key[-2:] for page in desk.pages] == ["i1", "i1", "i2"]


def test_an_incident_is_read_back_as_it_was_written():
    desk = only(ONCALL)
    desk.see(a_scene(ill("relay", attempt=CONNECTOR), well("graph")))
    assert [load(dump(one)) for one in desk.open] == desk.open


STATES = st.sampled_from(["well", "fail", "late", "unknown", "blind", "once", "gone"])


def _signs(name: str, state: str):
    match state:
        case "well":
            return well(name, times=2)
        case "fail":
            return ill(name, Outcome.DEFERRED)
        case "late":
            return replace(ill(name, Outcome.LATE), better={Verdict.FAIL: 2})
        case "unknown":
            return replace(ill(name, Outcome.LOCAL_FAULT), problems={Verdict.UNKNOWN: a_problem(Outcome.LOCAL_FAULT)})
        case "blind":
            return blind(name)
        case "once":
            return ill(name, times=1)
    return None


@given(st.lists(st.tuples(STATES, STATES, STATES, st.booleans()), min_size=1, max_size=12))
@settings(max_examples=100)
def test_whatever_happens_pages_come_in_order_and_the_end_is_quiet(story):
    desk = Desk(policy=Policy(routes=(ONCALL, TEAM, Route(name="log", severity="info")), group_wait=15.0))
    names = ("relay", "graph", "direct")
    for step, (*states, muted) in enumerate(story):
        checks = [made for name, state in zip(names, states, strict=True) if (made := _signs(name, state))]
        scene = a_scene(*checks, now=T0 + 20 * step)
        desk.see(quiet(scene, "relay") if muted else scene)
        assert desk.see(quiet(scene, "relay") if muted else scene) == [], "the same again is no news"
        failing = {name for name, state in zip(names, states, strict=True) if state == "fail"}
        held = {one.check for incident in desk.open for one in incident.ill if one.kind is Verdict.FAIL}
        assert failing <= held, "every failure is in an open incident"
        members = [(one.check, one.unknown) for incident in desk.open for one in incident.ill]
        assert len(members) == len(set(members)), "no trouble is told twice"
    desk.see(a_scene(*(well(name) for name in names), now=T0 + 100_000))
    assert desk.open == []
    seen: dict[tuple[str, str], list[str]] = {}
    for one in desk.pages:
        seen.setdefault((one.incident, one.route), []).append(one.page.event.value)
    for events in seen.values():
        assert events[0] == "opened"
        assert events[-1] == "resolved"
        for before, after in itertools.pairwise(events):
            assert (after == "opened") == (before == "resolved")


@pytest.mark.parametrize("severity", ["info", "warning", "critical"])
def test_a_check_is_told_at_its_own_severity(severity):
    desk = only(ONCALL, TEAM, Route(name="log", severity="info"))
    broken = ill("relay", attempt=CONNECTOR)
    broken = replace(broken, check=replace(broken.check, severity=severity))
    told = {route for _, route, _ in desk.see(a_scene(broken, well("graph")))}
    assert told == {"info": {"log"}, "warning": {"log", "team"}, "critical": {"log", "team", "oncall"}}[severity]
