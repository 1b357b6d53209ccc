"""The only place that reads the environment."""

from __future__ import annotations

import os
import re

CONFIG = "RELAYCANARY_CONFIG"
"""Names the settings file where no ``--config`` does."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def variable(name: str) -> str | None:
    """Return the value of the environment variable *name*, None where it is not set."""
    return os.environ.get(name)


def is_name(text: str) -> bool:
    """Tell whether *text* can name an environment variable (POSIX.1 8.1, and lower case)."""
    return _NAME.fullmatch(text) is not None
