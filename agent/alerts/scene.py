"""Everything that the rules look at, at one moment. Moments are Unix time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from agent.alerts.signs import Ill, Signs
from checks.core.model import Verdict


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path or a mailbox connects to, by which method or kind; `words` is why a mailbox cannot be read."""

    method: str
    host: str
    port: int
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The checks and what they are made of. `muted` names the checks about which nobody is to be told now."""

    site: str
    now: float
    checks: Sequence[Signs]
    paths: Mapping[str, Place] = field(default_factory=dict)
    mailboxes: Mapping[str, Place] = field(default_factory=dict)
    credentials: Mapping[str, str] = field(default_factory=dict)
    muted: frozenset[str] = frozenset()

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of the checks."""
        return frozenset(one.check.name for one in self.checks)

    @cached_property
    def delivering(self) -> Mapping[str, frozenset[str]]:
        """The checks whose mail is to arrive, by path; those that have to be refused prove nothing about delivery."""
        found: dict[str, set[str]] = {}
        for one in self.checks:
            if one.check.expect.refused is None:
                found.setdefault(one.check.path, set()).add(one.check.name)
        return {path: frozenset(names) for path, names in found.items()}

    def all_paths(self, ills: Sequence[Ill]) -> bool:
        """Tell whether *ills* are about every check whose mail is to arrive, of two paths at least."""
        named = {ill.check.name for ill in ills}
        return len(self.delivering) > 1 and all(names <= named for names in self.delivering.values())

    def working(self) -> Sequence[str]:
        """Name the paths of which every check passes."""
        passing = {one.check.name for one in self.checks if one.verdict is Verdict.PASS}
        return [path for path, names in self.delivering.items() if names <= passing]
