import pytest
import yaml

from agent.config.load import load
from agent.config.pieces import spell_duration
from agent.config.render import effective
from checks.settings import parse_duration


@pytest.fixture
def environment(monkeypatch):
    for name in ("APP_SECRET", "OUTSIDE_PASSWORD", "PAGER_URL", "HEARTBEAT_URL", "SENTRY_DSN"):
        monkeypatch.setenv(name, "of-the-environment")


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("name", ["minimal", "design"])
def test_the_effective_settings_mean_the_same_when_they_are_read_again(name, workspace):
    settings = load(workspace.copy(f"good/{name}.yaml"))
    again = workspace.load(effective(settings))
    assert again.checks == settings.checks
    assert again.paths == settings.paths
    assert again.mailboxes == settings.mailboxes
    assert (again.agent, again.web) == (settings.agent, settings.web)
    assert effective(again) == effective(settings)


@pytest.mark.usefixtures("environment")
def test_secrets_stay_references(workspace):
    text = effective(load(workspace.copy("good/design.yaml")))
    document = yaml.safe_load(text)
    assert document["credentials"]["app"]["client_secret"] == {"env": "APP_SECRET"}
    assert document["agent"]["signing_keys"] == [{"id": "k1", "secret": {"file": str(workspace.folder / "k1")}}]
    assert not [secret for secret in ("hunter2", "of-the-environment", "0123456789abcdef") if secret in text]


def test_defaults_are_filled_in_and_durations_are_written_as_people_do(workspace, edited):
    settings = workspace.load(edited(("    every: 60s\n", "    every: 90s\n    expect: {max_hop_delay: 1.5s}\n")))
    check = yaml.safe_load(effective(settings))["checks"]["relay"]
    assert check == {
        "path": "relay",
        "mailbox": "outside",
        "to": "canary@outside.example",
        "every": "90s",
        "late_after": "1m",
        "lost_after": "10m",
        "observe_within": "1d",
        "severity": "critical",
        "expect": {
            "placement": "inbox",
            "authserv_ids": [],
            "tls_hops": "first",
            "max_hop_delay": "1500ms",
            "headers": [],
        },
    }


@pytest.mark.parametrize(
    ("seconds", "spelled"),
    [
        (86400, "1d"),
        (90000, "25h"),
        (5400, "90m"),
        (60, "1m"),
        (61, "61s"),
        (0.5, "500ms"),
        (1.5, "1500ms"),
        (0.25, "250ms"),
    ],
)
def test_a_duration_is_spelled_in_the_largest_unit_that_fits(seconds, spelled):
    assert spell_duration(seconds) == spelled
    assert parse_duration(spelled) == seconds
