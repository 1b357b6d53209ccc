"""A machine to try the documents on: a copy of the checkout, a lab and an agent at work, folders for /etc and /var.

Programs that cannot be had are stood in for (`standin.py`); everything else is the real thing. Absolute paths in a
block lead into the box.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from support.process import AgentProcess, until
from support.receiver import receiving

from checks.lab import DEFAULT_PORTS, Lab

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
STOOD_IN_FOR = (
    *("apt", "chown", "docker", "getent", "install", "journalctl", "kubectl", "kustomize", "make", "pip", "runuser"),
    *("systemctl", "systemd-creds", "systemd-sysusers"),
)
COPIED = ("deploy", "dashboards", "Makefile", "README.md", "pyproject.toml", "CHANGELOG.md", "LICENSE")
_ABSOLUTE = re.compile(r"(?<![\w.:/$}-])/(?=(?:etc|var|run|opt|usr/lib|usr/local)/)")
PLACEHOLDERS = {
    "YYYY-MM-DD": "2026-11-26",
    "CHECK": "relay",
    "OLD": "venv-1",
    "FILE": ".lab/relay-client.pem",
}
"""Words in capitals for which the reader puts something of his own, and what the test puts."""


@dataclass(frozen=True)
class Box:
    """The machine. `lab` is at work, and so is an agent, at `url`."""

    root: Path
    lab: Lab
    url: str

    @property
    def checkout(self) -> Path:
        return self.root / "checkout"

    def bash(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run commands, as a user would who has the checkout before him; they end at the first one that fails."""
        for word, instead in PLACEHOLDERS.items():
            text = re.sub(rf"\b{word}\b", instead, text)
        for name, port in DEFAULT_PORTS.items():
            text = text.replace(str(port), str(self.lab.port(name)))
        text = text.replace("http://127.0.0.1:9825", self.url)
        text = _ABSOLUTE.sub(f"{self.root}/", text)
        path = f"{self.root}/bin:{self.checkout}/.venv/bin:{os.environ['PATH']}:/usr/sbin:/usr/bin"
        return subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", text],
            cwd=self.checkout,
            env={"PATH": path, "HOME": str(self.root / "home"), "BOX": str(self.root), "NO_COLOR": "1"},
            input="a secret that is typed in\n" * 9,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


def _executable(file: Path, command: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{command}\n")
    file.chmod(0o755)


def _script(file: Path, program: Path) -> None:
    _executable(file, f'exec "{sys.executable}" -IS "{program}" "$@"')


def _programs(root: Path, checkout: Path) -> None:
    here = root / "lib"
    here.mkdir()
    for name in ("standin.py", "relaycanary_standin.py"):
        shutil.copy(HERE / name, here / name)
    for name in STOOD_IN_FOR:
        told = f"import sys; sys.argv[0] = '{name}'; exec(open('{here}/standin.py').read())"
        _executable(root / "bin" / name, f'exec "{sys.executable}" -IS -c "{told}" "$@"')
    for venv in (checkout / ".venv", root / "opt/relaycanary/venv-1"):
        _script(venv / "bin/relaycanary", here / "relaycanary_standin.py")
        for name in ("python", "python3"):
            _executable(venv / "bin" / name, f'exec "{sys.executable}" "$@"')
        (venv / "bin/pip").symlink_to(root / "bin/pip")
    (root / "opt/relaycanary/venv").symlink_to("venv-1")


def _files(root: Path, checkout: Path, settings: str) -> None:
    for name in (
        "etc/relaycanary/secrets",
        "etc/relaycanary/contoso",
        "etc/prometheus",
        "etc/sudoers.d",
        "etc/sysusers.d",
        "etc/systemd/system",
        "var/lib/relaycanary",
        "var/backups",
        "run",
    ):
        (root / name).mkdir(parents=True)
    (root / "var/backups/relaycanary").mkdir()
    for folder in (checkout, root / "etc/relaycanary", root / "etc/relaycanary/contoso"):
        (folder / "relaycanary.yaml").write_text(settings)
    shutil.copy(ROOT / "dashboards/alertmanager/alertmanager.yml", root / "etc/prometheus/alertmanager.yml")
    (root / "etc/prometheus/prometheus.yml").write_text("scrape_configs: []\n")
    for name in ("relay.crt", "intermediates.crt", "relay.key", "bounce.eml"):
        (checkout / name).write_text("550 5.7.64 TenantAttribution; Relay Access Denied\n")


@contextmanager
def _zygote(at: Path) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, str(HERE / "zygote.py"), str(at)], stdout=subprocess.PIPE, cwd=ROOT
    ) as zygote:
        assert zygote.stdout is not None
        try:
            assert zygote.stdout.readline() == b"ready\n"
            yield
        finally:
            zygote.terminate()


@contextmanager
def box(root: Path) -> Iterator[Box]:
    """Set the machine up; at the end nothing is left at work."""
    checkout = root / "checkout"
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("node_modules", "secrets"))
        else:
            shutil.copy(ROOT / name, checkout / name)
    _programs(root, checkout)
    with Lab(checkout / ".lab") as lab, receiving() as pager:
        content = yaml.safe_load(lab.info.settings.read_text())
        (checkout / "web-token").write_text("a-token-that-changes-of-state-demand\n")
        (checkout / "web-token").chmod(0o600)
        content["web"] = {"listen": "127.0.0.1:0", "token": {"file": str(checkout / "web-token")}}
        (checkout / "pager-url").write_text(pager.url)
        (checkout / "pager-url").chmod(0o600)
        channel = {"name": "oncall", "kind": "webhook", "url": {"file": str(checkout / "pager-url")}}
        content["alerts"] = {"channels": [channel]}
        for check in content["checks"].values():  # one canary each, which stays the newest for as long as this takes
            check.update(every="1h", late_after="5m", lost_after="10m")
        lab.info.settings.write_text(yaml.safe_dump(content))
        _files(root, checkout, lab.info.settings.read_text())
        with AgentProcess(lab.info.settings) as agent, _zygote(root / "zygote"):
            until("all is green", lambda: agent.verdicts() == {"pass"}, within=120)
            yield Box(root, lab, agent.url)
            assert agent.stop() == 0
