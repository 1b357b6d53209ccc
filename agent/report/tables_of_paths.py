"""Tables of what each path did, and the row of all of them together."""

from __future__ import annotations

from collections.abc import Sequence

from agent.report import words
from agent.report.change import Change, Direction
from agent.report.document import Cell, Column, Table, Tone, cell
from agent.report.figures import OVERALL, Changes, Figures, PathFigures, Share, Summary, Week

_ALL = "all paths"
_TONES = {Direction.BETTER: Tone.GOOD, Direction.WORSE: Tone.BAD, Direction.UNPROVEN: Tone.QUIET}
_TROUBLES = {
    "late": Tone.WARNING,
    "junk": Tone.BAD,
    "degraded": Tone.WARNING,
    "bounced": Tone.BAD,
    "lost": Tone.BAD,
    "refused": Tone.BAD,
    "unknown": Tone.WARNING,
}
"""What may become of a canary instead of being on time, and how bad that is."""


def ends_table(figures: Figures) -> Table:
    """Say how the canaries of each path ended; what happened to none has no column."""
    happened = [name for name in _TROUBLES if _share(figures.overall, name).n]
    columns = [
        Column("Path", 1.7),
        *(Column(title, 1.0, numeric=True) for title in ("Started", "Known", "On time", "Share")),
        *(Column(name.capitalize(), 1.0, numeric=True) for name in happened),
    ]
    return Table(columns, [_ends_row(path, happened) for path in all_paths(figures)], "No canary was sent.")


def nothing_of(figures: Figures) -> str:
    """Say which troubles no canary had; empty where each was had."""
    spared = [name for name in _TROUBLES if not _share(figures.overall, name).n]
    if not spared or not figures.overall.ends.started:
        return ""
    *some, last = ["of unknown fate" if name == "unknown" else name for name in spared]
    return f"No canary was {', '.join(some)}{' or ' if some else ''}{last}."


def _ends_row(path: PathFigures, happened: Sequence[str]) -> Sequence[Cell]:
    ends = path.ends
    share = words.percent(ends.on_time.value, path.objective.objective) if ends.is_measured else "not measured"
    troubles = [(_share(path, name), _TROUBLES[name]) for name in happened]
    return [
        cell(path_name(path)),
        cell(words.number(ends.started)),
        cell(words.number(ends.measured)),
        cell(words.number(ends.on_time.n)),
        cell(share, Tone.PLAIN if ends.is_measured else Tone.WARNING),
        *(cell(words.number(one.n), tone if one.n else Tone.QUIET) for one, tone in troubles),
    ]


def _share(path: PathFigures, name: str) -> Share:
    found: Share = getattr(path.ends, name)
    return found


def changes_table(figures: Figures) -> Table:
    """Hold each path against earlier periods."""
    columns = [
        Column("Path", 1.1, once=True),
        Column("Against", 1.2),
        Column("On time", 2.2),
        Column("Junk", 2.2),
        Column("p95 latency", 2.2),
    ]
    rows = [
        [
            cell(path_name(path)),
            cell(change.against),
            cell(words.change_of_share(change.on_time), _TONES[change.on_time.direction]),
            cell(words.change_of_share(change.junk), _TONES[change.junk.direction]),
            cell(words.change_of_seconds(change.p95), _TONES[change.p95.direction]),
        ]
        for path in all_paths(figures)
        for change in path.changes
    ]
    return Table(columns, rows, "There is nothing to compare with.")


def weeks_table(figures: Figures) -> Table:
    """Show each path over the weeks: of how many known canaries, how much was on time, how much landed in Junk."""
    weeks = [week.name for week in figures.overall.weeks]
    columns = [
        Column("Path", 1.3, once=True),
        Column("What", 0.9),
        *(Column(name, 1.1, numeric=True) for name in weeks),
    ]
    rows: list[Sequence[Cell]] = []
    for path in all_paths(figures):
        known = {week.name: week for week in path.weeks}
        mine = [known.get(name) for name in weeks]
        on_time = [_of(week.on_time if week else None, good=True) for week in mine]
        rows.append([cell(path_name(path)), cell("canaries"), *_known(mine)])
        rows.append([cell(path_name(path)), cell("on time"), *on_time])
        if any(week is not None and week.junk.n for week in mine):
            junk = [_of(week.junk if week else None, good=False) for week in mine]
            rows.append([cell(path_name(path)), cell("in Junk"), *junk])
    return Table(columns, rows, "There is nothing to compare with.")


