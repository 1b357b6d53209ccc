"""What the commands have in common on their way out: consoles, words, exit codes.

Everything that a server may have chosen goes through `agent.log.plain` before it is shown; consoles take no markup.
"""

from __future__ import annotations

import io
import json as encoding
import sys
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import structlog
from rich.console import Console
from rich.table import Table
from rich.text import Text
from structlog.typing import EventDict, WrappedLogger

from agent import log
from agent.config.problems import Problem
from agent.log import plain
from agent.words import OUTCOMES, age, count, span
from checks.core.model import Verdict

__all__ = [
    "EXIT_CODES",
    "NOTHING_KNOWN",
    "OUTCOMES",
    "STYLES",
    "WRONG_USAGE",
    "age",
    "complain",
    "console",
    "count",
    "say",
    "show_only_errors",
    "show_table",
    "span",
    "table",
    "tell",
]

EXIT_CODES: Mapping[Verdict, int] = MappingProxyType(
    {Verdict.PASS: 0, Verdict.WARN: 1, Verdict.FAIL: 2, Verdict.UNKNOWN: 3}
)
"""The exit code that a verdict is, as the Monitoring Plugins guidelines have it."""

NOTHING_KNOWN = EXIT_CODES[Verdict.UNKNOWN]
WRONG_USAGE = 64
"""EX_USAGE of sysexits.h."""

STYLES: Mapping[Verdict, str] = MappingProxyType(
    {Verdict.PASS: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red", Verdict.UNKNOWN: "magenta"}
)

_PIPE_WIDTH = 10_000


def console(*, stderr: bool = False) -> Console:
    """Make a console: in colour on a terminal (unless NO_COLOR is set), plain and never wrapped in a pipe."""
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):  # what the locale cannot write must not end the command
        stream.reconfigure(errors="backslashreplace")
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, width=width)


def show_table(screen: Console, table: Table) -> None:
    """Print a table; in a pipe, without the blanks that fill its last column."""
    if screen.is_terminal:
        screen.print(table)
        return
    with screen.capture() as captured:
        screen.print(table)
    for line in captured.get().splitlines():
        screen.print(Text(line.rstrip()))


def table(*columns: str) -> Table:
    """Make a table without lines, which can be searched and cut in a pipe."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def complain(problems: Iterable[Problem]) -> None:
    """Write problems of the settings to standard error, one a line."""
    screen = console(stderr=True)
    for problem in problems:
        screen.print(Text(str(problem), style="yellow" if problem.warning else "red"), soft_wrap=True)


def say(message: str) -> None:
    """Write one line to standard error."""
    console(stderr=True).print(Text(f"relaycanary: {plain(message)}"), soft_wrap=True)


def tell(words: Iterable[str], facts: Mapping[str, Any], *, json: bool) -> None:
    """Print what was done: the *words*, one a line, or with *json* the *facts* as one object."""
    if json:
        print(encoding.dumps(facts))
        return
    for line in words:
        print(plain(line))


def show_only_errors() -> None:
    """Have the agent's parts log nothing but errors, a line each: the command itself says what goes on."""

    def untraced(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {key: value for key, value in event.items() if key != "exc_info"}

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            untraced,
            log.escape,
            structlog.processors.KeyValueRenderer(key_order=["level", "event"], drop_missing=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("error"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
