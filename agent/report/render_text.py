"""The report as plain text: the part of the mail for those who read no HTML."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from agent.log import plain
from agent.report.document import Block, Cell, Chart, Column, Document, Note, Paragraph, Table

_WIDTH = 78
_GAP = "  "


def text(document: Document) -> str:
    """Write the document as text, at most 78 characters wide (RFC 5322 2.1.1)."""
    lines = [document.title, "=" * len(document.title), document.subtitle, ""]
    for paragraph in document.lead:
        lines += [*_wrapped(paragraph.text), ""]
    for section in document.sections:
        lines += [section.title, "-" * len(section.title)]
        for block in section.blocks:
            written = list(_block(block))
            lines += written if written and not written[-1] else [*written, ""]
    lines.append(document.footer)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _block(block: Block) -> Iterator[str]:
    match block:
        case Paragraph():
            yield from _wrapped(block.text)
        case Table():
            yield from _table(block)
        case Chart():
            yield from _wrapped(f"[chart: {block.words}]")


def _table(table: Table) -> Iterator[str]:
    """Write columns beneath each other where they fit into the width, and else a short block for each row."""
    if not table.rows:
        yield table.empty
        return
    lines = [[plain(one.text) for one in row] for row in (_titles(table.columns), *table.seen())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if sum(widths) + len(_GAP) * (len(widths) - 1) > _WIDTH:
        yield from _blocks(table)
        return
    yield _aligned(lines[0], table.columns, widths)
    yield _GAP.join("-" * width for width in widths)
    for number, line in enumerate(lines[1:]):
        yield _aligned(line, table.columns, widths)
        yield from _notes(table.notes_of(number))


def _titles(columns: Sequence[Column]) -> Sequence[Cell]:
    return [Cell(column.title) for column in columns]


def _aligned(texts: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    placed = zip(texts, columns, widths, strict=True)
    return _GAP.join(one.rjust(width) if column.numeric else one.ljust(width) for one, column, width in placed)


def _blocks(table: Table) -> Iterator[str]:
    """Write each row as a line with its first two cells, and beneath it a line for each of the others."""
    titles = [column.title for column in table.columns]
    width = max(map(len, titles[2:]), default=0)
    for number, row in enumerate(table.rows):
        texts = [plain(one.text) for one in row]
        yield from _wrapped(", ".join(one for one in texts[:2] if one))
        for title, one in zip(titles[2:], texts[2:], strict=True):
            if one:
                yield from _hung(f"{_GAP}{title.ljust(width)}{_GAP}", one)
        yield from _notes(table.notes_of(number))


def _notes(notes: Sequence[Note]) -> Iterator[str]:
    for note in notes:
        yield from _hung(f"{_GAP}{note.label}: ", plain(note.text), indent=2 * _GAP)
    if notes:
        yield ""


def _hung(begin: str, words: str, *, indent: str | None = None) -> Iterator[str]:
    """Wrap *words* behind *begin*; what is to be copied, such as ``-Name``, is not broken at its hyphens."""
    rest = " " * len(begin) if indent is None else indent
    yield from textwrap.wrap(words, _WIDTH, initial_indent=begin, subsequent_indent=rest, break_on_hyphens=False)


def _wrapped(words: str) -> Iterator[str]:
    yield from textwrap.wrap(plain(words), _WIDTH)
