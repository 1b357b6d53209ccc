"""An explanation for people: labelled lines, wrapped on a terminal and whole in a pipe."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from agent.commands.explaining.explanation import Explanation, Kind, as_json
from checks.core.reply import clean_text

_LABEL = 14
_NARROWEST = 40
_WIDEST = 110
_UNKNOWN = "Not known: neither the words nor the codes are in the catalogue."
_FILE_NAME = re.compile(r"\S*[./]\S+")
_KINDS = {
    "bounce": "Bounce",
    "delayed": "Delay",
    "auto_reply": "Automatic answer",
    "feedback_report": "Feedback report",
    "other": "Message",
}
_NOTES = {
    "delayed": "Nothing is final yet: the server goes on trying.",
    "auto_reply": "The message that it answers did arrive.",
    "feedback_report": "A receiver reports on mail from this domain: a complaint, or an authentication failure.",
}


def write_page(explanation: Explanation) -> None:
    """Print an explanation."""
    width = min(os.get_terminal_size(sys.stdout.fileno()).columns, _WIDEST) if sys.stdout.isatty() else None
    print(_heading(explanation))
    for label, text in _lines(explanation):
        print(_line(label, text, width))


def _heading(explanation: Explanation) -> str:
    if explanation.notification is None:
        return explanation.title or "(nothing)"
    return f"{_KINDS[explanation.notification.kind.value]}: {explanation.title or '(no subject)'}"


def _lines(explanation: Explanation) -> Iterator[tuple[str, str]]:
    """Yield label and text of each line; a label that is empty continues the one before."""
    facts = as_json(explanation)
    for number, one in enumerate(facts["recipients"]):
        codes = " ".join(str(code) for code in (one["code"], one["status"]) if code)
        yield "" if number else "recipients", f"{one['address']}: {one['action']} {codes}".rstrip()
    if explanation.kind is Kind.BOUNCE and facts["reply"]:
        yield "answer", facts["reply"]["text"] or "(no words)"
    if explanation.notification is not None and explanation.notification.kind.value in _NOTES:
        yield "note", _NOTES[explanation.notification.kind.value]
    if explanation.found is not None:
        yield from (("meaning", facts["meaning"]), ("fix", facts["fix"]), ("source", facts["source"]))
    elif explanation.unknown:
        yield "meaning", _unknown(explanation.title)
    yield from _mail(facts)


def _unknown(title: str) -> str:
    if not title:
        return "There is nothing to explain: the input is empty."
    return f"{_UNKNOWN} If it is a file, it is not here." if _FILE_NAME.fullmatch(title) else _UNKNOWN


def _mail(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for number, hop in enumerate(facts["hops"]):
        yield "" if number else "hops", _hop(hop)
    for label in ("authentication", "antispam"):
        said = ", ".join(
            f"{name} {clean_text(str(value))}" for name, value in facts[label].items() if value is not None
        )
        if facts["hops"] or said:
            yield "filtering" if label == "antispam" else label, said or "the mail does not say"


def _hop(hop: dict[str, Any]) -> str:
    delay = "" if hop["delay_seconds"] is None else f" ({hop['delay_seconds']:+.0f} s)"
    way = " ".join(f"{word} {clean_text(hop[word])}" for word in ("from", "by", "with") if hop[word])
    return f"{hop['date'] or 'no date'}{delay} {way}"


def _line(label: str, text: str, width: int | None) -> str:
    start = f"  {label:<{_LABEL}} "
    if width is None:
        return f"{start}{text}".rstrip()
    return textwrap.fill(
        text,
        max(width, _NARROWEST),
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_on_hyphens=False,
        break_long_words=False,
    )
