"""Canaries that somebody asks for, beside the schedule: at most one in ten seconds for each check."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.probe import Sent

BETWEEN = 10.0  # seconds between two canaries on demand of one check

Sending = asyncio.Task[Sent | None]
Run = Callable[[str], Sending | None]
"""Starts a canary of the check of this name now; None if there is no such check."""


@dataclass(slots=True)
class OnDemand:
    """Starts canaries through `run`, and remembers the newest of each check and when that was (`now`, in seconds)."""

    run: Run
    now: Callable[[], float]
    _newest: dict[str, tuple[float, Sending]] = field(default_factory=dict)

    def wait(self, name: str) -> float:
        """Tell for how many seconds no other canary of the check may be started; 0 if one may."""
        known = self._newest.get(name)
        return 0.0 if known is None else max(0.0, known[0] + BETWEEN - self.now())

    def start(self, name: str) -> Sending | None:
        """Start a canary; None if there is no such check."""
        sending = self.run(name)
        if sending is not None:
            self._newest[name] = self.now(), sending
        return sending

    def recent(self, name: str) -> Sending | None:
        """Return the canary that was asked for within the last ten seconds, or start one; None as `start`."""
        return self._newest[name][1] if self.wait(name) else self.start(name)
