"""An agent with settings of its own: reloading, a second one on the same ledger, a kill, wrong usage."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from e2e.product import Folder, Metrics, Write, forms_of, secrets_of

from checks.lab import Lab

RELOADED = "relaycanary_config_last_reload_successful"
INTERVAL = "relaycanary_check_interval_seconds"
TOKEN = "the-token-that-reloads-demand"


def every(seconds: int) -> Any:
    def edit(settings: dict[str, Any]) -> None:
        for check in settings["checks"].values():
            check["every"] = f"{seconds}s"

    return edit


def misspelled(settings: dict[str, Any]) -> None:
    settings["checks"]["relay"]["evry"] = settings["checks"]["relay"].pop("every")


def delivers(metrics: Metrics, more_than: Metrics) -> bool:
    checks = ("relay", "submission", "direct", "graph")
    return all(
        metrics.concluded(check, outcome="delivered") > more_than.concluded(check, outcome="delivered")
        for check in checks
    )


def test_a_bad_file_changes_nothing_and_a_good_one_is_taken(folder: Folder, write_settings: Write) -> None:
    write_settings(every(2))
    agent = folder.start("run")
    first = agent.metrics()
    assert (first(RELOADED), first(INTERVAL, check="relay")) == (1, 2)

    write_settings(misspelled)
    agent.process.send_signal(signal.SIGHUP)
    bad = agent.until(lambda metrics: metrics(RELOADED) == 0)
    assert bad(INTERVAL, check="relay") == 2
    agent.until(lambda metrics: delivers(metrics, more_than=bad))
    assert "unknown key" in agent.err.read_text()

    write_settings(every(3))
    agent.process.send_signal(signal.SIGHUP)
    good = agent.until(lambda metrics: metrics(RELOADED) == 1)
    assert good(INTERVAL, check="relay") == 3
    agent.until(lambda metrics: delivers(metrics, more_than=good))


def test_reloading_over_http_demands_the_token_and_says_what_is_wrong(folder: Folder, write_settings: Write) -> None:
    write_settings(every(60))
    agent = folder.start("run")
    file = write_settings(misspelled)
    assert agent.ask("POST", "/-/reload")[0] == 401
    assert agent.ask("POST", "/-/reload", "a-guess")[0] == 401
    assert agent.metrics()(RELOADED) == 1

    status, body = agent.ask("POST", "/-/reload", TOKEN)
    assert status == 400
    assert f"{file.name}:" in body
    assert "checks.relay: unknown key 'evry'; did you mean 'every'?\n" in body
    assert agent.metrics()(RELOADED) == 0

    write_settings(every(30))
    assert agent.ask("POST", "/-/reload", TOKEN) == (200, "reloaded\n")
    metrics = agent.metrics()
    assert (metrics(RELOADED), metrics(INTERVAL, check="direct")) == (1, 30)


def test_a_second_agent_is_refused_whether_it_wants_the_ledger_or_the_port(
    folder: Folder, write_settings: Write
) -> None:
    write_settings(every(60))
    agent = folder.start("run")
    second = folder.relaycanary("run")
    assert (second.returncode, second.stdout) == (1, "")
    (line,) = second.stderr.splitlines()
    assert line.startswith("relaycanary: ")
    assert "ledger.db" in line

    def same_port(settings: dict[str, Any]) -> None:
        settings["web"]["listen"] = agent.url.removeprefix("http://")
        settings["agent"]["ledger"] = f"sqlite:///{folder.path}/another.db"

    third = folder.relaycanary("run", "-c", str(write_settings(same_port, name="another.yaml")))
    assert (third.returncode, third.stdout) == (1, "")
    (line,) = third.stderr.splitlines()
    assert line.startswith(f"relaycanary: {agent.url.removeprefix('http://')} is in use: ")
    assert agent.signal(signal.SIGTERM) == 0


def test_a_kill_while_canaries_are_on_the_way_loses_nothing(folder: Folder, lab: Lab, write_settings: Write) -> None:
    """One canary is accepted and on its way, one delivered without a reply, one was never taken: each is told apart."""

    def patient(settings: dict[str, Any]) -> None:
        every(86_400)(settings)  # the only slots are the first ones after each start
        for check in settings["checks"].values():
            check.update(late_after="5m", lost_after="10m")
        settings["checks"]["direct"].update(late_after="9s", lost_after="10s")

    write_settings(patient)
    lab.break_("relay", "delay=5")
    lab.break_("submission", "hang_after_dot")
    lab.break_("direct", "hang_data")
    agent = folder.start("run")
    checks = ("relay", "submission", "direct")
    agent.until(
        lambda metrics: (
            all(metrics("relaycanary_canaries_in_flight", check=check) == 1 for check in checks)
            and lab.status()["mails"]["inbox"]["INBOX"] == 1
            and lab.status()["on_the_way"] == 1
        )
    )
    agent.signal(signal.SIGKILL)
    lab.heal()

    again = folder.start("run")
    after = again.until(
        lambda metrics: (
            all(metrics.concluded(check) == 2 for check in checks)
            and all(metrics("relaycanary_canaries_in_flight", check=check) == 0 for check in checks)
        )
    )
    for check in ("relay", "submission"):
        assert after.concluded(check, outcome="delivered", verdict="pass") == 2
    assert after.concluded("direct", outcome="indeterminate", verdict="unknown") == 1
    assert after.concluded("direct", outcome="delivered", verdict="pass") == 1
    assert all(after("relaycanary_canaries_started_total", check=check) == 2 for check in checks)
    assert folder.relaycanary("ledger", "verify").returncode == 0
    assert again.signal(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("run", "--no-such-option"),
        ("run", "--lab", "-c", "some.yaml"),
        ("probe",),
        ("probe", "relay", "--json", "--nagios"),
        ("status", "relay", "one-too-many"),
        ("status", "--json", "--checkmk"),
        ("ledger", "frobnicate"),
        ("lab", "frobnicate"),
        ("-c",),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_said_in_one_line_and_exits_64(folder: Folder, arguments: tuple[str, ...]) -> None:
    wrong = folder.relaycanary(*arguments)
    assert (wrong.returncode, wrong.stdout) == (64, "")
    (line,) = wrong.stderr.splitlines()
    assert line.startswith("relaycanary: ")


def test_faults_are_listed_for_what_the_lab_has_and_for_nothing_else(folder: Folder) -> None:
    listed = folder.relaycanary("lab", "break", "inbox")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert {line.split()[0] for line in listed.stdout.splitlines()} == {
        *("imap_bye", "imap_down", "imap_login_refused", "imap_silent", "role_missing", "mailbox_not_permitted"),
        *("throttled", "graph_unavailable", "graph_gateway_timeout", "graph_slow", "graph_silent"),
        *("delta_expired", "delta_replays"),
    }
    unknown = folder.relaycanary("lab", "break", "rely")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "direct, entra, graph, inbox, noreply, outside, relay, submission" in unknown.stderr


def test_an_unknown_check_exits_64_and_names_those_there_are(folder: Folder, write_settings: Write) -> None:
    write_settings()
    unknown = folder.relaycanary("probe", "rely")
    assert (unknown.returncode, unknown.stdout) == (64, "")
    (line,) = unknown.stderr.splitlines()
    assert "is not one of the checks direct, graph, relay, submission; did you mean 'relay'?" in line


def test_the_search_for_secrets_finds_one_in_every_form(folder: Folder, lab: Lab) -> None:
    secrets = secrets_of(lab.directory)
    assert secrets.keys() == {
        *(f"password-{mailbox}" for mailbox in ("inbox", "noreply", "outside")),
        *("access tokens", "client-secret", "k1", "ca.key", "relay-client.pem", "app.pem", "entra.key", "control.json"),
    }
    for number, form in enumerate(forms_of(secrets["client-secret"])):
        folder.outputs["planted"] = f"before{form.decode()}after {number}"
        assert folder.places_of_secrets() == ["client-secret in planted"]
    del folder.outputs["planted"]
