"""Has something changed, or does it only look so? Intervals around differences, and what they allow to say."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from checks.core.stats import Interval, newcombe

ENOUGH = 100
"""Fewer canaries than this on either side tell nothing about a change."""

_RESAMPLES = 2000
_FAR_BELOW = 0.8  # of a quantile's share
_SEED = 20_241  # the same rows give the same report


class Direction(enum.StrEnum):
    """What the interval of a difference allows to say."""

    BETTER = "better"
    WORSE = "worse"
    UNPROVEN = "no evidence of change"


@dataclass(frozen=True, slots=True)
class Change:
    """From `before` to `now`, of `n_before` and `n`.

    The difference lies within `interval` with 95 % confidence; None if too little is known.
    """

    now: float | None
    before: float | None
    n: int
    n_before: int
    interval: Interval | None
    direction: Direction

    @property
    def difference(self) -> float | None:
        """By how much it changed."""
        return None if self.now is None or self.before is None else self.now - self.before

    @property
    def is_enough(self) -> bool:
        """Tell whether there are canaries enough on both sides to speak of a change."""
        return min(self.n, self.n_before) >= ENOUGH


def of_share(hits: int, n: int, hits_before: int, n_before: int, *, more_is_better: bool) -> Change:
    """Compare two shares by Newcombe's interval of their difference."""
    interval = newcombe(hits, n, hits_before, n_before) if min(n, n_before) > 0 else None
    return Change(
        now=hits / n if n else None,
        before=hits_before / n_before if n_before else None,
        n=n,
        n_before=n_before,
        interval=interval,
        direction=_direction(interval, min(n, n_before), more_is_better=more_is_better),
    )


@dataclass(frozen=True, slots=True)
class HourlyLatencies:
    """Latencies counted by hour of a period and by rounded value: (hour, seconds, n)."""

    counts: Sequence[tuple[int, float, int]]

    @property
    def n(self) -> int:
        """How many there are."""
        return sum(n for _, _, n in self.counts)


def of_quantile(now: HourlyLatencies, before: HourlyLatencies, share: float) -> Change:
    """Compare a quantile of two periods, by a bootstrap of whole hours.

    Mail that is sent within the same hour shares its fate, so single canaries are no independent witnesses; hours
    nearly are (Künsch 1989, the block bootstrap). Latencies are rounded to three digits beforehand.
    """
    enough = min(now.n, before.n) >= ENOUGH
    here, there = _Resampler(now.counts), _Resampler(before.counts)
    interval = None
    if enough:
        differences = here.resampled(share, _SEED) - there.resampled(share, _SEED + 1)
        low, high = np.quantile(differences, (0.025, 0.975))
        interval = Interval(float(low), float(high))
    return Change(
        now=here.quantile(share),
        before=there.quantile(share),
        n=now.n,
        n_before=before.n,
        interval=interval,
        direction=_direction(interval, min(now.n, before.n), more_is_better=False),
    )


def _direction(interval: Interval | None, n: int, *, more_is_better: bool) -> Direction:
    if interval is None or n < ENOUGH or 0.0 in interval:
        return Direction.UNPROVEN
    return Direction.BETTER if (interval.low > 0) == more_is_better else Direction.WORSE


class _Resampler:
    """Hours by values, as a table of counts: drawing hours anew is one product of matrices."""

    def __init__(self, counts: Iterable[tuple[int, float, int]]) -> None:
        rows = list(counts)
        hours = sorted({hour for hour, _, _ in rows})
        self._values = np.array(sorted({value for _, value, _ in rows}), dtype=np.float64)
        row_of = {hour: row for row, hour in enumerate(hours)}
        column_of = {value: column for column, value in enumerate(self._values.tolist())}
        self._table = np.zeros((len(hours), len(self._values)), dtype=np.float64)
        for hour, value, n in rows:
            self._table[row_of[hour], column_of[value]] += n

    def quantile(self, share: float) -> float | None:
        """Return the quantile of all that there is."""
        if not self._table.size:
            return None
        return float(self._quantiles(self._table.sum(axis=0, keepdims=True), share)[0])

    def resampled(self, share: float, seed: int) -> NDArray[np.float64]:
        """Return the quantile of as many hours, drawn with replacement, again and again.

        What lies far below the quantile is one column: it is counted, and never the answer, unless hours differ so
        much that the answer is no better than that.
        """
        reached = np.cumsum(self._table.sum(axis=0))
        low = int(np.argmax(reached >= share * _FAR_BELOW * reached[-1]))
        table = np.concatenate(
            [self._table[:, : low + 1].sum(axis=1, keepdims=True), self._table[:, low + 1 :]], axis=1
        )
        return self._values[low:][self._places(_draws(len(table), seed) @ table, share)]

    def _quantiles(self, tables: NDArray[np.float64], share: float) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self._values[self._places(tables, share)]
        return found

    @staticmethod
    def _places(tables: NDArray[np.float64], share: float) -> NDArray[np.intp]:
        reached = np.cumsum(tables, axis=1)
        wanted = share * reached[:, -1:]
        found: NDArray[np.intp] = np.argmax(reached >= wanted, axis=1)
        return found


@lru_cache(maxsize=8)
def _draws(hours: int, seed: int) -> NDArray[np.float64]:
    """Draw as many hours with replacement, again and again: how often each was drawn."""
    random = np.random.default_rng(seed)
    return random.multinomial(hours, np.full(hours, 1.0 / hours), size=_RESAMPLES).astype(np.float64)
