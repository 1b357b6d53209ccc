"""The procedures of deploy/README.md, on a live agent with the lab: whatever is done, nothing is lost."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import yaml
from cryptography import x509
from support.process import SEEN, AgentProcess, LedgerFile, until

from checks.lab import Lab

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
PATIENCE = 120.0
OLDER = "1063acd91e3d413092c1a8b6660e4f4acecbafae"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        yield lab


@pytest.fixture
def settings(lab: Lab, tmp_path: Path) -> Path:
    """The lab's settings with a canary each second, and more patience than any machine needs."""
    content = yaml.safe_load(lab.info.settings.read_text())
    content["agent"]["ledger"] = f"sqlite:///{tmp_path}/ledger.db"
    content["web"] = {"listen": "127.0.0.1:0"}
    patience = {"every": "1s", "late_after": "5m", "lost_after": "10m"}
    content["checks"] = {name: {**content["checks"][name], **patience} for name in ("relay", "graph")}
    for path in content["paths"].values():
        if path["kind"] != "graph_send":
            path["timeouts"] = dict.fromkeys(("dns", "connect", "greeting", "starttls", "auth", "envelope"), "2m")
    file = tmp_path / "relaycanary.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def change_keys(settings: Path, keys: list[dict[str, Any]]) -> None:
    content = yaml.safe_load(settings.read_text())
    content["agent"]["signing_keys"] = keys
    settings.write_text(yaml.safe_dump(content))


