"""Tables of what headers say: what receivers stamped, and how long each hop took."""

from __future__ import annotations

from collections.abc import Sequence

from agent.report import words
from agent.report.document import Cell, Column, Table, Tone, cell
from agent.report.figures import Figures, PathFigures, Share

_MOST_RESULTS = 3
_FIXED = "\N{NO-BREAK SPACE}"


def authentication_table(figures: Figures) -> Table:
    """Say how many canaries of each path passed each mechanism, week by week, and what the others got."""
    weeks = [week.name for week in figures.overall.weeks]
    columns = [
        Column("Path", 1.2),
        Column("Mechanism", 1.0),
        *(Column(name, 1.3, numeric=True) for name in weeks),
        Column("Other results", 1.2),
    ]
    rows = [
        [cell(path.path), cell(mechanism), *_weeks(path, mechanism, weeks), _others(path, mechanism)]
        for path in figures.paths
        for mechanism in sorted({name for week in path.weeks for name in week.authentication})
    ]
    return Table(columns, rows, "No header was read.")


def hops_table(figures: Figures) -> Table:
    """Say how long it took from server to server."""
    columns = [
        Column("Path", 1.6),
        Column("To hop", 0.8, numeric=True),
        *(Column(title, 1.0, numeric=True) for title in ("Canaries", "p50", "p95", "p99")),
    ]
    rows = [
        [
            cell(path.path),
            cell(one.hop),
            cell(words.number(one.latency.n)),
            *(cell(_whole(value)) for value in (one.latency.p50, one.latency.p95, one.latency.p99)),
        ]
        for path in figures.paths
        for one in path.hops
    ]
    return Table(columns, rows, "No server dated a hop.")


def _whole(seconds: float | None) -> str:
    """Write a delay as exactly as servers' stamps are: in seconds, mostly whole ones."""
    return words.NOTHING if seconds is None else f"{seconds:.3g}{_FIXED}s"


def _weeks(path: PathFigures, mechanism: str, weeks: Sequence[str]) -> Sequence[Cell]:
    known = {week.name: week.authentication.get(mechanism, Share(0, 0)) for week in path.weeks}
    return [_passed(known.get(name, Share(0, 0))) for name in weeks]


def _passed(share: Share) -> Cell:
    if not share.of:
        return cell(words.NOTHING, Tone.QUIET)
    return cell(words.share_of(share), Tone.PLAIN if share.n == share.of else Tone.WARNING)


def _others(path: PathFigures, mechanism: str) -> Cell:
    others = {result: n for result, n in path.authentication.get(mechanism, {}).items() if result != "pass"}
    if not others:
        return cell(words.NOTHING, Tone.QUIET)
    most = sorted(others.items(), key=lambda item: -item[1])
    told = [f"{result} {words.number(n)}" for result, n in most[:_MOST_RESULTS]]
    return cell(", ".join(told) + (", and more" if len(most) > _MOST_RESULTS else ""), Tone.WARNING)
