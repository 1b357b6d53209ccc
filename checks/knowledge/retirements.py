"""What providers end on a known day, as data."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

_DATA = Path(__file__).with_name("data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """Something that ends on `day` for paths to one of `hosts`; only with this kind of `login`, if one is named."""

    hosts: frozenset[str]
    login: str
    day: date
    what: str
    fix: str
    source: str


def retirements_of(host: str, login: str) -> Iterator[Retirement]:
    """Yield what ends for a path to *host* with a *login* of this kind (``password``, ``entra``, or empty for none)."""
    name = host.lower().rstrip(".")
    for one in _retirements():
        if name in one.hosts and one.login in {"", login}:
            yield one


@lru_cache(maxsize=1)
def _retirements() -> Sequence[Retirement]:
    sources = _read("sources")["sources"]
    return [
        Retirement(**{**row, "hosts": frozenset(row["hosts"]), "source": sources.get(row["source"], row["source"])})
        for row in _read("retirements").values()
    ]


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_DATA / f"{name}.toml").read_text(encoding="utf-8"))
