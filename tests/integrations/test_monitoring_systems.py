"""The definitions for Nagios, Icinga, NRPE and Checkmk: their own programs take them, and their commands run."""

from __future__ import annotations

import grp
import os
import pwd
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from checks.lab import Lab

FOLDER = Path(__file__).parents[2] / "deploy" / "integrations"
INSTALLED = "/opt/relaycanary/venv/bin/relaycanary"
SETTINGS = "/etc/relaycanary/relaycanary.yaml"
USER, GROUP = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
NAGIOS_BASE = """
define timeperiod {
  timeperiod_name 24x7
  alias always
  monday 00:00-24:00
}
define command {
  command_name none
  command_line /bin/true
}
define contact {
  contact_name admin
  host_notification_period 24x7
  service_notification_period 24x7
  host_notification_commands none
  service_notification_commands none
}
define host {
  host_name mail-canary
  address 127.0.0.1
  max_check_attempts 1
  check_period 24x7
  contacts admin
}
define service {
  name generic-service
  register 0
  check_period 24x7
  notification_period 24x7
  notification_interval 0
  contacts admin
}
"""


def text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def run(*command: object) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.servers
def test_nagios_takes_its_definitions(tmp_path: Path) -> None:
    base = tmp_path / "base.cfg"
    base.write_text(NAGIOS_BASE)
    main = tmp_path / "nagios.cfg"
    names = ("log_file", "lock_file", "command_file", "object_cache_file", "status_file", "state_retention_file")
    lines = [f"{name}={tmp_path}/{name}" for name in names]
    lines += [f"{name}={tmp_path}" for name in ("check_result_path", "temp_path")]
    lines += [f"cfg_file={base}", f"cfg_file={FOLDER / 'nagios.cfg'}", f"nagios_user={USER}", f"nagios_group={GROUP}"]
    main.write_text("\n".join(lines) + "\n")
    said = run("nagios4", "-v", main)
    assert re.search(r"Checked 2 services", said)
    assert re.search(r"Total Errors:\s+0", said)


@pytest.mark.servers
def test_icinga_takes_its_definitions_and_makes_a_service_for_each_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = 'object Host "mail-canary" { check_command = "dummy"; vars.relaycanary_checks = [ "relay", "direct" ] }\n'
    file = tmp_path / "icinga2.conf"
    file.write_text(f"include <itl>\n{host}{text('icinga2.conf')}")
    monkeypatch.setenv("ICINGA2_USER", USER)  # else it gives up the right to read the test's folder
    monkeypatch.setenv("ICINGA2_GROUP", GROUP)
    said = run("icinga2", "daemon", "-C", "-c", file, f"-DCacheDir={tmp_path}", f"-DDataDir={tmp_path}")
    assert "Instantiated 2 Services" in said


@pytest.mark.servers
def test_sudo_takes_its_rule(tmp_path: Path) -> None:
    file = tmp_path / "sudoers"
    file.write_text(text("sudoers"))
    file.chmod(0o440)
    assert "parsed OK" in run("visudo", "-c", "-f", file)


def commands() -> dict[str, str]:
    """Return every command line of the files, as it is run for the check relay, by where it stands."""
    (nagios,) = re.findall(r"command_line\s+(.+)", text("nagios.cfg"))
    (icinga,) = re.findall(r"command = \[(.*?)\]", text("icinga2.conf"), re.DOTALL)
    nrpe = re.findall(r"^command\[(\w+)\]=(.+)$", text("nrpe.cfg"), re.MULTILINE)
    (mrpe,) = re.findall(r"^relaycanary_relay (.+)$", text("mrpe.cfg"), re.MULTILINE)
    (local,) = re.findall(r"^exec (.+)$", text("checkmk-local"), re.MULTILINE)
    return {
        "nagios": nagios.replace("$ARG1$", "relay"),
        "nagios, all": nagios.replace("$ARG1$", ""),
        "icinga": " ".join([*re.findall(r'"([^"]+)"', icinga), "relay"]),
        **{f"nrpe {name}": line for name, line in nrpe},
        "mrpe": mrpe,
        "checkmk": local,
    }


ALLOWED = re.compile(re.search(r"relaycanary \^(.+)\$$", text("sudoers"), re.MULTILINE)[1])  # type: ignore[index]


@pytest.mark.parametrize("where", commands())
def test_sudo_lets_through_what_is_run_and_nothing_that_is_added_to_it(where: str) -> None:
    words = shlex.split(commands()[where])
    assert words[words.index(INSTALLED) - 1] in {"relaycanary", "--"}
    if words[0].endswith("sudo"):
        rest = " ".join(words[words.index(INSTALLED) + 1 :])
        assert ALLOWED.fullmatch(rest)
        assert not ALLOWED.fullmatch(f"{rest} --config /etc/shadow")
    assert not ALLOWED.fullmatch("run")
    assert not ALLOWED.fullmatch("status --nagios -c /etc/shadow")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings that can be used, of an agent that has not run yet."""
    folder = tmp_path_factory.mktemp("settings")
    with Lab(folder) as lab:
        content = yaml.safe_load(lab.info.settings.read_text())
    content["agent"]["ledger"] = f"sqlite:///{folder}/ledger.db"
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


@pytest.mark.parametrize("where", ["nagios", "checkmk"])
def test_a_command_says_in_one_line_that_nothing_is_known_yet(where: str, settings: Path) -> None:
    words = shlex.split(commands()[where].replace(SETTINGS, str(settings)))
    arguments = words[words.index(INSTALLED) + 1 :]
    done = subprocess.run([sys.executable, "-m", "agent", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    begins = '3 "relaycanary" - ' if where == "checkmk" else "RELAYCANARY UNKNOWN - "
    assert done.stdout.startswith(begins + "there is no ledger")
