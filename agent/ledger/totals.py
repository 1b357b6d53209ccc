"""Counters and histograms as rows: collected while a transaction runs, added once at its end."""

from __future__ import annotations

import bisect
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from agent.ledger import counting
from agent.ledger.schema import histograms, meta, totals

_BASE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
# Label values that others choose, per check: a server that invents codes must not fill the metrics.
_CHOSEN_BY_OTHERS = {"smtp_replies": ("code", "enhanced"), "authentication": ("result",)}
_DISTINCT = 50
_OTHER = "other"

Key = tuple[str, str, str]

# Built once: three of these go with every canary.
_THIS_HISTOGRAM = (
    (histograms.c.owner == bindparam("check"))
    & (histograms.c.method == bindparam("way"))
    & (histograms.c.family == bindparam("kind"))
)
_COUNTS = select(histograms.c.counts, histograms.c.sum).where(_THIS_HISTOGRAM).with_for_update()
_OBSERVE = update(histograms).where(_THIS_HISTOGRAM)


def buckets(thresholds: Sequence[float]) -> tuple[float, ...]:
    """Make the one bucket list for all checks: a fixed base and every configured threshold, in seconds."""
    return tuple(sorted({*_BASE_BUCKETS, *thresholds}))


def labels_key(labels: Mapping[str, str]) -> str:
    """Write labels so that equal ones are equal text."""
    return json.dumps(labels, sort_keys=True, separators=(",", ":"))


@dataclass(slots=True)
class Changes:
    """What one piece of work adds to the totals; thrown away if the work fails.

    `buckets` are the new upper bounds of all histograms, if the work changed them.
    """

    counts: Counter[Key] = field(default_factory=Counter)
    observed: list[tuple[str, str, str, float]] = field(default_factory=list)
    buckets: Sequence[float] | None = None

    def count(self, owner: str, metric: str, labels: Mapping[str, str] | None = None, by: float = 1) -> None:
        """Add *by* to a counter of a check or a mailbox."""
        self.counts[owner, metric, labels_key(labels or {})] += by  # type: ignore[assignment]

    def observe(self, owner: str, method: str, family: str, seconds: float) -> None:
        """Add one observation to a histogram."""
        self.observed.append((owner, method, family, seconds))

    def merge(self, other: Changes) -> None:
        """Take over what *other* adds."""
        self.counts.update(other.counts)
        self.observed.extend(other.observed)
        self.buckets = other.buckets or self.buckets


def apply(connection: Connection, changes: Changes, bounds: Sequence[float]) -> None:
    """Write *changes* down, in the transaction of *connection*."""
    _add_counts(connection, changes.counts)
    _add_observations(connection, changes.observed, changes.buckets or bounds)


def adopt_buckets(connection: Connection, bounds: Sequence[float]) -> bool:
    """Make *bounds* the bucket list. If it changed, all histograms restart from zero together; tell whether.

    In either case it is on record then since when they count.
    """
    wanted = json.dumps(list(bounds))
    known = connection.execute(select(meta.c.value).where(meta.c.name == "buckets")).scalar()
    changed = known != wanted
    if known is None:
        connection.execute(insert(meta).values(name="buckets", value=wanted))
    elif changed:
        connection.execute(update(meta).where(meta.c.name == "buckets").values(value=wanted))
        connection.execute(delete(histograms))
    since = counting.since(connection)
    if changed or since is None or list(since.bounds) != list(bounds):  # an earlier version may have changed them
        counting.mark(connection, bounds)
    return changed


def _add_counts(connection: Connection, counts: Counter[Key]) -> None:
    if not counts:
        return
    counts = _bounded(connection, counts)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(totals)
    statement = statement.on_conflict_do_update(
        index_elements=[totals.c.owner, totals.c.metric, totals.c.labels],
        set_={"value": totals.c.value + statement.excluded.value},
    )
    rows = [
        {"owner": owner, "metric": metric, "labels": labels, "value": value}
        for (owner, metric, labels), value in sorted(counts.items())
    ]
    connection.execute(statement, rows)


def _bounded(connection: Connection, counts: Counter[Key]) -> Counter[Key]:
    """Fold what would be one label value too many into "other"."""
    present: dict[tuple[str, str], set[str]] = {}
    bounded: Counter[Key] = Counter()
    for (owner, metric, labels), value in counts.items():
        chosen, kept = _CHOSEN_BY_OTHERS.get(metric), labels
        if chosen is not None:
            if (owner, metric) not in present:
                this = (totals.c.owner == owner) & (totals.c.metric == metric)
                present[owner, metric] = set(connection.execute(select(totals.c.labels).where(this)).scalars())
            known = present[owner, metric]
            if labels not in known and len(known) >= _DISTINCT:
                kept = labels_key({**json.loads(labels), **dict.fromkeys(chosen, _OTHER)})
            known.add(kept)
        bounded[owner, metric, kept] += value
    return bounded


def _add_observations(
    connection: Connection, observed: Sequence[tuple[str, str, str, float]], bounds: Sequence[float]
) -> None:
    grouped: dict[tuple[str, str, str], list[float]] = {}
    for owner, method, family, seconds in observed:
        grouped.setdefault((owner, method, family), []).append(seconds)
    for (owner, method, family), values in sorted(grouped.items()):
        this = {"check": owner, "way": method, "kind": family}
        row = connection.execute(_COUNTS, this).one_or_none()
        counts = [0] * (len(bounds) + 1) if row is None else json.loads(row.counts)
        for seconds in values:
            counts[bisect.bisect_left(bounds, seconds)] += 1
        new = {"counts": json.dumps(counts), "sum": (0.0 if row is None else row.sum) + sum(values)}
        if row is None:
            connection.execute(insert(histograms).values(owner=owner, method=method, family=family, **new))
        else:
            connection.execute(_OBSERVE, {**this, **new})
