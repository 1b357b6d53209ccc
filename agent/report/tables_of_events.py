"""Tables of what happened, when, and what to do about it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from agent.report import words
from agent.report.document import Column, Table, Tone, cell
from agent.report.figures import Figures
from agent.report.incidents import Incident

_SOON = 30 * 86400.0


def lasted(incident: Incident, figures: Figures) -> float:
    """Tell for how many seconds an incident lasted; until now if it is open."""
    ended = incident.ended if incident.ended is not None else min(figures.until, figures.made)
    return max(0.0, ended - incident.began)


def incidents_table(figures: Figures, zone: ZoneInfo) -> Table:
    """List the incidents."""
    titles = {
        "From": 1.1,
        "Until": 1.1,
        "Path": 1.25,
        "What": 1.1,
        "In the server's words": 2.2,
        "What to do": 2.2,
        "Known after": 0.8,
        "Lasted": 0.9,
    }
    columns = [Column(title, share) for title, share in titles.items()]
    rows = [
        [
            cell(words.moment(one.began, zone)),
            cell("still open", Tone.BAD) if one.ended is None else cell(words.moment(one.ended, zone)),
            cell(one.path),
            cell(_what(one), Tone.BAD),
            cell(_said(one)),
            cell(one.fix or words.NOTHING),
            cell(words.seconds(one.time_to_detect)),
            cell(words.seconds(lasted(one, figures))),
        ]
        for one in figures.incidents
    ]
    return Table(columns, rows, "There was no incident.")


def refusals_table(figures: Figures, zone: ZoneInfo) -> Table:
    """List what servers refused most often, and what it means."""
    columns = [
        Column("Times", 0.6, numeric=True),
        Column("Path", 1.2),
        Column("Reply", 2.4),
        Column("Means", 2.2),
        Column("What to do", 2.6),
        Column("Last", 0.9),
    ]
    rows = [
        [
            cell(words.number(one.n)),
            cell(f"{one.path}, {one.stage}" if one.stage else one.path),
            cell(" ".join(str(part) for part in (one.code, one.enhanced, one.text) if part)),
            cell(one.meaning or "not in the catalogue", Tone.PLAIN if one.meaning else Tone.QUIET),
            cell(one.fix or words.NOTHING),
            cell(words.moment(one.last, zone)),
        ]
        for one in figures.refusals
    ]
    return Table(columns, rows, "No server refused a canary.")


def unobserved_table(figures: Figures, zone: ZoneInfo) -> Table:
    """List the times in which something was not observed."""
    columns = [
        Column("From", 1.0),
        Column("Until", 1.0),
        Column("What", 1.0),
        Column("Why", 2.5),
        Column("Lasted", 0.8),
    ]
    rows = [
        [
            cell(words.moment(one.began, zone)),
            cell(words.moment(one.ended, zone)),
            cell(one.what),
            cell(one.why),
            cell(words.seconds(one.ended - one.began)),
        ]
        for one in figures.unobserved
    ]
    nothing = "Nothing was sent, so there was nothing to observe."
    return Table(columns, rows, "Everything was observed." if figures.overall.ends.started else nothing)


def unknown_table(figures: Figures) -> Table:
    """Say why the fate of canaries is unknown."""
    reasons = [
        [cell(path.path), cell(words.number(n)), cell(reason)]
        for path in figures.paths
        for reason, n in path.unknown_reasons.items()
    ]
    columns = [Column("Path", 1.0), Column("Unknown", 0.8, numeric=True), Column("Why", 4.0)]
    return Table(columns, reasons, "No canary's fate is unknown.")


def ahead_table(figures: Figures, zone: ZoneInfo) -> Table:
    """List what will end."""
    columns = [Column("When", 1.0), Column("What", 2.5), Column("What to do", 3.0)]
    rows = [
        [
            cell(
                f"{datetime.fromtimestamp(one.when, zone):%Y-%m-%d}",
                Tone.BAD if one.when - figures.made < _SOON else Tone.PLAIN,
            ),
            cell(one.what),
            cell(one.fix),
        ]
        for one in figures.ahead
    ]
    return Table(columns, rows, "Nothing is known to end.")


def _what(incident: Incident) -> str:
    often = f", {incident.runs} times" if incident.runs > 1 else ""
    return f"{incident.outcome.replace('_', ' ')}{often} ({words.number(incident.failures)} canaries)"


def _said(incident: Incident) -> str:
    began = f" (began as: {incident.began_as})" if incident.began_as else ""
    return f"{incident.words}{began}" or words.NOTHING
