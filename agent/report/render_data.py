"""The figures as data: JSON with everything, CSV with one figure a line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from agent.log import plain
from agent.report.change import Change
from agent.report.figures import OVERALL, Ends, Figures, Objective, PathFigures, Share, Summary
from agent.report.incidents import Incident

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_COMPUTED: Mapping[type[Any], Sequence[str]] = {
    Share: ("value",),
    Ends: ("is_measured",),
    Objective: ("met", "spent"),
    Change: ("difference",),
    Incident: ("time_to_detect",),
}


def as_json(figures: Figures) -> str:
    """Write all figures as one JSON object; durations in seconds, moments in Unix time."""
    return json.dumps(_plain(figures), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(figures: Figures) -> str:
    """Write the figures of each path as CSV (RFC 4180): period, path, figure, value, and of how many."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(("period", "path", "figure", "value", "of"))
    for path in (*figures.paths, figures.overall):
        name = path.path if path.path != OVERALL else "(all)"
        for row in _rows(path):
            writer.writerow([_safe(one) for one in (figures.name, name, *row)])
    return out.getvalue()


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        names = [*(one.name for one in fields(value)), *_COMPUTED.get(type(value), ())]
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _rows(path: PathFigures) -> Iterator[tuple[str, object, object]]:
    told = path.ends
    for name in ("started", "in_flight", "concluded", "measured"):
        yield name, getattr(told, name), ""
    for name in ("on_time", "late", "junk", "degraded", "bounced", "lost", "refused", "unknown"):
        share: Share = getattr(told, name)
        yield name, share.n, share.of
    yield "objective", path.objective.objective, ""
    yield "error_budget_spent", "" if path.objective.spent is None else path.objective.spent, ""
    yield from _durations("end_to_end_seconds", path.latency)
    yield from _durations("observation_gap_seconds", path.gap)
    for stage, one in path.stages.items():
        yield from _durations(f"stage_{stage}_seconds", one)
    for hop in path.hops:
        yield from _durations(f"hop_{hop.hop}_seconds", hop.latency)
    if path.filtering is not None:
        for level, n in path.filtering.scl.items():
            yield f"scl_{level or 'none'}", n, path.filtering.junk.of
        yield "marked_junk", path.filtering.junk.n, path.filtering.junk.of
    for mechanism, results in path.authentication.items():
        for result, n in results.items():
            yield f"{mechanism}_{result}", n, sum(results.values())


def _durations(name: str, one: Summary) -> Iterator[tuple[str, object, object]]:
    for quantile in ("p50", "p95", "p99"):
        value = getattr(one, quantile)
        yield f"{name}_{quantile}", "" if value is None else value, one.n


def _safe(value: object) -> object:
    """Keep a spreadsheet from taking somebody's words for a formula."""
    if not isinstance(value, str):
        return value
    shown = plain(value)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown
