"""What a shell is offered when somebody presses Tab."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import yaml

from agent.config.load import find
from agent.config.problems import SettingsError

_LARGEST = 1024 * 1024


def names_of_checks(config: Path | None, begin: str) -> list[str]:
    """List the checks of the settings whose names *begin* so; none where there are no settings that can be read.

    Only the names are read: secrets and certificates are left alone, so that it is quick and asks for nothing.
    """
    with suppress(SettingsError, OSError, ValueError, yaml.YAMLError):
        with find(config).open(encoding="utf-8") as file:
            content = yaml.safe_load(file.read(_LARGEST))
        checks = content.get("checks") if isinstance(content, dict) else None
        return [str(name) for name in checks or () if str(name).startswith(begin)]
    return []
