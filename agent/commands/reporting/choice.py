"""Which period and which form of a report somebody asks for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.report import period
from agent.report.forms import FORMS
from agent.report.period import Period

_SUFFIXES = {".html": "html", ".htm": "html", ".pdf": "pdf", ".csv": "csv", ".json": "json", ".txt": "text"}


class WrongChoice(ValueError):
    """What was asked for makes no sense; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was asked for, as it was written."""

    week: str | None = None
    since: str | None = None
    until: str | None = None
    form: str | None = None
    output: Path | None = None

    def period(self, zone: ZoneInfo, now: datetime, first: float | None) -> Period:
        """Tell the period: the one that was named, else the last complete week, else the week that is running.

        *first* is when the oldest canary on record was started, in Unix time; a week before it has nothing to tell.

        Raises:
            WrongChoice: there is no such period.
        """
        if self.week is not None and (self.since is not None or self.until is not None):
            raise WrongChoice("choose one of --week and --since with --until")
        if self.until is not None and self.since is None:
            raise WrongChoice("--until needs --since: say where the report is to begin")
        try:
            if self.week is not None:
                return period.week(self.week, zone)
            if self.since is not None:
                return period.between(_moment(self.since, zone, now), _moment(self.until, zone, now))
        except ValueError as error:
            raise WrongChoice(str(error)) from None
        running = period.week_of(now, zone)
        last = period.weeks_before(running, 1)
        complete = period.week_of(last.since, zone)
        if first is not None and first < running.since.timestamp():
            return complete
        return running

    def written_as(self) -> str:
        """Tell the form: the one that was named, else what the name of the file says, else text.

        Raises:
            WrongChoice: there is no such form.
        """
        if self.form is not None:
            if self.form not in FORMS:
                raise WrongChoice(f"{self.form!r} is not one of {', '.join(FORMS)}")
            return self.form
        if self.output is not None and self.output.suffix:
            suffix = self.output.suffix.lower()
            if suffix not in _SUFFIXES:
                raise WrongChoice(f"{self.output.name}: say by --format what to write: {', '.join(FORMS)}")
            return _SUFFIXES[suffix]
        return "text"


def _moment(text: str | None, zone: ZoneInfo, now: datetime) -> datetime:
    """Read ``2026-11-16`` (its midnight) or ``2026-11-16T07:30``, in *zone* unless it says otherwise."""
    if text is None:
        return now.astimezone(zone)
    try:
        if len(text) == len("2026-11-16"):
            return datetime.combine(date.fromisoformat(text), time(), zone)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise WrongChoice(f"{text[:40]!r} is not a day or a moment: write 2026-11-16 or 2026-11-16T07:30") from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(zone)