def passed(ledger: LedgerFile, number: int, where: str = "1") -> None:
    until(f"{number} passed", lambda: ledger.count(f"verdict = 'pass' AND {where}") >= number, within=PATIENCE)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def relaycanary(*arguments: object) -> str:
    done = run(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(*arguments: object) -> str:
    done = run(*arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


def test_a_backup_of_a_live_agent_is_restored_and_nothing_in_it_is_lost(settings: Path, tmp_path: Path) -> None:
    ledger, copy = LedgerFile(settings), tmp_path / "backup.db"
    with AgentProcess(settings) as agent:
        passed(ledger, 2)
        relaycanary("ledger", "backup", copy, "-c", settings)
        passed(ledger, ledger.count() + 1)
        assert "in use by another agent" in refused("ledger", "restore", copy, "-c", settings)
        assert agent.stop() == 0

    relaycanary("ledger", "restore", copy, "-c", settings)
    restored = [row["id"] for row in ledger.canaries()]
    newest = max(row["seq"] for row in ledger.canaries())

    with AgentProcess(settings) as agent:
        passed(ledger, 1, f"seq > {newest}")
        under_way = f"outcome IS NULL AND seq <= {newest}"
        until("what was under way is concluded", lambda: not ledger.count(under_way), within=PATIENCE)
        ignored = "relaycanary_mailbox_messages_ignored_total"
        until("what came later is no forgery", lambda: agent.total(ignored, "reason=forgotten"), within=PATIENCE)
        assert agent.total(ignored, "reason=foreign") == 0
        assert agent.total("relaycanary_canaries_started_total") < len(ledger.canaries())
        assert agent.stop() == 0
    relaycanary("ledger", "verify", "-c", settings)
    rows = {row["id"]: row for row in ledger.canaries()}
    assert set(restored) <= rows.keys()
    assert {rows[one]["outcome"] for one in restored} <= SEEN


def test_a_key_is_replaced_while_canaries_are_on_their_way(settings: Path, tmp_path: Path) -> None:
    ledger = LedgerFile(settings)
    old = yaml.safe_load(settings.read_text())["agent"]["signing_keys"]
    key = tmp_path / "k2"
    key.write_text("another-secret-that-signs-canaries")
    key.chmod(0o600)
    new = {"id": "k2", "secret": {"file": str(key)}}
    with AgentProcess(settings) as agent:
        passed(ledger, 2)
        for number, keys in enumerate(([new, *old], [new]), start=1):
            change_keys(settings, keys)
            os.kill(agent.pid, signal.SIGHUP)
            until(
                "the settings are in force",
                lambda n=number: len(agent.events("settings.reloaded")) == n,
                within=PATIENCE,
            )
            passed(ledger, 2, f"seq > {ledger.count()}")
        assert agent.stop() == 0
    assert ledger.problems() == []
    assert set(ledger.outcomes()) <= {*SEEN, "in flight"}


def write_secret(file: Path, content: str) -> None:
    """Replace a file in one step, as the procedure says."""
    new = file.with_name(f".{file.name}.new")
    new.write_text(content)
    new.chmod(0o600)
    new.replace(file)


def findings(settings: Path, subject: str) -> dict[str, str]:
    """Have doctor log in, and return what it finds about one subject: status by id."""
    told = json.loads(run("doctor", "--json", "-c", settings).stdout)
    return {one["id"]: one["status"] for one in told["findings"] if one["subject"] == subject}


@pytest.mark.long
def test_an_apps_secret_is_replaced_beside_the_old_one_and_a_token_for_the_pages_at_once(
    settings: Path, lab: Lab, tmp_path: Path
) -> None:
    ledger = LedgerFile(settings)
    secret, token = tmp_path / "app-secret", tmp_path / "web-token"
    at_entra = lab.directory / "client-secret"
    write_secret(secret, at_entra.read_text())
    write_secret(token, "the-token-of-yesterday-0123456789")
    content = yaml.safe_load(settings.read_text())
    content["credentials"]["app"]["client_secret"] = {"file": str(secret)}
    content["web"]["token"] = {"file": str(token)}
    settings.write_text(yaml.safe_dump(content))
    with AgentProcess(settings) as agent:
        passed(ledger, 2, "name = 'graph'")
        new = lab.directory / "client-secret-2"
        write_secret(new, "the-secret-of-tomorrow-9876543210")  # 1: added where it is issued, beside the old one
        write_secret(secret, new.read_text())  # 2: the file is changed
        assert findings(settings, "credential app")["token"] == "ok"  # 3: doctor logs in with it
        at_entra.rename(lab.directory / "removed")
        assert findings(settings, "credential app")["token"] == "ok"
        passed(ledger, 2, f"name = 'graph' AND seq > {ledger.count()}")

        assert reload_over_http(agent, "the-token-of-yesterday-0123456789") == 200
        write_secret(token, "the-token-of-today-0123456789-abc")
        assert reload_over_http(agent, "the-token-of-yesterday-0123456789") == 401
        assert reload_over_http(agent, "the-token-of-today-0123456789-abc") == 200
        assert agent.stop() == 0
    newest = ledger.count()
    with AgentProcess(settings) as agent:  # it holds no token yet: it needs the secret
        passed(ledger, 2, f"name = 'graph' AND seq > {newest}")
        assert agent.stop() == 0
    assert ledger.problems() == []
    assert set(ledger.outcomes()) <= {*SEEN, "in flight"}
    write_secret(secret, (lab.directory / "removed").read_text())
    assert findings(settings, "credential app")["token"] == "failure"  # the old one is worth nothing any more
    (lab.directory / "removed").rename(at_entra)
    new.unlink()


def reload_over_http(agent: AgentProcess, token: str) -> int:
    answer = httpx.post(f"{agent.url}/-/reload", headers={"Authorization": f"Bearer {token}"}, timeout=60)
    return answer.status_code


@pytest.mark.long
def test_a_client_certificate_is_replaced_while_the_agent_runs(settings: Path, lab: Lab, tmp_path: Path) -> None:
    ledger = LedgerFile(settings)
    file = tmp_path / "relay.pem"
    authority = trustme.CA.from_pem((lab.directory / "ca.pem").read_bytes(), (lab.directory / "ca.key").read_bytes())
    known = x509.load_pem_x509_certificate((lab.directory / "relay-client.pem").read_bytes())
    names = known.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )
    ends = datetime(2030, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
    certificates = [authority.issue_cert(*names, not_after=end).private_key_and_cert_chain_pem for end in ends]
    write_secret(file, certificates[0].bytes().decode())
    content = yaml.safe_load(settings.read_text())
    content["paths"]["relay"].pop("source_address", None)
    content["paths"]["relay"]["client_certificate"] = {"file": str(file)}
    settings.write_text(yaml.safe_dump(content))
    ending = "relaycanary_certificate_not_after_timestamp_seconds"
    with AgentProcess(settings) as agent:
        for end, certificate in zip(ends, certificates, strict=True):
            write_secret(file, certificate.bytes().decode())
            passed(ledger, 2, f"name = 'relay' AND seq > {ledger.count()}")
            until(
                "the certificate is in use",
                lambda end=end: agent.total(ending, "path=relay", "role=client") == end.timestamp(),
                within=PATIENCE,
            )
        assert agent.stop() == 0
    assert ledger.problems() == []
    assert set(ledger.outcomes()) <= {*SEEN, "in flight"}


@pytest.mark.long
def test_an_older_agent_is_upgraded_and_taken_back(settings: Path, tmp_path: Path) -> None:
    """The older one is the agent of this repository when its ledger had version 0005."""
    old = tmp_path / "older"
    subprocess.run(["git", "worktree", "add", "--detach", old, OLDER], cwd=ROOT, check=True, capture_output=True)
    try:
        _upgrade_and_back(settings, tmp_path, old)
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", old], cwd=ROOT, check=True, capture_output=True)


def _upgrade_and_back(settings: Path, tmp_path: Path, old: Path) -> None:
    ledger, copy = LedgerFile(settings), tmp_path / "backup.db"
    with AgentProcess(settings, project=old) as agent:
        passed(ledger, 2)
        assert agent.stop() == 0
    relaycanary("ledger", "backup", copy, "-c", settings)
    known = {row["id"] for row in ledger.canaries()}

    with AgentProcess(settings) as agent:
        (told,) = agent.events("ledger.upgraded")
        assert told["before"] == "0005"
        passed(ledger, 2, f"seq > {ledger.count()}")
        assert agent.stop() == 0
    rows = {row["id"]: row["outcome"] for row in ledger.canaries()}
    assert known <= rows.keys()
    assert {rows[one] for one in known} <= SEEN
    assert ledger.problems() == []
    assert (tmp_path / "ledger.db.version-0005").is_file()

    older = [sys.executable, "-m", "agent", "run", "-c", str(settings)]
    done = subprocess.run(older, capture_output=True, text=True, check=False, cwd=old)
    assert done.returncode == 1
    assert "which this agent does not know (it knows 0005): upgrade the agent" in done.stderr

    relaycanary("ledger", "restore", tmp_path / "ledger.db.version-0005", "-c", settings)
    assert ledger.problems() == []


def test_every_file_and_command_that_the_readme_names_exists() -> None:
    for link in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (FOLDER / link).exists(), link
    for command in set(re.findall(r"relaycanary (ledger \w+|check-config|doctor|status)", README)):
        relaycanary(*command.split(), "--help")
    assert {"ledger backup", "ledger restore", "ledger verify", "ledger prune"} <= set(
        re.findall(r"relaycanary (ledger \w+)", README)
    )
