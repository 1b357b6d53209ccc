"""Every expectation of a check on what the lab's mail tells, from the settings file to the verdict."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import yaml
from support.running import running_agent

from checks.lab import Lab

MAILBOX_OF = {"relay": "outside", "submission": "inbox", "direct": "inbox"}
HOLD = {
    "relay": {
        "spf": "pass",
        "dkim": "pass",
        "dmarc": "pass",
        "authserv_ids": ["mx1.outside.example"],
        "tls": "1.2",
        "tls_hops": "every",
        "attributed": True,
        "max_hop_delay": "60s",
        "headers": ["X-OriginatorOrg"],
    },
    "direct": {
        "spf": "pass",
        "dmarc": "pass",
        "compauth": "pass",
        "authserv_ids": [""],
        "attributed": False,
        "scl_max": 1,
        "headers": ["X-MS-Exchange-Organization-SCL"],
    },
    "submission": {"placement": "inbox", "dkim": "none", "scl_max": -1, "max_hop_delay": "60s"},
}
FAIL = {
    "spf": ("relay", {"spf": "fail"}, "spf: expected fail, found pass"),
    "dkim": ("direct", {"dkim": "pass"}, "dkim: expected pass, found none"),
    "dmarc": ("submission", {"dmarc": "pass"}, "dmarc: expected pass, found none"),
    "compauth": ("relay", {"compauth": "pass"}, "compauth: expected pass, found nothing"),
    "authserv_ids": (
        "relay",
        {"spf": "pass", "authserv_ids": ["mx.elsewhere.example"]},
        "spf: expected pass, found nothing",
    ),
    "attributed": ("relay", {"attributed": False}, "attributed: expected no, found yes"),
    "scl_max": ("direct", {"scl_max": -1}, "scl: expected at most -1, found 1"),
    "headers": ("relay", {"headers": ["X-Approved-By"]}, "header: expected X-Approved-By, found nothing"),
    "tls": (
        "submission",
        {"tls": "1.3", "tls_hops": "every", "headers": ["X-None"]},
        "header: expected X-None, found nothing",
    ),
}


def _settings(lab: Lab, folder: Path) -> Path:
    settings = yaml.safe_load(lab.info.settings.read_text())
    settings["agent"]["ledger"] = f"sqlite:///{folder / 'ledger.db'}"
    checks = {f"hold-{path}": (path, expect) for path, expect in HOLD.items()}
    checks |= {f"fail-{name}": (path, expect) for name, (path, expect, _) in FAIL.items()}
    settings["checks"] = {
        name: {"path": path, "mailbox": MAILBOX_OF[path], "every": "60s", "expect": expect}
        for name, (path, expect) in checks.items()
    }
    file = folder / "relaycanary.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file


async def _send_all(folder: Path) -> dict[str, tuple[str, list[str]]]:
    async with Lab() as lab, running_agent(file := _settings(lab, folder)) as agent:
        checks = yaml.safe_load(file.read_text())["checks"]
        canaries = await asyncio.gather(*(agent.send(name) for name in checks))
        rows = [await agent.concluded(canary, within=60) for canary in canaries]
    return {name: (row.outcome, json.loads(row.reasons)) for name, row in zip(checks, rows, strict=True)}


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    """The outcome and the reasons of one canary of each check."""
    return asyncio.run(_send_all(tmp_path_factory.mktemp("expectations")))


@pytest.mark.parametrize("path", HOLD)
def test_expectations_that_hold_are_delivered(path, ends):
    assert ends[f"hold-{path}"] == ("delivered", [])


@pytest.mark.parametrize("name", FAIL)
def test_each_expectation_that_fails_degrades_and_names_expected_and_found(name, ends):
    assert ends[f"fail-{name}"] == ("degraded", [FAIL[name][2]])
