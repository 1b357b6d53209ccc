"""Quantiles of durations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from agent.ledger.past import HeaderCount
from agent.report.figures import Hop, Hour, Summary
from agent.report.tally import Numbers, PathTally

_SHARES = (0.5, 0.95, 0.99)


def summary(seconds: Numbers) -> Summary:
    """Summarise durations by quantiles between neighbours (definition 7 of Hyndman and Fan 1996)."""
    if not seconds.size:
        return Summary(n=0)
    p50, p95, p99 = (float(value) for value in np.quantile(seconds, _SHARES))
    return Summary(n=int(seconds.size), p50=p50, p95=p95, p99=p99)


def by_hour(path: PathTally) -> Sequence[Hour]:
    """Summarise the latencies of each hour in which something was seen."""
    hours, seconds = path.hours.all().astype(np.int32), path.seconds.all()
    if not hours.size:
        return []
    order = np.argsort(hours, kind="stable")
    found, begins = np.unique(hours[order], return_index=True)
    parts = np.split(seconds[order], begins[1:])
    return [Hour(hour=int(hour), latency=summary(part)) for hour, part in zip(found, parts, strict=True)]


def by_hop(counts: Iterable[HeaderCount], hosts: Sequence[str | None] = ()) -> Sequence[Hop]:
    """Summarise the delay to each hop; *hosts* names those of the newest canary."""
    names = dict(enumerate(hosts, start=1))
    hops: dict[int, dict[float, int]] = {}
    for one in counts:
        for hop, seconds in enumerate(one.delays, start=2):
            if seconds is not None:
                mine = hops.setdefault(hop, {})
                mine[seconds] = mine.get(seconds, 0) + one.n
    return [Hop(hop=hop, latency=summary(_spread(mine)), host=names.get(hop)) for hop, mine in sorted(hops.items())]


def _spread(counts: Mapping[float, int]) -> Numbers:
    return np.repeat(np.array(list(counts), dtype=np.float64), list(counts.values()))
