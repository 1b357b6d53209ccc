"""The section `alerts`: what each kind of channel takes, and what maintenance may say."""

from __future__ import annotations

import pytest

from agent.config.alerts import Alerts
from agent.config.pieces import NAME
from agent.config.problems import SettingsError
from agent.config.render import effective

GOOD = """\
alerts:
  after: 3
  recover_after: 1
  group_wait: 30s
  channels:
    - {name: oncall, kind: pagerduty, routing_key: {file: token}, severity: critical}
    - {name: hook, kind: webhook, url: {file: token}, secret: {file: outside}, ca_file: authority.pem}
    - {url: {file: token}}
  maintenance:
    - {name: patches, schedule: 2nd tue 18:00, lasts: 3h, timezone: Europe/Amsterdam, checks: [relay]}
    - {name: line, schedule: daily 02:00, lasts: 10m, paths: [relay]}
  heartbeat: {url: {file: token}, every: 60s}
"""


def loaded(workspace, edited, alerts: str):
    return workspace.load(edited(("mailboxes:\n", f"{alerts}mailboxes:\n")))


def wrong(workspace, edited, alerts: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        loaded(workspace, edited, alerts)
    return [f"{one.key}: {one.message}" for one in caught.value.problems]


def test_channels_have_the_names_that_they_are_given_or_those_of_where_their_secrets_are_kept(workspace, edited):
    alerts = loaded(workspace, edited, GOOD).alerts
    *given, own = alerts.named
    assert given == ["oncall", "hook"]
    assert own.startswith("apprise-token-")
    assert alerts.former_names == {own: "channel3"}
    assert (alerts.after, alerts.recover_after, alerts.group_wait) == (3, 1, 30.0)
    assert [one.lasts for one in alerts.maintenance] == [10800.0, 600.0]


CHAT = {"url": {"env": "CHAT_URL"}}
PAGER = {"url": {"env": "PAGER_URL"}, "severity": "critical"}
US = {"kind": "pagerduty", "routing_key": {"file": "/run/secrets/pagerduty"}}
EU = {**US, "api_url": "https://events.eu.pagerduty.com"}


def names(*channels: dict[str, object]) -> list[str]:
    return list(Alerts.model_validate({"channels": channels}).named)


def test_a_channel_without_a_name_keeps_its_own_wherever_in_the_list_it_stands():
    chat, pager = names(CHAT, PAGER)
    assert (chat, pager) == ("apprise-chat_url-a30627", "apprise-pager_url-7c0c45")
    assert names(PAGER) == [pager]
    assert names(EU, PAGER, US, CHAT)[1::2] == [pager, chat]
    assert names({**PAGER, "severity": "info"}) == [pager]


def test_channels_that_go_to_other_places_have_other_names():
    hook = {"kind": "webhook", **CHAT}
    elsewhere = {"url": {"file": "/a/CHAT_URL"}}, {"url": {"file": "/b/CHAT_URL"}}
    found = names(CHAT, hook, *elsewhere, EU, US)
    assert len(set(found)) == len(found)


def test_channels_that_go_to_the_same_place_are_numbered():
    (first,) = names(CHAT)
    assert names(CHAT, PAGER, CHAT, {"name": "team", **CHAT}, CHAT)[2:] == [f"{first}-2", "team", f"{first}-3"]


@pytest.mark.parametrize(
    "place",
    [{"env": "A" * 200}, {"file": "/x/" + "b" * 200}, {"file": "/"}, {"env": "ПЕЙДЖЕР"}, {"file": "/x/päge r.url"}],
)
def test_the_own_name_of_a_channel_is_safe_in_a_metric(place):
    for name in names({"url": place}, {"url": place}, {"kind": "pagerduty", "routing_key": place}):
        assert NAME.fullmatch(name)


def test_the_effective_settings_mean_the_same_when_they_are_read_again(workspace, edited):
    first = loaded(workspace, edited, GOOD)
    shown = effective(first)
    assert "hunter2" not in shown
    assert workspace.load(shown).alerts == first.alerts


def test_two_bad_ones_in_a_row_alert_and_two_good_ones_end_it_by_default(workspace, edited):
    alerts = workspace.load(edited()).alerts
    assert (alerts.after, alerts.recover_after, alerts.group_wait) == (2, 2, 15.0)


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ("{severity: critical}", "a channel of kind apprise needs url"),
        ("{kind: webhook}", "a channel of kind webhook needs url"),
        ("{kind: pagerduty}", "a channel of kind pagerduty needs routing_key"),
        ("{url: {file: token}, secret: {file: token}}", "a channel of kind apprise has no secret; it has url"),
        (
            "{kind: pagerduty, routing_key: {file: token}, url: {file: token}}",
            "a channel of kind pagerduty has no url; it has routing_key, api_url, ca_file",
        ),
        ("{kind: slack, url: {file: token}}", "'slack' is not one of apprise, webhook, pagerduty"),
        ("{name: heartbeat, url: {file: token}}", "'heartbeat' is the name of the heartbeat"),
        ("{name: 'a b', url: {file: token}}", "'a b' is not a name"),
        ("{url: 'https://hooks.example/secret'}", "a secret must not stand in the settings"),
        ("{kind: pagerduty, routing_key: {file: token}, api_url: 'http://x'}", "is not an https:// address of a host"),
    ],
)
def test_a_channel_that_cannot_work_is_refused(channel, said, workspace, edited):
    problems = wrong(workspace, edited, f"alerts: {{channels: [{channel}]}}\n")
    assert len(problems) == 1
    assert problems[0].startswith("alerts.channels[0]")
    assert said in problems[0]


def test_two_channels_of_one_name_are_refused(workspace, edited):
    channels = "{name: a, url: {file: token}}, {name: a, url: {file: token}}"
    assert "two channels are called 'a'" in wrong(workspace, edited, f"alerts: {{channels: [{channels}]}}\n")[0]


@pytest.mark.parametrize(
    ("window", "key", "said"),
    [
        ("{name: a, schedule: sunday 02:00, lasts: 1h}", "schedule", "is no beginning: write it like 'daily 02:00'"),
        ("{name: a, schedule: sun 02:00, lasts: 8d}", "lasts", "8d is longer than 7d"),
        ("{name: a, schedule: sun 02:00, lasts: 1h, timezone: Europe/Amsterdm}", "timezone", "not a time zone"),
        ("{name: a, schedule: sun 02:00, lasts: 1h, checks: [rely]}", "checks[0]", "'rely' is not one of the checks"),
        ("{name: a, schedule: sun 02:00, lasts: 1h, paths: [x]}", "paths[0]", "'x' is not one of the paths"),
    ],
)
def test_maintenance_that_is_about_nothing_is_refused(window, key, said, workspace, edited):
    (problem,) = wrong(workspace, edited, f"alerts: {{maintenance: [{window}]}}\n")
    assert problem.startswith(f"alerts.maintenance[0].{key}: ")
    assert said in problem


def test_a_heartbeat_that_hurries_is_refused(workspace, edited):
    (problem,) = wrong(workspace, edited, "alerts: {heartbeat: {url: {file: token}, every: 1s}}\n")
    assert "1s is shorter than 5s" in problem


def test_where_people_find_the_pages_is_an_address(workspace, edited):
    text = edited(("mailboxes:\n", "web: {external_url: canary.example}\nmailboxes:\n"))
    with pytest.raises(SettingsError) as caught:
        workspace.load(text)
    assert [one.key for one in caught.value.problems] == ["web.external_url"]
