"""What a report says, as plain blocks: every form of it (mail, PDF, text) shows the same blocks in its own way.

Words of servers are in here as they were said; escaping them is up to each form.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class Tone(enum.StrEnum):
    """How a cell or a sentence is meant."""

    PLAIN = "plain"
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; `share` is its part of the width.

    With `once`, a text that is that of the row above is not said again, where the eye can see the row above.
    """

    title: str
    share: float = 1.0
    numeric: bool = False
    once: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """Something that is told of a row in whole sentences; it must not be broken within a command."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a line of titles. `empty` is said in its place if it has no rows.

    `notes` are, for each row, what stands beneath it over the whole width; none at all where no row has one.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    empty: str = ""
    notes: Sequence[Sequence[Note]] = ()

    def seen(self) -> Sequence[Sequence[Cell]]:
        """Return the rows as they are seen beneath each other: without what is said `once`."""
        above: Sequence[Cell] = ()
        shown = []
        for row in self.rows:
            repeats = [
                bool(above) and column.once and one.text == before.text
                for column, one, before in zip(self.columns, row, above or row, strict=True)
            ]
            shown.append([Cell("") if again else one for one, again in zip(row, repeats, strict=True)])
            above = row
        return shown

    def notes_of(self, row: int) -> Sequence[Note]:
        """Return what is told beneath a row."""
        return self.notes[row] if self.notes else ()


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One or more sentences."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture by name, with its title; `words` say to those who cannot see it what is in it."""

    name: str
    title: str
    words: str


Block = Paragraph | Table | Chart


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Document:
    """The whole report. `lead` are the few sentences that a busy person reads; `pictures` are PNG by chart name."""

    title: str
    subtitle: str
    lead: Sequence[Paragraph]
    sections: Sequence[Section]
    footer: str
    pictures: Mapping[str, bytes]


def cell(text: str | int, tone: Tone = Tone.PLAIN) -> Cell:
    """Make a cell."""
    return Cell(str(text), tone)
