"""Tables of what headers say: what receivers stamped, and how long each hop took."""

from __future__ import annotations

from collections.abc import Sequence

from agent.report import words
from agent.report.document import Cell, Column, Table, Tone, cell
from agent.report.figures import Figures, PathFigures, Share, Week
from checks.core.findings import JUNK_FROM_SCL

_MOST_RESULTS = 3
_LONGEST_HOST = 24
_FIXED = "\N{NO-BREAK SPACE}"


def authentication_table(figures: Figures) -> Table:
    """Say, week by week, how many canaries of each path were stamped, how many of them passed, and what others got."""
    names = [week.name for week in figures.overall.weeks]
    columns = [
        Column("Path", 1.2, once=True),
        Column("Mechanism", 1.0),
        *(Column(name, 1.1, numeric=True) for name in names),
        Column("Other results", 1.3),
    ]
    rows: list[Sequence[Cell]] = []
    for path in figures.paths:
        known = {week.name: week for week in path.weeks}
        weeks = [known.get(name) for name in names]
        mechanisms = sorted({name for week in path.weeks for name in week.authentication})
        if mechanisms:
            stamped = [cell(words.number(_stamped(week)), Tone.QUIET) for week in weeks]
            rows.append([cell(path.path), cell("stamped"), *stamped, cell("")])
        rows += [
            [cell(path.path), cell(name), *(_passed(week, name) for week in weeks), _others(path, name)]
            for name in mechanisms
        ]
    if not any(row[-1].text for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Table(columns, rows, "No header was read.")


def filtering_table(figures: Figures) -> Table:
    """Say how sure Exchange's filter was that the canaries of each path are spam, by their level (-1 to 9)."""
    read = [(path, path.filtering) for path in figures.paths if path.filtering is not None and path.filtering.junk.of]
    known = {level for _, filtering in read for level in filtering.scl}
    levels = sorted(known - {""}, key=int) + sorted(known & {""})
    columns = [
        Column("Path", 1.4),
        Column("Headers read", 1.1, numeric=True),
        *(Column(f"SCL {level}" if level else "no SCL", 0.9, numeric=True) for level in levels),
        Column("Marked junk", 1.1, numeric=True),
    ]
    rows = [
        [
            cell(path.path),
            cell(words.number(filtering.junk.of)),
            *(_level(level, filtering.scl.get(level, 0)) for level in levels),
            cell(words.number(filtering.junk.n), Tone.BAD if filtering.junk.n else Tone.QUIET),
        ]
        for path, filtering in read
    ]
    return Table(columns, rows, "No header was read.")


def _level(level: str, n: int) -> Cell:
    spam = bool(level) and int(level) >= JUNK_FROM_SCL
    return cell(words.number(n), Tone.QUIET if not n else Tone.BAD if spam else Tone.PLAIN)


def hops_table(paths: Sequence[PathFigures]) -> Table:
    """Say how long it took from server to server, on these *paths*."""
    columns = [
        Column("Path", 1.6, once=True),
        Column("Hop", 0.5, numeric=True),
        Column("Host", 2.2),
        *(Column(title, 1.0, numeric=True) for title in ("Canaries", "p50", "p95", "p99")),
    ]
    rows = [
        [
            cell(path.path),
            cell(one.hop),
            cell(_short(one.host) if one.host else words.NOTHING),
            cell(words.number(one.latency.n)),
            *(cell(_whole(value)) for value in (one.latency.p50, one.latency.p95, one.latency.p99)),
        ]
        for path in paths
        for one in path.hops
    ]
    return Table(columns, rows, "No server dated a hop.")


def _short(host: str) -> str:
    """Shorten the name of a host by its middle: which one, and whose."""
    labels = host.split(".")
    return (
        host if len(host) <= _LONGEST_HOST else f"{labels[0][:_LONGEST_HOST]}…{'.'.join(labels[-2:])[-_LONGEST_HOST:]}"
    )


def _whole(seconds: float | None) -> str:
    """Write a delay as exactly as servers' stamps are: in seconds, mostly whole ones."""
    return words.NOTHING if seconds is None else f"{seconds:.3g}{_FIXED}s"


def _stamped(week: Week | None) -> int:
    """Tell how many canaries of a week were stamped, by the mechanism that was stamped most."""
    return max((share.of for share in week.authentication.values()), default=0) if week else 0


def _passed(week: Week | None, mechanism: str) -> Cell:
    """Write how many passed; of how many only where they are not all that were stamped."""
    share = week.authentication.get(mechanism, Share(0, 0)) if week else Share(0, 0)
    if not share.of:
        return cell(words.NOTHING, Tone.QUIET)
    tone = Tone.PLAIN if share.n == share.of else Tone.WARNING
    if share.of == _stamped(week):
        return cell(words.percent(share.value), tone)
    return cell(f"{words.percent(share.value)} of {words.number(share.of)}", tone)


def _others(path: PathFigures, mechanism: str) -> Cell:
    others = {result: n for result, n in path.authentication.get(mechanism, {}).items() if result != "pass"}
    most = sorted(others.items(), key=lambda item: -item[1])
    told = [f"{result} {words.number(n)}" for result, n in most[:_MOST_RESULTS]]
    return cell(", ".join(told) + (", and more" if len(most) > _MOST_RESULTS else ""), Tone.WARNING)
