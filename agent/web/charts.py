"""Small charts as SVG, drawn on the server: they need no script, and take their colours from the style sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from types import MappingProxyType

from markupsafe import Markup

from agent.ledger.pages import Point
from agent.words import count, span
from checks.core.model import Verdict

BARS = 30
_WIDTH, _HEIGHT, _STEP = 150, 30, 5
_LOWEST_BAR = 3
_CLASSES: Mapping[str | None, str] = MappingProxyType({None: "waiting", **{one.value: one.value for one in Verdict}})


def sparkline(points: Sequence[Point]) -> Markup:
    """Draw the newest canaries as bars: height is the latency (logarithmic), colour the verdict.

    What was not seen is a bar of full height in the colour of its verdict; what is still on its way, a dot.
    """
    shown = points[-BARS:]
    seen = [one.seconds for one in shown if one.seconds is not None]
    low, room = _scale(seen)
    bars: dict[str, list[str]] = {}  # one shape for all bars of a colour: half the bytes of a page
    left = _WIDTH - _STEP * len(shown)
    for place, one in enumerate(shown):
        height = _HEIGHT if one.verdict else _LOWEST_BAR
        if one.seconds is not None:
            height = max(_LOWEST_BAR, round(min(1.0, (_log(one.seconds) - low) / room) * (_HEIGHT - 4)))
        bar = f"M{left + place * _STEP} {_HEIGHT - height}h4v{height}h-4z"
        bars.setdefault(_CLASSES[one.verdict], []).append(bar)
    drawn = "".join(f'<path class="{colour}" d="{"".join(parts)}"/>' for colour, parts in bars.items())
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">{}</svg>'
    ).format(_WIDTH, _HEIGHT, _WIDTH, _HEIGHT, _told(shown, seen), Markup(drawn))  # noqa: S704 - numbers and words of our own


def _scale(seen: Sequence[float]) -> tuple[float, float]:
    """Tell where a logarithmic scale begins, a third of the typical latency, and how far it goes, above the highest."""
    if not seen:
        return 0.0, 1.0
    low = _log(median(seen) / 3)
    return low, max(0.5, _log(max(seen) * 1.2) - low)


def _log(seconds: float) -> float:
    return math.log10(max(0.001, seconds))


def _told(shown: Sequence[Point], seen: Sequence[float]) -> str:
    """Say in words what the chart shows."""
    if not shown:
        return "no canary yet"
    words = f"last {count(len(shown), 'canary', 'canaries')}"
    if seen:
        words += f": median latency {span(median(seen))}, highest {span(max(seen))}"
    troubles = [
        f"{number} {word}"
        for word in ("warn", "fail", "unknown")
        if (number := sum(one.verdict == word for one in shown))
    ]
    return ", ".join([words, *troubles])
