"""What a report cannot tell, because nobody looked or nothing was sent, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from agent.ledger.history import History
from agent.ledger.looks import USUAL_GAP
from agent.ledger.past import BlindRecord, Span
from agent.report.figures import Unobserved

_SHORTEST = 600.0  # seconds: a restart is no hole
_SILENT = "no canary was started: the agent was not running, or could not write its ledger"


@dataclass(slots=True)
class Holes:
    """Finds the times in which no canary was started although one was due; it is told of all starts in their order.

    `since` is when the first one could have been (Unix time), and `every` the interval of each specification in
    seconds. Of a check that is started no more, the next canary is waited for once.
    """

    since: float
    every: Mapping[int, float]
    found: list[tuple[float, float]] = field(default_factory=list)
    _newest: dict[int, float] = field(default_factory=dict)

    def take(self, specs: Sequence[int], started: Sequence[float]) -> None:
        """Go on with these starts."""
        before = max(self._newest.values(), default=self.since)
        late = np.flatnonzero(np.diff(np.array(started), prepend=before) > _SHORTEST)
        begin = 0
        for place in late.tolist():
            self._note(specs[begin:place], started[begin:place])
            self._end(started[place], self.since + self.every[specs[place]])
            begin = place
        self._note(specs[begin:], started[begin:])

    def close(self, until: float) -> None:
        """Say that nothing was started from the last start on, up to *until*."""
        self._end(until, self.since)

    def _note(self, specs: Sequence[int], started: Sequence[float]) -> None:
        self._newest.update(zip(specs, started, strict=True))

    def _end(self, at: float, first_due: float) -> None:
        newest = max(self._newest.values(), default=0.0)
        due = [last + self.every[spec] for spec, last in self._newest.items() if last + 2 * self.every[spec] >= newest]
        began = min(due, default=first_due)
        if at - began > _SHORTEST:
            self.found.append((began, at))


def unobserved(history: History, holes: Iterable[tuple[float, float]], span: Span) -> Sequence[Unobserved]:
    """List what was not observed within *span*, by its beginning: the *holes*, and mailboxes that were not read."""
    silent = [Unobserved(what="every path", why=_SILENT, began=began, ended=ended) for began, ended in holes]
    blind = [
        Unobserved(what=f"mailbox {one.mailbox}", why=_why(one, silent), began=one.began, ended=one.ended)
        for one in _merged(history.blind_spans(span, history.offset(span.until), usual=USUAL_GAP))
    ]
    return sorted([*silent, *blind], key=lambda one: (one.began, one.what))


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
