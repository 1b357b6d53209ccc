"""What a report cannot tell, because nobody looked or nothing was sent, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent.ledger.history import BlindRecord, History, Span
from agent.report.figures import Unobserved
from agent.report.tally import PathTally, Tally

_HOUR = 3600.0


def unobserved(history: History, tally: Tally, span: Span, offset: float, first: float | None) -> Sequence[Unobserved]:
    """List what was not observed within *span*, which ends with the present at the latest, by its beginning.

    *offset* is that of the newest run, and *first* when the oldest canary on record was started.
    """
    silent = list(_silent_hours(tally.paths.values(), span, first))
    blind = [
        Unobserved(what=f"mailbox {one.mailbox}", why=_why(one, silent), began=one.began, ended=one.ended)
        for one in _merged(history.blind_spans(span, offset))
    ]
    return sorted([*silent, *blind], key=lambda one: (one.began, one.what))


def _silent_hours(paths: Iterable[PathTally], span: Span, first: float | None) -> Iterable[Unobserved]:
    """Join the whole hours in which no path sent anything; before the first canary there was nothing to observe."""
    busy = {hour for path in paths for hour, counts in path.by_hour.items() if counts.started}
    begin = span.since if first is None else max(span.since, first)
    began: int | None = None
    last = int((span.until - span.since) // _HOUR)
    start = -int(-(begin - span.since) // _HOUR)
    for hour in range(start, last + 1):
        if hour < last and hour not in busy:
            began = hour if began is None else began
        elif began is not None:
            yield Unobserved(
                what="every path",
                why="no canary was started: the agent was not running, or could not write its ledger",
                began=span.since + began * _HOUR,
                ended=span.since + hour * _HOUR,
            )
            began = None


def _merged(records: Iterable[BlindRecord]) -> Sequence[BlindRecord]:
    """Join the spans of a mailbox's folders that overlap."""
    merged: dict[str, list[BlindRecord]] = {}
    for one in sorted(records, key=lambda record: record.began):
        mine = merged.setdefault(one.mailbox, [])
        if mine and one.began <= mine[-1].ended:
            last = mine.pop()
            one = BlindRecord(one.mailbox, last.folder, last.began, max(last.ended, one.ended))  # noqa: PLW2901
        mine.append(one)
    return [one for mine in merged.values() for one in mine]


def _why(one: BlindRecord, silent: Sequence[Unobserved]) -> str:
    if any(hole.began <= one.ended and one.began <= hole.ended for hole in silent):
        return "the agent was not running, or could not look"
    return "the mailbox could not be read"
