"""What is wrong with a settings file, said so that it can be found and mended."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Key = tuple[str | int, ...]
"""The way to a value: ``("paths", "relay", "port")``; a number is a place in a list."""

_LONGEST_VALUE = 60
_LONGEST_KEY = 200
_LONGEST_MESSAGE = 600
_MOST_CHOICES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong, or, as a `warning`, that is allowed but will not do what was meant."""

    file: Path
    line: int | None
    key: str
    message: str
    warning: bool = False

    def __str__(self) -> str:
        """One line, in the form that editors can follow: ``relaycanary.yaml:12: paths.relay.tls: ...``."""
        place = printable(str(self.file)) if self.line is None else f"{printable(str(self.file))}:{self.line}"
        parts = (place, "warning" if self.warning else "", self.key, self.message)
        return ": ".join(part for part in parts if part)


class SettingsError(Exception):
    """The settings cannot be used; `problems` has all the reasons, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Problems:
    """Collects the problems of one file; `lines` has the line of every key that was read."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines: dict[Key, int] = {}
        self._found: dict[Problem, None] = {}  # two rules may notice the same mistake
        self._settled: set[Key] = set()

    def error(self, key: Key, message: str, *, line: int | None = None) -> None:
        """Note that the value at *key* is wrong; without *line*, it stands where the key does."""
        if key not in self._settled:
            self._note(key, message, line, warning=False)

    def unreadable(self, key: Key, message: str, *, line: int) -> None:
        """Note that the value at *key* could not even be read: nothing more needs to be said about it."""
        self.error(key, message, line=line)
        self._settled.add(key)

    def warning(self, key: Key, message: str) -> None:
        """Note that the value at *key* is allowed, but will not do what was probably meant."""
        self._note(key, message, None, warning=True)

    def _note(self, key: Key, message: str, line: int | None, *, warning: bool) -> None:
        problem = Problem(
            file=self.file,
            line=self._line(key) if line is None else line,
            key=_bounded(spell(key), _LONGEST_KEY),
            message=_bounded(message, _LONGEST_MESSAGE),
            warning=warning,
        )
        self._found[problem] = None

    def _line(self, key: Key) -> int | None:
        """Find the line of *key*, or of the nearest key around it: a missing key has no line of its own."""
        return next((self.lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in self.lines), None)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """List what is wrong, by line."""
        return self._by_line(warning=False)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """List what is dubious, by line."""
        return self._by_line(warning=True)

    def _by_line(self, *, warning: bool) -> tuple[Problem, ...]:
        chosen = (problem for problem in self._found if problem.warning is warning)
        return tuple(sorted(chosen, key=lambda problem: problem.line or 0))


def spell(key: Key) -> str:
    """Write a key as people do: ``alerts.channels[0].url``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).removeprefix(".")


def shown(value: Any) -> str:
    """Quote what was found, bounded and without control characters."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case str() if len(value) > _LONGEST_VALUE:
            return f"{value[:_LONGEST_VALUE]!r}..."
        case str():
            return repr(value)
        case _:
            return _bounded(str(value), _LONGEST_VALUE)


def choices(allowed: Sequence[str]) -> str:
    """List what is allowed; of very many, the first ones."""
    more = len(allowed) - _MOST_CHOICES
    return ", ".join(allowed[:_MOST_CHOICES]) + (f" and {more} more" if more > 0 else "")


def near(word: str, allowed: Sequence[str]) -> str:
    """Suggest the allowed word that *word* was probably meant to be; empty where none is close."""
    close = difflib.get_close_matches(word[:_LONGEST_VALUE], allowed, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def printable(text: str) -> str:
    """Replace what would not show, or would move the cursor: control characters, line breaks, broken encodings."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _bounded(text: str, most: int) -> str:
    clean = printable(text)
    return clean if len(clean) <= most else f"{clean[:most]}..."
