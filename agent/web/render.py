"""Write pages from templates: everything that a server may have chosen becomes harmless text on its way out."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from agent.log import plain
from agent.words import OUTCOMES, age, count, span, told

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a browser may do with a page: read our own files, and ask us for news; nothing inline, nothing of others."""


_BRIEF = 300


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("agent.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "age": age,
        "span": span,
        "moment": moment,
        "day": day,
        "clock": clock,
        "brief": brief,
        "told": told,
        "host": host,
    }
    environment.globals |= {"count": count, "words": {outcome.value: words for outcome, words in OUTCOMES.items()}}
    return environment


def page(template: str, **content: Any) -> str:
    """Write one page."""
    return _environment().get_template(template).render(**content)


def moment(at: float) -> Markup:
    """Write a moment (Unix time) with its time zone."""
    return _time(at, "%Y-%m-%d %H:%M:%S UTC")


def clock(at: float) -> Markup:
    """Write the time of day of a moment that is near."""
    return _time(at, "%H:%M:%S UTC")


def day(at: float) -> Markup:
    """Write the day of a moment, and its minute."""
    return _time(at, "%a %d %b %H:%M UTC")


def brief(text: str) -> str:
    """Cut words of servers to what a list has room for; the page of the canary has them all."""
    return text if len(text) <= _BRIEF else f"{text[:_BRIEF]}…"


def host(name: str) -> Markup:
    """Write a host name so that a line ends behind one of its dots, and not within a word."""
    return Markup(".<wbr>").join(plain(name).split("."))


def _time(at: float, form: str) -> Markup:
    utc = datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}">{}</time>').format(utc.isoformat(timespec="seconds"), utc.strftime(form))


def _harmless(value: Any) -> Any:
    """Show control characters and marks that change the reading direction as text, and bound the length."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value
