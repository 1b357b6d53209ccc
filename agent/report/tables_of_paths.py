"""Tables of what each path did, and the row of all of them together."""

from __future__ import annotations

from collections.abc import Sequence

from agent.report import words
from agent.report.change import Direction
from agent.report.document import Cell, Column, Table, Tone, cell
from agent.report.figures import OVERALL, Ends, Figures, PathFigures, Share, Summary

_ALL = "all paths"
_TONES = {Direction.BETTER: Tone.GOOD, Direction.WORSE: Tone.BAD, Direction.UNPROVEN: Tone.QUIET}
_ENDS_SHARES = {"Path": 1.7, "On time": 3.0, "Late": 0.7, "Junk": 0.7, "Lost": 0.7, "Degraded": 1.2, "Unknown": 1.2}


def ends_table(figures: Figures) -> Table:
    """Say how the canaries of each path ended."""
    titles = ("Path", "Started", "On time", "Late", "Junk", "Degraded", "Bounced", "Lost", "Refused", "Unknown")
    columns = [Column(title, _ENDS_SHARES.get(title, 1.0), title != "Path") for title in titles]
    return Table(columns, [_ends_row(_name(path), path.ends) for path in _all_paths(figures)], "No canary was sent.")


def _ends_row(name: str, ends: Ends) -> Sequence[Cell]:
    good = Tone.PLAIN if ends.is_measured else Tone.WARNING
    bad = [
        cell(words.number(one.n), Tone.BAD if one.n else Tone.QUIET)
        for one in (ends.junk, ends.degraded, ends.bounced, ends.lost, ends.refused)
    ]
    return [
        cell(name),
        cell(words.number(ends.started)),
        cell(words.share(ends.on_time) if ends.is_measured else f"not measured, {words.share(ends.on_time)}", good),
        cell(words.number(ends.late.n), Tone.WARNING if ends.late.n else Tone.QUIET),
        *bad,
        cell(words.number(ends.unknown.n), Tone.WARNING if ends.unknown.n else Tone.QUIET),
    ]


def changes_table(figures: Figures) -> Table:
    """Hold each path against earlier periods."""
    columns = [
        Column("Path", 1.2),
        Column("Against", 1.3),
        Column("On time", 2.2),
        Column("Junk", 2.2),
        Column("p95 latency", 2.2),
    ]
    rows = [
        [
            cell(_name(path)),
            cell(change.against),
            cell(words.change_of_share(change.on_time), _TONES[change.on_time.direction]),
            cell(words.change_of_share(change.junk), _TONES[change.junk.direction]),
            cell(words.change_of_seconds(change.p95), _TONES[change.p95.direction]),
        ]
        for path in _all_paths(figures)
        for change in path.changes
    ]
    return Table(columns, rows, "There is nothing to compare with.")


def weeks_table(figures: Figures) -> Table:
    """Show each path over the weeks: how much was on time, and how much landed in Junk."""
    weeks = [week.name for week in figures.overall.weeks]
    columns = [Column("Path", 1.3), Column("", 0.9), *(Column(name, 1.1, numeric=True) for name in weeks)]
    rows = []
    for path in _all_paths(figures):
        known = {week.name: week for week in path.weeks}
        shares = [known.get(name) for name in weeks]
        on_time = [_share(week.on_time if week else None, good=True) for week in shares]
        junk = [_share(week.junk if week else None, good=False) for week in shares]
        rows += [[cell(_name(path)), cell("on time"), *on_time], [cell(_name(path)), cell("junk"), *junk]]
    return Table(columns, rows, "There is nothing to compare with.")


def _share(one: Share | None, *, good: bool) -> Cell:
    if one is None or not one.of:
        return cell(words.NOTHING, Tone.QUIET)
    return cell(words.share_of(one), Tone.WARNING if one.n and not good else Tone.PLAIN)


def objective_table(figures: Figures) -> Table:
    """Say whether each path reached its objective, and how much of what may fail has failed."""
    columns = [
        Column("Path", 1.5),
        Column("Objective", 1.0, numeric=True),
        Column("On time", 2.0, numeric=True),
        Column("Failures allowed", 1.2, numeric=True),
        Column("Failures", 1.0, numeric=True),
        Column("Error budget spent", 1.3, numeric=True),
    ]
    rows = []
    for path in _all_paths(figures):
        objective = path.objective
        tone = Tone.WARNING if not path.ends.is_measured else Tone.GOOD if objective.met else Tone.BAD
        rows.append(
            [
                cell(_name(path)),
                cell(words.percent(objective.objective)),
                cell(words.share(path.ends.on_time, objective.objective)),
                cell(f"{objective.allowed:.0f}"),
                cell(words.number(objective.failed)),
                cell(words.percent(objective.spent) if objective.spent is not None else words.NOTHING, tone),
            ]
        )
    return Table(columns, rows, "Nothing was measured.")


def latency_table(figures: Figures) -> Table:
    """Say how long it took from the first byte to the first sight."""
    columns = [
        Column("Path", 1.5),
        *(Column(title, 1.0, numeric=True) for title in ("Canaries", "p50", "p95", "p99", "Gap p50", "Gap p95")),
    ]
    rows = [
        [
            cell(_name(path)),
            cell(words.number(path.latency.n)),
            *_quantiles(path.latency),
            cell(words.seconds(path.gap.p50)),
            cell(words.seconds(path.gap.p95)),
        ]
        for path in _all_paths(figures)
    ]
    return Table(columns, rows, "No canary arrived.")


def stages_table(figures: Figures) -> Table:
    """Say how long each stage of handing over took: median and 95th percentile."""
    known = list(figures.overall.stages)
    columns = [Column("Path", 1.4), *(Column(stage, 1.0, numeric=True) for stage in known)]
    rows = [[cell(path.path), *(_stage(path.stages.get(stage)) for stage in known)] for path in figures.paths]
    return Table(columns, rows if known else [], "No canary was accepted.")


def _stage(one: Summary | None) -> Cell:
    if one is None:
        return cell(words.NOTHING, Tone.QUIET)
    return cell(f"{words.seconds(one.p50)}, {words.seconds(one.p95)}")


def _quantiles(one: Summary) -> Sequence[Cell]:
    return [cell(words.seconds(value)) for value in (one.p50, one.p95, one.p99)]


def _all_paths(figures: Figures) -> Sequence[PathFigures]:
    return [*figures.paths, figures.overall] if len(figures.paths) != 1 else figures.paths


def _name(path: PathFigures) -> str:
    return path.path if path.path != OVERALL else _ALL
