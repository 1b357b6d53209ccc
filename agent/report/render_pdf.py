"""The report as PDF: A4, numbered pages, searchable text, with an outline of its sections."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import matplotlib as mpl
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    CondPageBreak,
    Flowable,
    Image,
    KeepTogether,
    LongTable,
    SimpleDocTemplate,
    Spacer,
    TableStyle,
)
from reportlab.platypus import Paragraph as Words

from agent.log import plain
from agent.report.document import Block, Chart, Document, Paragraph, Section, Table, Tone

_MARGIN = 16 * mm
_PADDING = 6.0  # points: what the library leaves free inside a frame
_FRAME = A4[0] - 2 * _MARGIN - 2 * _PADDING
_TALLEST = A4[1] - 2 * _MARGIN - 30 * mm
_INK = {
    Tone.PLAIN: "#1c1c1e",
    Tone.GOOD: "#1b5e20",
    Tone.WARNING: "#7a4f00",
    Tone.BAD: "#b3261e",
    Tone.QUIET: "#6b6b70",
}
_ROOM = 30 * mm  # a heading is not left alone at the foot of a page
_FONT, _BOLD = "DejaVuSans", "DejaVuSans-Bold"


def pdf(document: Document) -> bytes:
    """Write the document as PDF."""
    _fonts()
    out = io.BytesIO()
    template = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=14 * mm,
        bottomMargin=16 * mm,
        title=document.title,
        author="relaycanary",
        subject=document.subtitle,
        lang="en",
    )
    story: list[Flowable] = [
        _words(document.title, size=17, bold=True),
        _words(document.subtitle, size=9, tone=Tone.QUIET),
        Spacer(0, 3 * mm),
        *(_words(one.text, size=10.5, tone=one.tone) for one in document.lead),
    ]
    for section in document.sections:
        story += _section(section, document)
    template.build(story, canvasmaker=lambda *args, **more: _Numbered(document.footer, *args, **more))
    return out.getvalue()


class _Numbered(Canvas):  # type: ignore[misc]
    """A canvas that knows how many pages there are before it writes "page 1 of 5" on the first."""

    def __init__(self, footer: str, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._footer = footer
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802 - the library's name
        """Keep the page until the number of all is known."""
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        """Write all pages, each with its number."""
        for number, page in enumerate(self._pages, start=1):
            self.__dict__.update(page)
            self.setFont(_FONT, 7.5)
            self.setFillColor(HexColor(_INK[Tone.QUIET]))
            self.drawString(_MARGIN + _PADDING, 10 * mm, self._footer)
            self.drawRightString(A4[0] - _MARGIN - _PADDING, 10 * mm, f"page {number} of {len(self._pages)}")
            super().showPage()
        super().save()


class _Bookmark(Flowable):  # type: ignore[misc]
    """Puts a section into the outline of the document."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def wrap(self, _width: float, _height: float) -> tuple[float, float]:
        """Take no room."""
        return 0, 0

    def draw(self) -> None:
        """Set the mark."""
        self.canv.bookmarkPage(self._title)
        self.canv.addOutlineEntry(self._title, self._title, 0)


def _section(section: Section, document: Document) -> Iterator[Flowable]:
    blocks: list[Flowable] = []
    for block, following in zip(section.blocks, [*section.blocks[1:], None], strict=True):
        if isinstance(block, Paragraph) and isinstance(following, Table) and blocks:
            blocks.append(CondPageBreak(_ROOM))  # what is said of a table is not left alone either
        blocks += _block(block, document)
    heading = [
        Spacer(0, 4 * mm),
        _Bookmark(section.title),
        _words(section.title, size=12, bold=True),
        Spacer(0, 1.5 * mm),
    ]
    yield CondPageBreak(_ROOM)
    yield from heading
    yield from blocks


def _block(block: Block, document: Document) -> Iterator[Flowable]:
    match block:
        case Paragraph():
            yield _words(block.text, tone=block.tone)
            yield Spacer(0, 1.5 * mm)
        case Table():
            yield _table(block) if block.rows else _words(block.empty, tone=Tone.QUIET)
            yield Spacer(0, 1.5 * mm)
        case Chart():
            png = document.pictures[block.name]
            width, height = ImageReader(io.BytesIO(png)).getSize()
            scale = min(_FRAME / width, _TALLEST / height)  # what is larger than a page ends the library
            picture = Image(io.BytesIO(png), width=width * scale, height=height * scale)
            yield KeepTogether([_words(block.title, size=8, bold=True), picture, Spacer(0, 2 * mm)])


def _table(table: Table) -> Flowable:
    whole = sum(column.share for column in table.columns)
    titles = [
        _words(column.title, size=7, bold=True, tone=Tone.QUIET, right=column.numeric) for column in table.columns
    ]
    lines: list[Sequence[Any]] = [titles]
    style: list[Any] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, 0), 1, HexColor("#d9d9de")),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 5),
        ("TOPPADDING", (0, 0), (-1, -1), 1.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ]
    for number, row in enumerate(table.seen()):
        first = len(lines)
        cells = zip(row, table.columns, strict=True)
        lines.append([_words(one.text, size=7.2, tone=one.tone, right=column.numeric) for one, column in cells])
        for note in table.notes_of(number):
            style.append(("SPAN", (0, len(lines)), (-1, len(lines))))
            lines.append([_words(f"{note.label}: {note.text}", size=7.2), *[""] * (len(table.columns) - 1)])
        last = len(lines) - 1
        style.append(("LINEBELOW", (0, last), (-1, last), 0.4, HexColor("#ececf0")))
        if last > first:
            style.append(("NOSPLIT", (0, first), (-1, last)))
    if not table.notes:  # no row is left alone, at the foot of a page or at the head of the next
        style += [("NOSPLIT", (0, 0), (-1, min(2, len(lines) - 1))), ("NOSPLIT", (0, -min(3, len(lines))), (-1, -1))]
    return LongTable(
        lines,
        colWidths=[_FRAME * column.share / whole for column in table.columns],
        repeatRows=1,
        hAlign="LEFT",
        style=TableStyle(style),
    )


def _words(text: str, *, size: float = 8.5, bold: bool = False, tone: Tone = Tone.PLAIN, right: bool = False) -> Words:
    style = ParagraphStyle(
        "words",
        fontName=_BOLD if bold else _FONT,
        fontSize=size,
        leading=size * 1.32,
        textColor=HexColor(_INK[tone]),
        splitLongWords=True,
        allowWidows=0,
        allowOrphans=0,
        **({"alignment": TA_RIGHT} if right else {}),
    )
    return Words(escape(plain(text)), style)


def _fonts() -> None:
    """Take the fonts that come with the charts' library: they know every letter that a server may say."""
    if _FONT in pdfmetrics.getRegisteredFontNames():
        return
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    pdfmetrics.registerFont(TTFont(_FONT, folder / "DejaVuSans.ttf"))
    pdfmetrics.registerFont(TTFont(_BOLD, folder / "DejaVuSans-Bold.ttf"))
