"""``relaycanary config-schema``: what editors complete and check settings by."""

from __future__ import annotations

import sys

from agent.config.json_schema import settings_schema, written


def config_schema() -> int:
    """Print the JSON Schema of a settings file, with every kind of path and mailbox that is installed.

    Returns:
        The exit code: 0.
    """
    sys.stdout.write(written(settings_schema()))
    return 0
