"""``relaycanary explain``: what a reply, an error, a bounce or a delivered message says, and how to mend it."""

from __future__ import annotations

import io
import json as encoding
import os
import sys
from pathlib import Path

from agent.commands.explaining.explanation import as_json, explain_input
from agent.commands.explaining.page import write_page

_LONGEST_INPUT = 32 * 1024 * 1024
_STANDARD_INPUT = "-"


def explain(inputs: list[str], *, json: bool) -> int:
    """Explain each input.

    Args:
        inputs: each the words of a server, a log line or an error; the name of a file that holds some, or a whole
            message; or ``-`` for standard input. Without any, standard input is read.
        json: print one JSON object a line instead of text.

    Returns:
        The exit code: 0, or 1 if something is unknown or cannot be read.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # what the locale cannot write must not end the command
        sys.stdout.reconfigure(errors="backslashreplace")
    code = 0
    for number, one in enumerate(inputs or [_STANDARD_INPUT]):
        try:
            content = _content(one)
        except OSError as error:
            print(f"relaycanary: {one!a} cannot be read: {error.strerror or error}", file=sys.stderr)
            code = 1
            continue
        explanation = explain_input(content)
        if json:
            print(encoding.dumps(as_json(explanation)))
        else:
            if number:
                print()
            write_page(explanation)
        code = 1 if explanation.unknown else code
    return code


def _content(one: str) -> str | bytes:
    """What an input holds: standard input, a file's content, or the words themselves."""
    if one == _STANDARD_INPUT:
        return sys.stdin.buffer.read(_LONGEST_INPUT)
    # an error that is pasted may be too long for a name, or hold what no name can
    if "\n" in one or "\0" in one or not os.path.lexists(one):
        return one
    with Path(one).open("rb") as file:
        return file.read(_LONGEST_INPUT)
