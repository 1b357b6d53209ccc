"""The systemd units are valid, as closed as they say, and their README tells what works."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trustme
import yaml

from agent.ledger.connect import connect
from agent.ledger.upgrade import upgrade

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "systemd"
UNIT = FOLDER / "relaycanary.service"
BACKUP = FOLDER / "relaycanary-backup.service"
TIMER = FOLDER / "relaycanary-backup.timer"
UNITS = sorted([*FOLDER.glob("*.service"), *FOLDER.glob("*.timer")])
README = (FOLDER / "README.md").read_text(encoding="utf-8")
CREDENTIALS = "/run/credentials/relaycanary.service/secrets_"
LARGEST_EXPOSURE = 2.0

tool = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing: it is in Debian's package systemd"
)


def options(name: str, unit: Path = UNIT) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@tool
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    """The command itself is not installed here: another that is stands in for it. A template is given a name."""
    made = []
    for unit in UNITS:
        made.append(tmp_path / unit.name.replace("@", "@contoso"))
        text = unit.read_text(encoding="utf-8").replace(
            "/opt/relaycanary/venv/bin/relaycanary", str(shutil.which("true"))
        )
        made[-1].write_text(text, encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", *made], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@tool
@pytest.mark.parametrize("unit", [one for one in UNITS if one.suffix == ".service"], ids=lambda unit: unit.name)
def test_the_exposure_is_below_two_and_as_the_readme_says(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    exposure = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)[1])
    assert exposure < LARGEST_EXPOSURE
    told = re.findall(r"([0-9]\.[0-9]) of 10", README)[int("backup" in unit.name)]
    assert exposure == pytest.approx(float(told), abs=0.3)  # versions of systemd weigh a little differently


def test_a_reload_is_a_hang_up_and_the_state_is_the_agents_own() -> None:
    assert options("ExecReload") == ["/bin/kill -HUP $MAINPID"]
    assert options("StateDirectory") == options("StateDirectory", BACKUP) == ["relaycanary"]
    assert options("StateDirectoryMode") == options("StateDirectoryMode", BACKUP) == ["0700"]
    assert options("User") == options("User", BACKUP) == ["relaycanary"]
    assert "u relaycanary " in (FOLDER / "relaycanary.sysusers").read_text(encoding="utf-8")


def test_the_monitor_is_started_again_for_ever() -> None:
    assert options("Restart") == ["always"]
    assert options("StartLimitIntervalSec") == ["0"]


@pytest.mark.parametrize("unit", [UNIT, BACKUP, TIMER], ids=lambda unit: unit.name)
def test_the_template_for_a_customer_is_the_unit_with_names_of_its_own(unit: Path) -> None:
    template = unit.with_name(f"{unit.stem}@{unit.suffix}").read_text(encoding="utf-8")
    assert "%i" in template
    without = re.sub(r"[-/ ]%i|, for %i| for %i", "", template.replace("tcp:9825-9924", "tcp:9825"))
    assert directives(without) == directives(unit.read_text(encoding="utf-8"))


def directives(text: str) -> list[str]:
    """List the lines that systemd reads, without what is there for people."""
    return [line for line in text.splitlines() if line and not line.startswith(("#", "Description="))]


def exec_line(name: str, instead: dict[str, str]) -> list[str]:
    """Return a command of the backup's unit as systemd would split it, with other places and programs for its own."""
    (line,) = options(name, BACKUP)
    for specifier, value in {"%%": "%", "$$": "$", "${KEEP_DAYS}": "30", **instead}.items():
        line = line.replace(specifier, value)
    return shlex.split(line)


def test_a_backup_is_made_by_the_units_command_and_the_old_ones_go_after_it(tmp_path: Path) -> None:
    ledger, backups = tmp_path / "ledger.db", tmp_path / "backups"
    backups.mkdir()
    settings = tmp_path / "relaycanary.yaml"
    text = blocks("yaml")[0].replace("sqlite:////var/lib/relaycanary/ledger.db", f"sqlite:///{ledger}")
    settings.write_text(text)
    old, recent, by_hand = (backups / f"{name}.db" for name in ("2025-01-01-031500", "2025-02-01-031500", "by-hand"))
    for file in (old, recent, by_hand):
        file.write_text("a backup")
    for file, days in ((old, 32), (recent, 29), (by_hand, 400)):
        when = time.time() - days * 86400
        os.utime(file, (when, when))
    instead = {
        "/opt/relaycanary/venv/bin/relaycanary": f"{sys.executable} -m agent",
        "/var/backups/relaycanary": str(backups),
        "/etc/relaycanary/relaycanary.yaml": str(settings),
    }
    command = exec_line("ExecStart", instead)
    failed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert failed.returncode == 1, "there is no ledger yet"
    assert "there is no ledger" in failed.stderr

    engine = connect(f"sqlite:///{ledger}")
    upgrade(engine)
    engine.dispose()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    subprocess.run(exec_line("ExecStartPost", instead), check=True)
    (made,) = set(backups.iterdir()) - {recent, by_hand}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d{6}\.db", made.name)


def test_the_settings_in_the_readme_can_be_used_and_each_secret_is_a_credential(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    assert options("LoadCredential") == ["secrets:/etc/relaycanary/secrets"]
    assert set(re.findall(rf"{CREDENTIALS}([\w.-]+)", text)) == {"k1", "outside", "relay.pem"}
    assert len(re.findall(r"/run/credentials", text)) == len(re.findall(CREDENTIALS, text))
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


def test_the_readme_installs_files_that_exist_to_where_the_unit_looks() -> None:
    commands = blocks("sh")[0]
    sources = re.findall(r"deploy/[\w./*-]+", commands)
    assert sources
    assert [one for one in sources if not [*ROOT.glob(one)]] == []
    (command,) = options("ExecStart")
    assert command.split()[0] == "/opt/relaycanary/venv/bin/relaycanary"
    assert 'ln -sfnT "$new" /opt/relaycanary/venv' in commands
    assert "ln -sf /opt/relaycanary/venv/bin/relaycanary /usr/local/bin/relaycanary" in commands


def test_the_trial_finds_the_blocks_that_it_takes_out_of_the_documents() -> None:
    trial = (FOLDER / "try_install").read_text(encoding="utf-8")
    taken = re.findall(r'^ *block (\S+) "?([\w ]+?)"?( 2)?(?: [>|].*)?$', trial, re.MULTILINE)
    assert len(taken) == 4
    for document, heading, second in taken:
        text = (ROOT / "deploy" / document).read_text(encoding="utf-8")
        part = re.search(rf"^## {heading}$(.*?)^## ", text, re.DOTALL | re.MULTILINE)
        assert part, heading
        assert len(re.findall(r"^```sh$", part[1], re.MULTILINE)) >= (2 if second else 1), heading
