"""No secret and no token comes out: in logs at every verbosity, commands, pages, metrics, the ledger, process lists."""

from __future__ import annotations

from typing import Any

import jwt
from e2e.product import Folder, Metrics, Write, secrets_of

from checks.lab import Lab

CHECKS = ("relay", "submission", "direct", "graph")
BROKEN = (
    ("graph", "entra", "secret_wrong"),
    ("submission", "entra", "wrong_cloud"),
    ("graph", "graph", "role_missing"),
    ("submission", "submission", "role_missing"),
    ("submission", "submission", "oauth_challenge"),
    ("graph", "noreply", "throttled"),
)
COMMANDS = (
    ("status", "--json"),
    ("check-config", "--print"),
    ("doctor", "--json"),
    ("probe", "graph"),
    ("probe", "graph", "--nagios"),
)


def brisk(settings: dict[str, Any]) -> None:
    for check in settings["checks"].values():
        check.update(every="2s", late_after="4s", lost_after="6s")


def by_certificate(settings: dict[str, Any]) -> None:
    app = settings["credentials"]["app"]
    app["certificate"] = {"file": app.pop("client_secret")["file"].replace("client-secret", "app.pem")}


def delivered(metrics: Metrics) -> bool:
    return all(metrics.concluded(check, outcome="delivered") > 0 for check in CHECKS)


def test_whatever_is_broken_no_secret_and_no_token_comes_out(folder: Folder, lab: Lab, write_settings: Write) -> None:
    write_settings(brisk)
    agent = folder.start("run", "--verbose")
    agent.until(delivered)
    for check, target, fault in BROKEN:
        lab.break_(target, fault)
        assert folder.relaycanary("probe", check, "--json").returncode in {0, 2, 3}
        lab.heal()
    for command in COMMANDS:
        folder.relaycanary(*command)
    write_settings(by_certificate, "by-certificate.yaml")
    assert folder.relaycanary("probe", "graph", "--json", "-c", "by-certificate.yaml").returncode == 0
    for method, path in (
        *(("GET", page) for page in ("/metrics", "/-/healthy", "/-/ready", "/")),
        ("POST", "/-/reload"),
    ):
        folder.outputs[path] = agent.ask(method, path)[1]
    assert agent.err.read_text().count("AADSTS") >= 1
    assert folder.places_of_secrets() == []


def test_every_token_of_the_lab_begins_as_the_search_expects(lab: Lab) -> None:
    header = jwt.utils.base64url_encode(b'{"alg":"RS256","kid":"x"}')
    assert header.startswith(secrets_of(lab.directory)["access tokens"])
