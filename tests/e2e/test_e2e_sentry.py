"""An agent that tells Sentry: a check-in for each canary, and a defect of a plug-in without anybody's secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from e2e.product import Folder, Write, secrets_of, until
from support.ingest import an_ingest, items

from checks.lab import Lab

PLUGIN = """
from pathlib import Path

from checks.ports import Endpoint
from checks.settings import Address, Section


class Broken:
    class Settings(Section):
        sender: Address
        notes: str

    def __init__(self, name, settings, tools):
        self.settings = settings

    async def send(self, sender, recipient, message):
        password = Path(self.settings.notes).read_text().strip()
        raise RuntimeError(f"{recipient} could not be sent to with {password!r}")

    def endpoint(self):
        return Endpoint(host="127.0.0.1", port=25, tls="none")

    def certificates(self):
        return ()

    async def close(self):
        pass
"""


@pytest.fixture
def _plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a sending path of somebody else, whose every hand-over raises."""
    place = tmp_path / "plugins"
    described = place / "broken-1.0.dist-info"
    described.mkdir(parents=True)
    (place / "broken.py").write_text(PLUGIN)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[relaycanary.paths]\nbroken = broken:Broken\n")
    monkeypatch.setenv("PYTHONPATH", str(place))


@pytest.mark.usefixtures("_plugin")
def test_every_canary_checks_in_and_a_defect_is_told_without_secrets(
    folder: Folder, lab: Lab, write_settings: Write
) -> None:
    with an_ingest() as (dsn, heard):
        (folder.path / "dsn").write_text(dsn)
        (folder.path / "dsn").chmod(0o600)

        def with_sentry(settings: dict[str, Any]) -> None:
            settings["sentry"] = {"dsn": {"file": str(folder.path / "dsn")}}
            notes = str(lab.directory / "password-outside")
            settings["paths"]["broken"] = {"kind": "broken", "sender": "canary@contoso.example", "notes": notes}
            settings["checks"]["broken"] = {"path": "broken", "mailbox": "outside"}
            for check in settings["checks"].values():
                check.update(every="60s", late_after="30s", lost_after="50s")

        write_settings(with_sentry)
        agent = folder.start("run")
        until(lambda: {one["status"] for one in items(heard, "check_in") if "relay" in one["monitor_slug"]} >= {"ok"})
        until(lambda: bool(items(heard, "event")))
        agent.signal(15)

    told = [one for one in items(heard, "check_in") if one["monitor_slug"] == "lab-relay"]
    assert [one["status"] for one in told[:2]] == ["in_progress", "ok"]
    assert told[0]["check_in_id"] == told[1]["check_in_id"]
    assert told[0]["monitor_config"]["schedule"] == {"type": "interval", "value": 1, "unit": "minute"}
    event = items(heard, "event")[0]
    assert event["exception"]["values"][-1]["type"] == "RuntimeError"
    assert (event["tags"]["check"], event["tags"]["path"], event["environment"]) == ("broken", "broken", "lab")
    assert len(event["tags"]["canary"]) == 16
    everything = "".join(heard)
    assert "@contoso.example" not in everything
    assert "@outside.example" not in everything
    assert [name for name, secret in secrets_of(lab.directory).items() if secret.decode() in everything] == []
    # the plug-in alone is to blame for what is in the log of the agent itself
    agent.err.write_text("")
