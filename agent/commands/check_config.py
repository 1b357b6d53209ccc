"""``relaycanary check-config``: say whether the settings can be used, and what is wrong with them."""

from __future__ import annotations

import sys
from pathlib import Path

from agent.commands import output
from agent.config.load import find, load
from agent.config.problems import SettingsError, printable
from agent.config.render import effective
from agent.config.settings import Settings


def check_config(config: Path | None = None, *, print_settings: bool = False) -> int:
    """Check a settings file, and everything that it refers to.

    Problems and warnings go to standard error, one a line, the summary to standard output; with *print_settings*
    the effective settings go there instead, as YAML without secrets.

    Args:
        config: the settings file; without it the usual places are looked through.
        print_settings: write out what the settings amount to, defaults filled in.

    Returns:
        The exit code: 0 if the settings can be used, warnings or not, else 1.
    """
    try:
        settings = load(find(config))
    except SettingsError as error:
        output.complain(error.problems)
        return 1
    output.complain(settings.warnings)
    if print_settings:
        print(effective(settings), end="")
    print(_summary(settings), file=sys.stderr if print_settings else sys.stdout)
    return 0


def _summary(settings: Settings) -> str:
    counts = ", ".join(
        _count(len(entries), word, plural)
        for entries, word, plural in (
            (settings.checks, "check", "checks"),
            (settings.paths, "path", "paths"),
            (settings.mailboxes, "mailbox", "mailboxes"),
            (settings.sections.credentials, "credential", "credentials"),
            (settings.warnings, "warning", "warnings"),
        )
    )
    return f"{printable(str(settings.file))} can be used: {counts}"


def _count(number: int, word: str, plural: str) -> str:
    return f"{number or 'no'} {word if number == 1 else plural}"
