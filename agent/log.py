"""Logging: dotted event names with key-values, one line each, on standard error."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_LONGEST = 2000

Defects = Callable[[BaseException, Mapping[str, Any]], None]


def configure(*, json: bool | None = None, verbose: bool = False, defects: Defects | None = None) -> None:
    """Set logging up: readable on a terminal, JSON when piped (or as *json* says).

    *defects* is told of every exception that is logged.
    """
    as_json = not sys.stderr.isatty() if json is None else json
    renderer: Processor = structlog.processors.JSONRenderer() if as_json else _console()
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        escape,
    ]
    if defects is not None:
        processors.append(_teller(defects))
    if as_json:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger("debug" if verbose else "info"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _console() -> Processor:
    """Make what is read on a terminal; its tracebacks show no values of variables, among which are secrets."""
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def _teller(tell: Defects) -> Processor:
    def pass_on(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        found = event.get("exc_info")
        defect = found if isinstance(found, BaseException) else sys.exc_info()[1] if found else None
        if defect is not None:
            tell(defect, event)
        return event

    return pass_on


def escape(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Make control characters visible and long text short: servers' words must not act on a terminal."""
    return {key: plain(value) if isinstance(value, str) else value for key, value in event.items()}


def plain(text: str) -> str:
    """Escape what could move the cursor, break a line or change the reading direction; bound the length."""
    shown = _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text[:_LONGEST])
    return shown if len(text) <= _LONGEST else f"{shown}…"
