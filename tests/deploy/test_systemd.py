"""The systemd unit is valid, as closed as it says, and its README tells what works."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "systemd"
UNIT = FOLDER / "relaycanary.service"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
CREDENTIALS = "/run/credentials/relaycanary.service/"
LARGEST_EXPOSURE = 2.0

tool = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing: it is in Debian's package systemd"
)


def options(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@tool
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    """The command itself is not installed here: another that is stands in for it."""
    (command,) = options("ExecStart")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text(encoding="utf-8").replace(command, f"{shutil.which('true')} run"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@tool
def test_the_exposure_is_below_two_and_as_the_readme_says():
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", UNIT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    exposure = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)[1])
    assert exposure < LARGEST_EXPOSURE
    told = float(re.search(r"exposure ([0-9.]+) of 10", README)[1])
    assert exposure == pytest.approx(told, abs=0.3)  # versions of systemd weigh a little differently


def test_a_reload_is_a_hang_up_and_the_state_is_the_agents_own():
    assert options("ExecReload") == ["/bin/kill -HUP $MAINPID"]
    assert options("StateDirectory") == ["relaycanary"]
    assert options("StateDirectoryMode") == ["0700"]
    assert options("User") == ["relaycanary"]
    assert "u relaycanary " in (FOLDER / "relaycanary.sysusers").read_text(encoding="utf-8")


def test_the_settings_in_the_readme_can_be_used_and_each_secret_is_a_credential(tmp_path):
    (text,) = blocks("yaml")
    named = set(re.findall(rf"{CREDENTIALS}([\w.-]+)", text))
    loaded = {one.partition(":")[0] for one in options("LoadCredential")}
    loaded |= set(re.findall(r"^LoadCredential=([^:\n]+):", "\n".join(blocks("ini")), re.MULTILINE))
    assert named == loaded == {"k1", "outside", "relay.pem"}
    assert yaml.safe_load(text)["agent"]["ledger"].startswith("sqlite:////var/lib/relaycanary/")

    trustme.CA().issue_cert("contoso.com").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "relay.pem"))
    (tmp_path / "k1").write_text("0123456789abcdef0123456789abcdef")
    (tmp_path / "outside").write_text("a secret")
    for file in tmp_path.iterdir():
        file.chmod(0o400)
    settings = tmp_path / "relaycanary.yaml"
    settings.write_text(text.replace(CREDENTIALS, ""))
    command = [sys.executable, "-m", "agent", "check-config", "-c", str(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "can be read by others" not in done.stderr


def test_the_readme_installs_files_that_exist_to_where_the_unit_looks():
    commands = blocks("sh")[0]
    sources = re.findall(r"deploy/[\w./-]+", commands)
    assert sources
    assert [one for one in sources if not (ROOT / one).is_file()] == []
    (command,) = options("ExecStart")
    assert command.split()[0] == "/opt/relaycanary/venv/bin/relaycanary"
    assert "python3 -m venv /opt/relaycanary/venv" in commands
    assert "/etc/systemd/system/relaycanary.service" in commands
