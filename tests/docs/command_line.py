"""Hold command lines against the parser of ``relaycanary``, without running them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import typer

from agent.__main__ import app


@cache
def _command() -> Any:
    return typer.main.get_command(app)


def problem(arguments: Sequence[str]) -> str:
    """Say what is wrong with a command line; nothing where it could be run."""
    command = _command()
    context = command.make_context("relaycanary", [], resilient_parsing=True)
    rest = [*arguments]
    try:
        while hasattr(command, "resolve_command") and rest and not rest[0].startswith("-"):
            name, found, rest = command.resolve_command(context, rest)
            command = found
            if hasattr(found, "resolve_command"):  # options of a group, like those of lab
                context = found.make_context(name, rest, parent=context, resilient_parsing=True)
            else:
                found.make_context(name, rest, parent=context)
                rest = []
    except Exception as error:  # noqa: BLE001 - typer's own copy of click is private
        say = getattr(error, "format_message", None)
        return str(say() if say else error) or type(error).__name__
    return ""
