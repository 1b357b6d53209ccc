"""``relaycanary check-config``: say whether the settings can be used, and what is wrong with them."""

from __future__ import annotations

import json as encoding
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agent.commands import output
from agent.config.load import find, load
from agent.config.problems import Problem, SettingsError, printable
from agent.config.render import effective
from agent.config.settings import Settings


def check_config(config: Path | None = None, *, print_settings: bool = False, json: bool = False) -> int:
    """Check a settings file, and everything that it refers to.

    Problems and warnings go to standard error, one a line, the summary to standard output; with *print_settings*
    the effective settings go there instead, as YAML without secrets.

    Args:
        config: the settings file; without it the usual places are looked through.
        print_settings: write out what the settings amount to, defaults filled in.
        json: print one JSON object instead of text, with all problems and warnings.

    Returns:
        The exit code: 0 if the settings can be used, warnings or not, else 1.
    """
    try:
        settings = load(find(config))
    except SettingsError as error:
        if json:
            print(encoding.dumps({"usable": False, "problems": _listed(error.problems), "counts": None}))
        else:
            output.complain(error.problems)
        return 1
    if json:
        print(encoding.dumps({"usable": True, "problems": _listed(settings.warnings), "counts": _counts(settings)}))
        return 0
    output.complain(settings.warnings)
    if print_settings:
        print(effective(settings), end="")
    print(_summary(settings), file=sys.stderr if print_settings else sys.stdout)
    return 0


def _listed(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    return [
        {
            "file": str(one.file),
            "line": one.line,
            "key": one.key,
            "message": one.message,
            "severity": "warning" if one.warning else "error",
        }
        for one in problems
    ]


def _counts(settings: Settings) -> dict[str, int]:
    return {
        "checks": len(settings.checks),
        "paths": len(settings.paths),
        "mailboxes": len(settings.mailboxes),
        "credentials": len(settings.sections.credentials),
    }


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
