"""When a watcher looks: at regular times, when it is told to, and a few times after each accepted canary."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from checks.core.pace import Pace

_OVERDUE = 60.0  # seconds; what was planned before that can only mean "look now"
_SHARE = 4.0  # after a look that took d seconds, rest for at least 4 d: at most a fifth of the time is spent looking


@dataclass(slots=True)
class _Awaited:
    """A canary that looks are planned for: `looks` is how many of them are still to come."""

    path: str
    accepted_at: float
    looks: int


class Pacing:
    """The planned looks of one mailbox. Times are seconds on the steady timeline."""

    def __init__(self) -> None:
        self._paces: dict[str, Pace] = {}
        self._awaited: dict[str, _Awaited] = {}
        self._planned: list[tuple[float, str]] = []
        self._missed_at: float | None = None  # when the newest look was planned that is long overdue
        self._rest_until = 0.0

    def expect(self, canary: str, path: str, accepted_at: float) -> None:
        """Plan the looks of a canary that was just accepted."""
        self._let_go(accepted_at - _OVERDUE)
        steps = self._paces.setdefault(path, Pace()).steps()
        self._awaited[canary] = _Awaited(path, accepted_at, len(steps))
        for step in steps:
            heapq.heappush(self._planned, (accepted_at + step, canary))

    def found(self, canary: str, seen_at: float) -> None:
        """Learn from a canary that arrived; its other looks are not needed any more."""
        if (one := self._awaited.pop(canary, None)) is not None:
            self._paces[one.path].learn(seen_at - one.accepted_at)

    def looked(self, began_at: float, ended_at: float, slowness: float = 1.0) -> None:
        """Take note of a look: it serves all that were planned before it, and costs some rest, times *slowness*."""
        while self._planned and self._planned[0][0] <= began_at:
            self._served(heapq.heappop(self._planned)[1])
        if self._missed_at is not None and self._missed_at <= began_at:
            self._missed_at = None
        self._rest_until = ended_at + _SHARE * slowness * (ended_at - began_at)

    def next_at(self) -> float | None:
        """Tell when the next planned look is due; None if none is."""
        while self._planned and self._planned[0][1] not in self._awaited:
            heapq.heappop(self._planned)
        first = self._planned[0][0] if self._planned and self._missed_at is None else self._missed_at
        return None if first is None else max(first, self._rest_until)

    def _let_go(self, before: float) -> None:
        """Keep one of the looks that were planned before a moment: what cannot be looked into must fill no memory."""
        while self._planned and self._planned[0][0] < before:
            planned_at, canary = heapq.heappop(self._planned)
            if canary in self._awaited:
                self._missed_at = planned_at
                self._served(canary)

    def _served(self, canary: str) -> None:
        """Count down the looks of a canary. After the last it is not waited for here any more, only by the judge."""
        if (one := self._awaited.get(canary)) is not None:
            one.looks -= 1
            if one.looks == 0:
                del self._awaited[canary]
