"""When to look for a canary that was just accepted. Pure.

Being told by the server is not enough: Dovecot holds every notice back for half a second. So each accepted canary
brings a few looks of its own, at growing steps. Where earlier canaries of the same path took a known time, the
looks gather around it; until then they spread out from a few milliseconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

_REMEMBERED = 32
_ENOUGH = 5
_BLIND_STEPS = (0.004, 0.006, 0.01, 0.015, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.35, 0.6, 1.0, 1.7, 3.0, 5.0)
_AROUND = (0.9, 1.0, 1.1, 1.25, 1.6, 2.5, 4.0)
_SHORTEST = 0.002
_SPREAD = 1.5


class Pace:
    """What one path taught about how long delivery takes, in seconds."""

    def __init__(self) -> None:
        self._deliveries: deque[float] = deque(maxlen=_REMEMBERED)

    def learn(self, delivery: float) -> None:
        """Remember how long one delivery took."""
        self._deliveries.append(max(0.0, delivery))

    def steps(self) -> Sequence[float]:
        """Say after how many seconds from acceptance to look, in order."""
        if len(self._deliveries) < _ENOUGH:
            return _BLIND_STEPS
        ordered = sorted(self._deliveries)
        low, middle = ordered[len(ordered) // 10], ordered[len(ordered) // 2]
        steps: list[float] = []
        for wanted in (low * 0.9, *(middle * factor for factor in _AROUND)):
            step = max(_SHORTEST, wanted)
            if not steps or step >= steps[-1] + _SHORTEST:
                steps.append(step)
        while len(steps) < len(_BLIND_STEPS) and steps[-1] < _BLIND_STEPS[-1]:
            steps.append(steps[-1] * _SPREAD)
        return steps
