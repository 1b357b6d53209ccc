"""One page: all that a person who is woken must know, before it takes the form of a channel."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import lru_cache

from pydantic import TypeAdapter


class Event(enum.StrEnum):
    """What a page tells."""

    OPENED = "opened"
    WORSE = "worse"
    CHANGED = "changed"
    RESOLVED = "resolved"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """A check that the page is about, and how it does in a few words."""

    check: str
    path: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is told. Moments are Unix time; `closed` is None while it lasts.

    `key` is the same in all pages of one incident: receivers put them together by it. `works` names the paths that
    deliver. `said` are the words of a server, or of whoever said it, and may be hostile: each channel escapes them.
    `evidence` and `status` are addresses, empty where nobody said how the agent is reached.
    """

    key: str
    event: Event
    severity: str
    site: str
    title: str
    began: float
    written: float
    closed: float | None = None
    said: str = ""
    meaning: str = ""
    fix: str = ""
    source: str = ""
    note: str = ""
    affected: tuple[Affected, ...] = ()
    works: tuple[str, ...] = ()
    evidence: str = ""
    status: str = ""


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Page]:
    return TypeAdapter(Page)


def dump(page: Page) -> str:
    """Write a page as JSON."""
    return _adapter().dump_json(page).decode()


def load(text: str) -> Page:
    """Read back what `dump` wrote."""
    return _adapter().validate_json(text)
