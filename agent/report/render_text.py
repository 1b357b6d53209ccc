"""The report as plain text: the part of the mail for those who read no HTML."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from agent.log import plain
from agent.report.document import Block, Chart, Document, Paragraph, Table

_WIDTH = 78


def text(document: Document) -> str:
    """Write the document as text, at most 78 characters wide (RFC 5322 2.1.1)."""
    lines = [document.title, "=" * len(document.title), document.subtitle, ""]
    for paragraph in document.lead:
        lines += [*_wrapped(paragraph.text), ""]
    for section in document.sections:
        lines += [section.title, "-" * len(section.title)]
        for block in section.blocks:
            lines += [*_block(block), ""]
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
    """Write each row as a small list: wide tables do not survive in text mail."""
    if not table.rows:
        yield table.empty
        return
    titles = [column.title for column in table.columns]
    for row in table.rows:
        texts = [plain(one.text) for one in row]
        yield from _wrapped(f"* {texts[0]}")
        yield from _pairs(titles[1:], texts[1:])


def _pairs(titles: Sequence[str], texts: Sequence[str]) -> Iterator[str]:
    short = [f"{title.lower()} {one}" for title, one in zip(titles, texts, strict=True)]
    yield from textwrap.wrap("; ".join(short), _WIDTH, initial_indent="  ", subsequent_indent="  ")


def _wrapped(words: str) -> Iterator[str]:
    yield from textwrap.wrap(plain(words), _WIDTH, subsequent_indent="  " if words.startswith("* ") else "")
