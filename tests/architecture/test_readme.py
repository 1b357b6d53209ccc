"""What the README tells people to write and to type is right."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import trustme

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str, containing: str) -> str:
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if containing in text]
    return found


def test_the_settings_in_the_readme_can_be_used(tmp_path):
    """Every file that they refer to is put beside them; nothing else is changed."""
    authority = trustme.CA()
    client = authority.issue_cert("contoso.com")
    client.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "relay.pem"))
    (tmp_path / "k1").write_text("0123456789abcdef0123456789abcdef")
    (tmp_path / "app").write_text("a secret")
    for file in tmp_path.iterdir():
        file.chmod(0o600)
    text = block("yaml", "signing_keys")
    for there in ("/etc/relaycanary/k1", "/run/secrets/app", "/etc/relaycanary/relay.pem"):
        assert there in text
        text = text.replace(there, pathlib.PurePosixPath(there).name)
    settings = tmp_path / "relaycanary.yaml"
    settings.write_text(text)
    command = [sys.executable, "-m", "agent", "check-config", "-c", str(settings)]
    done = subprocess.run(command, capture_output=True, text=True, env={"OUTSIDE_PASSWORD": "secret"}, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 checks, 2 paths, 2 mailboxes, 2 credentials" in done.stdout


def test_every_command_in_the_readme_exists():
    commands = r"relaycanary (init|run|check-config|doctor|explain|probe|status|rules|ledger \w+|lab break|lab heal)"
    names = set(re.findall(commands, README))
    for name in sorted(names):
        command = [sys.executable, "-m", "agent", *name.split(), "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, name
    assert {"check-config", "doctor", "probe", "status", "lab break", "lab heal"} <= names


def test_every_make_target_in_the_readme_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"^make (\w+)", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