def _known(weeks: Sequence[Week | None]) -> Sequence[Cell]:
    return [cell(words.number(week.on_time.of) if week else words.NOTHING, Tone.QUIET) for week in weeks]


def _of(one: Share | None, *, good: bool) -> Cell:
    if one is None or not one.of:
        return cell(words.NOTHING, Tone.QUIET)
    return cell(words.percent(one.value), Tone.WARNING if one.n and not good else Tone.PLAIN)


def objective_table(figures: Figures) -> Table:
    """Say whether each path reached its objective, and how much of what may fail has failed."""
    columns = [
        Column("Path", 1.5),
        Column("Objective", 1.0, numeric=True),
        Column("On time", 1.0, numeric=True),
        Column("Known", 1.0, numeric=True),
        Column("May fail", 1.0, numeric=True),
        Column("Failed", 1.0, numeric=True),
        Column("Budget spent", 1.2, numeric=True),
    ]
    rows = []
    for path in all_paths(figures):
        objective = path.objective
        tone = Tone.WARNING if not path.ends.is_measured else Tone.GOOD if objective.met else Tone.BAD
        rows.append(
            [
                cell(path_name(path)),
                cell(words.percent(objective.objective)),
                cell(words.percent(path.ends.on_time.value, objective.objective)),
                cell(words.number(path.ends.measured)),
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
            cell(path_name(path)),
            cell(words.number(path.latency.n)),
            *_quantiles(path.latency),
            cell(words.seconds(path.gap.p50)),
            cell(words.seconds(path.gap.p95)),
        ]
        for path in all_paths(figures)
    ]
    return Table(columns, rows, "No canary arrived.")


def stages_table(figures: Figures, paths: Sequence[PathFigures]) -> Table:
    """Say how long each stage of handing over took, on these *paths* and on all together."""
    columns = [
        Column("Path", 1.5, once=True),
        Column("Stage", 1.2),
        *(Column(title, 1.0, numeric=True) for title in ("Canaries", "p50", "p95", "p99")),
    ]
    told = [*paths, figures.overall] if len(figures.paths) != 1 else paths
    rows = [
        [cell(path_name(path)), cell(stage), cell(words.number(one.n)), *_quantiles(one)]
        for path in told
        for stage, one in path.stages.items()
    ]
    return Table(columns, rows, "No canary was accepted.")


def steps_table(figures: Figures) -> Table:
    """List the stages and hops whose 95th percentile has changed."""
    columns = [
        Column("Path", 1.2, once=True),
        Column("Step", 1.0),
        Column("Against", 1.4),
        Column("p95", 0.9, numeric=True),
        Column("Change", 2.6),
    ]
    rows = [
        [
            cell(path.path),
            cell(step),
            cell(changes.against),
            cell(words.seconds(change.now)),
            cell(words.change_of_seconds(change), _TONES[change.direction]),
        ]
        for path in figures.paths
        for changes in path.changes
        for step, change in compared_steps(changes)
        if change.direction is not Direction.UNPROVEN
    ]
    return Table(columns, rows, "There is no evidence of change in any of them.")


def compared_steps(changes: Changes) -> Sequence[tuple[str, Change]]:
    """List the stages and hops of which enough is known on both sides to compare them."""
    hops = {f"hop {hop}": change for hop, change in changes.hops.items()}
    return [(step, change) for step, change in (*changes.stages.items(), *hops.items()) if change.is_enough]


def _quantiles(one: Summary) -> Sequence[Cell]:
    return [cell(words.seconds(value)) for value in (one.p50, one.p95, one.p99)]


def all_paths(figures: Figures) -> Sequence[PathFigures]:
    """List the paths, and after several all of them together."""
    return [*figures.paths, figures.overall] if len(figures.paths) != 1 else figures.paths


def path_name(path: PathFigures) -> str:
    """Name a path, or all of them together."""
    return path.path if path.path != OVERALL else _ALL
