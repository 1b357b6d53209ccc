"""The report as HTML: for a mail, with its charts beside it (RFC 2392), or for a file, with its charts in it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import SimpleNamespace
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from agent.log import plain
from agent.report.document import Cell, Chart, Document, Paragraph, Table

_LONG = 16  # letters: a word that may not fit into a column
_COPIED = 48  # letters: a longer word does not fit on the line of a telephone
_MOST_WORDS = 2  # columns of words that a telephone has room for; a table of more, or of longer ones, is moved sideways
_KINDS = {Paragraph: "paragraph", Chart: "chart", Table: "table"}


def html(document: Document, pictures: Mapping[str, str]) -> str:
    """Write the document as one HTML page; *pictures* says where each chart is (a URL)."""
    environment = Environment(
        loader=PackageLoader("agent.report", "templates"),
        autoescape=True,  # servers' words are in here
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("mail.html.j2").render(document=_shown(document), pictures=pictures)


def embedded(pictures: Mapping[str, bytes]) -> Mapping[str, str]:
    """Put the charts into the page itself, as data."""
    return {name: f"data:image/png;base64,{base64.b64encode(png).decode()}" for name, png in pictures.items()}


def _shown(value: Any) -> Any:
    """Turn blocks into what a template can show: without control characters, with the kind of each block."""
    if isinstance(value, str):
        return plain(value) if not hasattr(value, "value") else value.value
    if isinstance(value, Table):
        whole = sum(column.share for column in value.columns)
        columns = [
            SimpleNamespace(title=one.title, numeric=one.numeric, percent=round(100 * one.share / whole))
            for one in value.columns
        ]
        rows = [
            SimpleNamespace(
                cells=[_cell(one) for one in row],
                notes=[SimpleNamespace(label=one.label, text=_copied(one.text)) for one in value.notes_of(number)],
            )
            for number, row in enumerate(value.seen())
        ]
        many = sum(not one.numeric for one in value.columns) > _MOST_WORDS
        wide = not value.notes and (many or any(one.long for row in rows for one in row.cells))
        return SimpleNamespace(kind="table", columns=columns, rows=rows, empty=value.empty, wide=wide)
    if is_dataclass(value):
        shown = {one.name: _shown(getattr(value, one.name)) for one in fields(value) if one.name != "pictures"}
        return SimpleNamespace(kind=_KINDS.get(type(value), ""), **shown)
    return [_shown(one) for one in value] if isinstance(value, list | tuple) else value


def _copied(text: str) -> Markup:
    """Keep what is to be copied, such as ``-Name``, from being broken at its hyphens."""
    kept = Markup('<span style="white-space:nowrap;">{}</span>')
    words = plain(text).split(" ")
    return Markup(" ").join(kept.format(word) if "-" in word and len(word) <= _COPIED else word for word in words)


def _cell(cell: Cell) -> SimpleNamespace:
    """Turn a cell into what a template can show; one with a `long` word may be broken anywhere."""
    text = plain(cell.text)
    return SimpleNamespace(text=text, tone=cell.tone.value, long=any(len(word) > _LONG for word in text.split()))
