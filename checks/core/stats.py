"""Statistics that a person may hold a decision against: quantiles, and intervals around shares and their change.

Pure arithmetic on counts and sorted values; nothing here draws random numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.959963984540054
"""The standard normal deviate of a two-sided 95 % interval."""


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`, both included."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        """Tell whether *value* lies inside."""
        return self.low <= value <= self.high


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below or at which *share* of the *ordered* values lie, between neighbours by proportion.

    This is definition 7 of Hyndman and Fan (1996), the default of numpy, pandas and R.

    Raises:
        ValueError: there are no values.
    """
    if not ordered:
        raise ValueError("no values have no quantile")
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def wilson(hits: int, n: int, *, z: float = Z95) -> Interval:
    """Bound the share that *hits* of *n* are a sample of, by the score method (Wilson 1927); all of it if n is 0."""
    if n == 0:
        return Interval(0.0, 1.0)
    share, square = hits / n, z * z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return Interval(0.0 if hits == 0 else middle - half, 1.0 if hits == n else middle + half)


def newcombe(hits: int, n: int, hits_before: int, n_before: int, *, z: float = Z95) -> Interval:
    """Bound by how much a share has changed, from *hits_before* of *n_before* to *hits* of *n*.

    Newcombe (1998), "Interval estimation for the difference between independent proportions", method 10: the
    hybrid score interval. It stays sensible where all or none were hits, as is usual for mail that is delivered.
    """
    if n == 0 or n_before == 0:
        return Interval(-1.0, 1.0)
    now, before = hits / n, hits_before / n_before
    around, around_before = wilson(hits, n, z=z), wilson(hits_before, n_before, z=z)
    change = now - before
    down = math.hypot(now - around.low, around_before.high - before)
    up = math.hypot(around.high - now, before - around_before.low)
    return Interval(max(-1.0, change - down), min(1.0, change + up))
