"""Incidents as alerts keep them: what is wrong, since when, at which checks. Kept in the ledger as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from pydantic import TypeAdapter

from checks.core import verdict
from checks.core.model import Check, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A check in an incident, for one kind of trouble. Moments are Unix time; `recovered` is None while it lasts.

    `of` is the check as it was when this began (None: written by an earlier version), and `gone` tells that it is over
    only because the settings do not have the check any more, or another one by its name. Where it is that nobody knows,
    agents have seen that for `lasted` seconds (None: written by an earlier version), and the one that ran last for
    `counted` of them. Both are whole minutes, so that they are not written down every few seconds.
    """

    check: str
    path: str
    kind: Verdict
    severity: str
    since: float
    recovered: float | None = None
    gone: bool = False
    lasted: float | None = None
    counted: float = 0.0
    of: Check | None = None

    def concerns(self, check: Check) -> bool:
        """Tell whether it is trouble of *check* as it is now, and not of another one that had its name."""
        if self.check != check.name:
            return False
        return self.path == check.path if self.of is None else verdict.proves(self.of, check)

    @property
    def unknown(self) -> bool:
        """Tell whether the trouble is that nobody knows."""
        return self.kind is Verdict.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What a page tells of an incident: its name, what was said, what it means and what to do, and an example."""

    title: str
    said: str = ""
    meaning: str = ""
    fix: str = ""
    source: str = ""
    canary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One incident. Moments are Unix time.

    `cause` is the row of the table of causes and `subject` what it is about; `grown` is when a check joined last.
    `mended` is the place, in the order of start, of the newest canary that showed one of its checks well again.
    """

    id: str
    cause: str
    subject: str
    story: Story
    opened: float
    grown: float
    members: tuple[Member, ...]
    mended: int = 0
    closed: float | None = None

    @property
    def ill(self) -> tuple[Member, ...]:
        """The members that have not recovered."""
        return tuple(one for one in self.members if one.recovered is None)

    @property
    def began(self) -> float:
        """When the first of it was seen."""
        return min(one.since for one in self.members)


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Incident]:
    return TypeAdapter(Incident)


def dump(incident: Incident) -> str:
    """Write an incident as JSON."""
    return _adapter().dump_json(incident).decode()


def load(text: str) -> Incident:
    """Read back what `dump` wrote."""
    return _adapter().validate_json(text)
