"""Tables of what happened, when, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from agent.report import words
from agent.report.document import Cell, Column, Note, Table, Tone, cell
from agent.report.figures import Figures, TopRefusal
from agent.report.incidents import Incident
from agent.status import Ahead
from checks.core.model import Outcome

_SOON = 30 * 86400.0
_SAID = {
    Outcome.BOUNCED,
    Outcome.TLS_FAILED,
    Outcome.AUTH_FAILED,
    Outcome.DEFERRED,
    Outcome.REJECTED,
    Outcome.ACCEPTED,
}
"""What a server itself gave words to; of the rest, the words are the agent's own."""


def lasted(incident: Incident, figures: Figures) -> float:
    """Tell for how many seconds an incident lasted; until now if it is open."""
    ended = incident.ended if incident.ended is not None else min(figures.until, figures.made)
    return max(0.0, ended - incident.began)


def incidents_table(figures: Figures, zone: ZoneInfo) -> Table:
    """List the incidents, with what was said, why it was and what to do beneath each."""
    titles = {"From": 1.2, "Until": 1.2, "Path": 1.2, "What": 1.2, "Failed": 0.7}
    columns = [Column(title, share, numeric=title == "Failed") for title, share in titles.items()]
    rows = [
        [
            cell(words.moment(one.began, zone)),
            cell("still open", Tone.BAD) if one.ended is None else cell(words.moment(one.ended, zone)),
            cell(one.path),
            cell(one.outcome.replace("_", " "), Tone.BAD),
            cell(words.number(one.failures)),
        ]
        for one in figures.incidents
    ]
    notes = [_incident_notes(one, figures) for one in figures.incidents]
    return Table(columns, rows, "There was no incident.", notes)


def _incident_notes(incident: Incident, figures: Figures) -> Sequence[Note]:
    span = words.seconds(lasted(incident, figures))
    often = f"came and went {words.number(incident.runs)} times within {span}" if incident.runs > 1 else span
    found = [Note("Lasted", f"{often}; known after {words.seconds(incident.time_to_detect)}")]
    if incident.removed:
        why = "its check was taken out of the settings, or moved to another path: nobody has seen it mended"
        found.append(Note("Not tested since", why))
    if incident.words:
        found.append(Note("In the server's words" if incident.outcome in _SAID else "What was found", incident.words))
    if incident.began_as:
        found.append(Note("Began as", incident.began_as))
    if incident.meaning:
        found.append(Note("Cause", incident.meaning))
    if incident.fix:
        found.append(Note("What to do", incident.fix))
    return found


def refusals_table(figures: Figures, zone: ZoneInfo) -> Table:
    """List what servers refused most often, and what it means."""
    columns = [
        Column("Path", 1.4),
        Column("Stage", 1.0),
        Column("Reply", 1.2),
        Column("First", 1.2),
        Column("Last", 1.2),
        Column("Times", 0.7, numeric=True),
    ]
    rows = [
        [
            cell(one.path),
            cell(one.stage or words.NOTHING),
            cell(" ".join(str(part) for part in (one.code, one.enhanced) if part) or words.NOTHING),
            cell(words.moment(one.first, zone)),
            cell(words.moment(one.last, zone)),
            cell(words.number(one.n)),
        ]
        for one in figures.refusals
    ]
    told = {(one.path, one.fix): words.moment(one.began, zone) for one in figures.incidents}
    notes = [_refusal_notes(one, told.get((one.path, one.fix))) for one in figures.refusals]
    return Table(columns, rows, "No server refused a canary.", notes)


def _refusal_notes(one: TopRefusal, incident: str | None) -> Sequence[Note]:
    """Tell the reply in its words, and what it means; what an *incident* says already is not said again."""
    found = [Note("In its words", one.text)] if one.text else []
    if incident is not None:
        return [*found, Note("What to do", f"see the incident of {incident}")]
    found.append(Note("Means", one.meaning or "this reply is not in the catalogue"))
    return [*found, Note("What to do", one.fix)] if one.fix else found


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


def ahead_table(endings: Sequence[Ahead], now: float, zone: ZoneInfo) -> Table:
    """List what will end, with what to do beneath each."""
    rows = [[_day(one.when, now, zone), cell(one.what)] for one in endings]
    notes = [[Note("What to do", one.fix)] for one in endings]
    return Table([Column("When", 1.0), Column("What", 5.0)], rows, "Nothing is known to end.", notes)


def _day(when: float | None, now: float, zone: ZoneInfo) -> Cell:
    if when is None:
        return cell("not known", Tone.WARNING)
    return cell(f"{datetime.fromtimestamp(when, zone):%Y-%m-%d}", Tone.BAD if when - now < _SOON else Tone.PLAIN)
