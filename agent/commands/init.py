"""``relaycanary init``: a few questions, the way of sending that suits, and a settings file to begin with."""

from __future__ import annotations

import base64
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agent.commands import output
from agent.commands.initial.answers import Method
from agent.commands.initial.ask import MissingAnswers, WrongAnswer, gather
from agent.commands.initial.compose import SIGNING_KEY, Composed, compose
from agent.commands.initial.method import assess, recommend
from agent.commands.initial.page import show_choice, show_todo
from agent.config.json_schema import FILE_NAME, shipped
from agent.config.load import load
from agent.config.model import NO_CLIENT_ID
from agent.config.problems import Problem, SettingsError
from agent.config.secrets import PLACEHOLDER

_KEY_BYTES = 32
_PRIVATE = 0o600
_READABLE = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the settings go, and whether a file that is there may be replaced."""

    file: Path
    force: bool


def init(target: Target, given: Mapping[str, Any], method: str | None) -> int:
    """Ask what was not *given*, say which way of sending suits, and write settings for it.

    Nothing is ever asked without a terminal. Secrets are not asked for: files for them are made (mode 0600), to be
    filled. A signing key or a secret that is there already is kept, whatever happens to the settings.

    Args:
        target: the file to write.
        given: the answers that the command line has, by the names of `Answers`; None for those that it has not.
        method: the way of sending to set up, whichever suits best.

    Returns:
        The exit code: 0; 1 if the file is there already or cannot be written; 64 if answers are missing or wrong.
    """
    if os.path.lexists(target.file) and not target.force:
        output.say(f"{target.file} is there already: name another file by --output, or replace it by --force")
        return 1
    try:
        answers = gather(given, ask=sys.stdin.isatty() and sys.stdout.isatty())
    except (MissingAnswers, WrongAnswer) as error:
        output.say(str(error))
        return output.WRONG_USAGE
    chosen = Method(method) if method is not None else recommend(answers)
    screen = output.console()
    show_choice(screen, answers, assess(answers), chosen)
    composed = compose(answers, chosen)
    try:
        made, warnings = _write(target.file, composed)
    except OSError as error:
        output.say(f"{error.filename2 or error.filename or target.file} cannot be written: {error.strerror or error}")
        return 1
    except SettingsError as error:
        output.complain(error.problems)
        return 1
    show_todo(
        screen, answers, chosen, target.file, made, composed.secrets, needs_client_id=NO_CLIENT_ID in composed.text
    )
    output.complain(warnings)
    return 0


def _write(file: Path, composed: Composed) -> tuple[tuple[Path, ...], tuple[Problem, ...]]:
    """Write the settings, and beside them the files that they refer to and that are not there.

    Returns:
        What was written, and what is dubious about it.

    Raises:
        OSError: something cannot be written.
        SettingsError: the settings cannot be used; a file that was there is as it was.
    """
    folder = file.parent
    folder.mkdir(parents=True, exist_ok=True)
    key = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    contents = {SIGNING_KEY: key, **dict.fromkeys(composed.secrets, PLACEHOLDER)}
    made = tuple(folder / name for name, content in contents.items() if _make(folder / name, content))
    if _make(folder / FILE_NAME, shipped()):
        (folder / FILE_NAME).chmod(_READABLE)
        made = (folder / FILE_NAME, *made)
    fresh = folder / f".{file.name}.new"
    fresh.unlink(missing_ok=True)
    try:
        _make(fresh, composed.text)
        warnings = load(fresh).warnings
        fresh.chmod(_READABLE)
        if os.path.lexists(file):
            output.say(f"{file} is replaced; what it said is kept as {_keep(file)}")
        fresh.replace(file)
    except SettingsError as error:
        raise SettingsError(_named(file, error.problems)) from None
    finally:
        fresh.unlink(missing_ok=True)
    return (file, *made), _named(file, warnings)


def _keep(file: Path) -> Path:
    """Give the file that is there a second name, which it keeps when another takes its place."""
    number = 0
    while True:
        number += 1
        copy = file.with_name(f"{file.name}.{number}")
        with suppress(FileExistsError):
            os.link(file, copy, follow_symlinks=False)
            return copy


def _named(file: Path, problems: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(replace(problem, file=file) for problem in problems)


def _make(file: Path, content: str) -> bool:
    """Make a file that only its owner can read; leave one alone that is there."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(content if content.endswith("\n") else f"{content}\n")
    return True
