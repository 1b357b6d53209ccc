"""All forms of one report. What is slow to import (charts, PDF) is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.report.document import Document
from agent.report.figures import Figures

FORMS = ("html", "pdf", "csv", "json", "text")
"""What a report can be written as."""

ARCHIVED = ("html", "pdf", "csv", "json")


class FormsMissing(Exception):
    """What draws charts and pages is not installed; the message says how to get it."""


def document(figures: Figures) -> Document:
    """Draw the charts and say what the figures say.

    Raises:
        FormsMissing: the extra ``report`` is not installed.
    """
    try:
        from agent.report.charts import draw  # noqa: PLC0415 - a second of imports, which most commands can spare
        from agent.report.compose import compose  # noqa: PLC0415
    except ImportError as missing:
        raise FormsMissing(_how(missing)) from None
    return compose(figures, draw(figures))


def write(figures: Figures, forms: Sequence[str], drawn: Document | None = None) -> Mapping[str, bytes]:
    """Write the report in the wanted *forms*; *drawn* spares drawing the charts again.

    Raises:
        FormsMissing: the extra ``report`` is not installed.
    """
    written: dict[str, bytes] = {}
    if {"csv", "json"} & set(forms):
        from agent.report.render_data import as_csv, as_json  # noqa: PLC0415

        makers = {"csv": as_csv, "json": as_json}
        written |= {form: makers[form](figures).encode() for form in forms if form in makers}
    if {"html", "pdf", "text"} & set(forms):
        shown = drawn or document(figures)
        written |= {form: _shown(shown, form) for form in forms if form not in written}
    return written


def _shown(shown: Document, form: str) -> bytes:
    if form == "pdf":
        try:
            from agent.report.render_pdf import pdf  # noqa: PLC0415
        except ImportError as missing:
            raise FormsMissing(_how(missing)) from None
        return pdf(shown)
    if form == "html":
        from agent.report.render_html import embedded, html  # noqa: PLC0415

        return html(shown, embedded(shown.pictures)).encode()
    from agent.report.render_text import text  # noqa: PLC0415

    return text(shown).encode()


def _how(missing: ImportError) -> str:
    return f"reports need {missing.name}, which is not installed: it comes with the extra [report] of relaycanary"
