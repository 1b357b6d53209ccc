"""When a watcher looks: at regular times, when it is told to, and a few times after each accepted canary."""

from __future__ import annotations

import heapq

from checks.core.pace import Pace

_SHARE = 4.0  # after a look that took d seconds, rest for at least 4 d: at most a fifth of the time is spent looking


class Pacing:
    """The planned looks of one mailbox. Times are seconds on the steady timeline."""

    def __init__(self) -> None:
        self._paces: dict[str, Pace] = {}
        self._awaited: dict[str, tuple[str, float]] = {}
        self._planned: list[tuple[float, str]] = []
        self._rest_until = 0.0

    def expect(self, canary: str, path: str, accepted_at: float) -> None:
        """Plan the looks of a canary that was just accepted."""
        self._awaited[canary] = (path, accepted_at)
        for step in self._paces.setdefault(path, Pace()).steps():
            heapq.heappush(self._planned, (accepted_at + step, canary))

    def found(self, canary: str, seen_at: float) -> None:
        """Learn from a canary that arrived; its other looks are not needed any more."""
        if canary in self._awaited:
            path, accepted_at = self._awaited.pop(canary)
            self._paces[path].learn(seen_at - accepted_at)

    def looked(self, began_at: float, ended_at: float, slowness: float = 1.0) -> None:
        """Take note of a look: it serves all that were planned before it, and costs some rest, times *slowness*."""
        while self._planned and self._planned[0][0] <= began_at:
            heapq.heappop(self._planned)
        self._rest_until = ended_at + _SHARE * slowness * (ended_at - began_at)

    def next_at(self) -> float | None:
        """Tell when the next planned look is due; None if none is."""
        while self._planned and self._planned[0][1] not in self._awaited:
            heapq.heappop(self._planned)
        if not self._planned:
            self._awaited.clear()
            return None
        return max(self._planned[0][0], self._rest_until)
