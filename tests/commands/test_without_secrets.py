"""While the service is down its credentials are gone: what asks the ledger alone works nevertheless.

systemd takes the folder of a service's credentials away with the service (systemd.exec(5), CREDENTIALS), and that is
when people look at the ledger, restore it and make it smaller.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.commands import ledger as verbs
from agent.commands.check_config import check_config
from agent.commands.doctor import doctor
from agent.commands.report import report
from agent.commands.reporting.choice import Choice
from agent.commands.rules import rules
from agent.commands.status import status

GONE = Path("/run/credentials/relaycanary.service")
REFERENCES = {"file", "ca_file"}


def without_files(content: Any) -> Any:
    """Let every file that the settings name lie in a folder that is gone."""
    if isinstance(content, dict):
        return {
            name: str(GONE / Path(value).name) if name in REFERENCES else without_files(value)
            for name, value in content.items()
        }
    return [without_files(one) for one in content] if isinstance(content, list) else content


@pytest.fixture
def down(file: Path, ledger: Path, one_delivered: None) -> Path:  # noqa: ARG001 - there is a ledger
    """Settings whose secrets and certificates are gone, with a ledger that has one canary."""
    settings = file.with_name("down.yaml")
    content = without_files(yaml.safe_load(file.read_text()))
    content["report"] = {"to": ["team@contoso.example"], "path": "relay"}
    settings.write_text(yaml.safe_dump(content))
    assert str(GONE) in settings.read_text()
    return settings


VERBS: dict[str, Callable[[Path, Path], int]] = {
    "status": lambda settings, _: status(settings, check="relay"),
    "status --nagios": lambda settings, _: status(settings, check="relay", nagios=True),
    "ledger verify": lambda settings, _: verbs.verify(settings),
    "ledger upgrade": lambda settings, _: verbs.upgrade(settings),
    "ledger export": lambda settings, _: verbs.export(settings),
    "ledger backup": lambda settings, copy: verbs.backup(copy, settings),
    "ledger backup and restore": lambda settings, copy: verbs.backup(copy, settings) or verbs.restore(copy, settings),
    "ledger prune --compact": lambda settings, _: verbs.prune(settings, compact=True),
    "rules": lambda settings, _: rules(settings),
    "report": lambda settings, _: report(Choice(form="json"), settings),
}


@pytest.mark.parametrize("verb", VERBS)
def test_it_works_without_the_secrets(verb: str, down: Path, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = VERBS[verb](down, copy)
    told = capsys.readouterr()
    assert str(GONE) not in told.out + told.err
    assert code == (3 if verb.startswith("status") else 0), told  # nobody looks, so nothing is known


@pytest.mark.parametrize("verb", [check_config, doctor])
def test_what_needs_a_secret_says_which_is_gone(
    verb: Callable[[Path], int], down: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb(down) != 0
    assert f"the file {GONE}/k1 cannot be read" in capsys.readouterr().err


def test_a_report_that_is_to_be_sent_needs_them(down: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(Choice(), down, send_it=True) == 1
    assert str(GONE) in capsys.readouterr().err
