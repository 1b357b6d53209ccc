"""What the end-to-end tests share: a folder, a lab on free ports in it, and settings for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.product import WEB_PORT, Folder, Write, taken

from checks.lab import DEFAULT_PORTS, Lab


@pytest.fixture
def default_ports() -> None:
    """Demand the ports that `run --lab` always uses."""
    if busy := [port for port in (WEB_PORT, *DEFAULT_PORTS.values()) if taken(port)]:
        pytest.skip(f"ports {busy} are in use: a lab is running on this machine")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """Make an empty folder; whatever ran in it, no traceback and no secret may have come out."""
    made = Folder(tmp_path)
    yield made
    made.stop()
    for agent in made.agents:
        assert "Traceback" not in agent.err.read_text()
        assert "Fatal Python error" not in agent.err.read_text()
    if (tmp_path / ".lab" / "k1").exists():
        assert made.places_of_secrets() == []


@pytest.fixture
def lab(folder: Folder) -> Iterator[Lab]:
    """Run a lab on free ports, with its state in the folder, as `relaycanary lab` has it."""
    with Lab(folder.path / ".lab") as running:
        yield running
        folder.stop()


@pytest.fixture
def write_settings(folder: Folder, lab: Lab) -> Write:
    """Write `relaycanary.yaml` for the lab, with a web token and a free port; *edit* may change it."""
    token = folder.path / "web-token"
    token.write_text("the-token-that-reloads-demand\n")
    token.chmod(0o600)

    def write(edit: Callable[[dict[str, Any]], object] | None = None, name: str = "relaycanary.yaml") -> Path:
        known = yaml.safe_load(lab.info.settings.read_text())
        known["web"] = {"listen": "127.0.0.1:0", "token": {"file": str(token)}}
        if edit is not None:
            edit(known)
        file = folder.path / name
        file.write_text(yaml.safe_dump(known))
        return file

    return write
