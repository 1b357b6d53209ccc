"""A stack for the tests of alerting from end to end."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alerting.drill import Seen
from alerting.stack import Stack
from e2e.product import Folder

from checks.lab import Lab


@contextmanager
def a_stack(
    path: Path, change: Callable[[dict[str, Any]], object], expected: frozenset[str] = frozenset()
) -> Iterator[Stack]:
    """Run lab, agent, Prometheus and Alertmanager, all well; in *path*, with settings that *change* has edited."""
    folder = Folder(path)
    with Lab(folder.path / ".lab") as lab:
        try:
            with Stack(folder, lab, change=change, expected=expected) as running:
                yield running
        finally:
            folder.stop()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One for several drills."""
    with a_stack(tmp_path_factory.mktemp("alerting"), with_password) as running:
        yield running


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """One with a history of its own: three outages of one path within an hour are an alert too."""
    with a_stack(tmp_path, with_password) as running:
        yield running


def with_password(settings: dict[str, Any]) -> None:
    """Let submission log in with a password, as devices do; and tell when the secret of the app ends."""
    known = settings["credentials"]
    file = Path(known["outside"]["password"]["file"]).with_name("password-noreply")
    known["device"] = {"kind": "password", "username": "noreply@contoso.example", "password": {"file": str(file)}}
    known["app"]["client_secret_expires"] = "2099-12-31"
    settings["paths"]["submission"]["credential"] = "device"


Record = Callable[[Seen], None]
"""Takes down how a drill went."""


@pytest.fixture(scope="module")
def record() -> Iterator[Record]:
    """Collect how drills went, and show the table at the end (with ``-s``)."""
    rows: list[Seen] = []
    yield rows.append
    table = "\n".join(map(str, rows))
    sys.stdout.write(
        f"\n| what broke | alerts at the receivers | others that fired | resolved |\n|---|---|---|---|\n{table}\n"
    )


@pytest.fixture
def promtool() -> str:
    """Find promtool."""
    found = shutil.which("promtool")
    assert found, "promtool is not installed: deploy/testbed/install"
    return found
