"""What the settings decide about alerts, as the rules take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent.alerts.maintenance import Window

SEVERITIES = ("info", "warning", "critical")
"""From what can wait to what cannot."""


def rank(severity: str) -> int:
    """Tell how bad a severity is: the higher, the worse."""
    return SEVERITIES.index(severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A channel as the rules see it: what it is told begins with a severity.

    `former` is what an earlier version called it, empty where that was the same.
    """

    name: str
    severity: str
    former: str = ""

    @property
    def beneath(self) -> Sequence[str]:
        """The severities that it is not told of."""
        return [one for one in SEVERITIES if rank(one) < rank(self.severity)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who is told what, and when.

    An incident opens after `after` bad verdicts in a row, and closes after `recover_after` better ones. A page waits
    `group_wait` seconds for what fails with it. `credentials` tells what each path logs in with, `status_url` where
    people find the status page; without it, pages have no links. `heartbeat` tells whether there is one.
    """

    after: int = 2
    recover_after: int = 2
    group_wait: float = 15.0
    routes: Sequence[Route] = ()
    windows: Sequence[Window] = ()
    credentials: Mapping[str, str] = field(default_factory=dict)
    status_url: str = ""
    heartbeat: bool = False

    @property
    def wanted(self) -> bool:
        """Tell whether anybody is to be told of anything."""
        return bool(self.routes) or self.heartbeat
