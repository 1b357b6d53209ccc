"""The large charts of a check and of a canary, as SVG: latency over time, and the stages of one hand-over."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from agent.ledger.cases import CanaryRecord
from agent.words import count, span
from checks.core.model import Accepted, Refused

WIDTH, LEFT, RIGHT = 1000, 66, 10
"""How wide the large charts are, and what they leave to the scale on the left and at the right end."""
_HEIGHT, _NARROW = 260, 400
_TOP, _BOTTOM = 12, 40
_WIDE, _SHORTEST_GAP = 0.6, 1.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One step: when it began after the first byte, and how long it took, in seconds."""

    name: str
    began: float
    seconds: float


def latency(records: Sequence[CanaryRecord], late_after: float) -> Markup:
    """Draw one dot a canary, oldest on the left, on a logarithmic scale; what was not seen is a cross at the top."""
    concluded = [one for one in records if one.verdict is not None]
    if not concluded:
        return Markup("")
    first, last = concluded[-1].started, concluded[0].started
    seen = [one.end_to_end for one in concluded if one.end_to_end is not None]
    low = math.floor(math.log10(max(0.01, min([*seen, late_after]))))
    high = max(low + 1, math.ceil(math.log10(max([*seen, late_after]) * 1.05)))

    def across(at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * ((at - first) / (last - first) if last > first else 0.5)

    def down(seconds: float) -> float:
        share = (math.log10(max(0.001, seconds)) - low) / (high - low)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP - 14) * min(1.0, max(0.0, share))

    parts = [line(down(10.0**power), f"{10.0**power:g} s", "grid") for power in range(low, high + 1)]
    parts.append(line(down(late_after), "late", "limit"))
    moments = [(share, first + share * (last - first)) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    parts += [_time(across(at), at, share) for share, at in moments]
    parts += [_dot(one, across(one.started), down) for one in reversed(concluded)]
    told = f"latency of {count(len(concluded), 'canary', 'canaries')}"
    if seen:
        told += f": from {span(min(seen))} to {span(max(seen))}; {len(concluded) - len(seen)} not seen"
    return Markup('<svg class="latency" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, _HEIGHT, told, Markup("").join(parts)
    )


def unsure(one: CanaryRecord) -> bool:
    """Tell whether nobody looked for so much of the time that the latency says little: it may have been far shorter."""
    gap, whole = one.observation_gap, one.end_to_end
    return gap is not None and whole is not None and gap > max(_SHORTEST_GAP, _WIDE * whole)


def _dot(one: CanaryRecord, x: float, down: Callable[[float], float]) -> Markup:
    if one.end_to_end is None:
        return Markup('<path class="cross {}" d="M{:.1f} {}l8 8m-8 0l8-8"/>').format(one.verdict, x - 4, _TOP - 4)
    if unsure(one):
        least = down(one.end_to_end - (one.observation_gap or 0.0))
        return Markup(
            '<line class="unsure {0}" x1="{1:.1f}" x2="{1:.1f}" y1="{2:.1f}" y2="{3:.1f}"/>'
            '<circle class="unsure {0}" cx="{1:.1f}" cy="{2:.1f}" r="3.5"/>'
        ).format(one.verdict, x, down(one.end_to_end), least)
    return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3.5"/>').format(one.verdict, x, down(one.end_to_end))


def line(y: float, label: str, kind: str) -> Markup:
    """Draw a line across a large chart, with its label on the left."""
    return Markup(
        '<line class="{}" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/><text class="{}" x="{}" y="{:.1f}">{}</text>'
    ).format(kind, LEFT, WIDTH - RIGHT, y, y, f"{kind} side", LEFT - 8, y + 4, label)


def _time(x: float, at: float, share: float) -> Markup:
    moment = datetime.fromtimestamp(at, UTC)
    anchor = "first" if share == 0.0 else "last" if share == 1.0 else "middle"
    return Markup(
        '<text class="axis {}" x="{:.1f}" y="{}">{}</text><text class="axis {}" x="{:.1f}" y="{}">{}</text>'
    ).format(anchor, x, _HEIGHT - 22, f"{moment:%H:%M} UTC", anchor, x, _HEIGHT - 8, f"{moment:%d %b}")


def bars(record: CanaryRecord) -> Sequence[Bar]:
    """List the steps of a hand-over, and the way from there into the mailbox."""
    attempt = record.attempt
    if not isinstance(attempt, Accepted | Refused):
        return []
    began, found = 0.0, []
    for timing in attempt.transcript.stages:
        found.append(Bar(timing.stage.value, began, timing.seconds))
        began += timing.seconds
    if record.delivery is not None and record.submission is not None:
        found.append(Bar("delivery", record.submission, max(0.0, record.delivery)))
    return found


def waterfall(steps: Sequence[Bar]) -> Markup:
    """Draw the steps one below the other, each where it began; delivery has a scale that suits the whole."""
    if not steps:
        return Markup("")
    whole = max(step.began + step.seconds for step in steps) or 1.0
    left, right, row = 70, 72, 22
    room = _NARROW - left - right
    parts = []
    for place, step in enumerate(steps):
        x, width = left + room * step.began / whole, max(3.0, room * step.seconds / whole)
        y = place * row
        parts.append(
            Markup(
                '<text class="side" x="{}" y="{}">{}</text>'
                '<rect class="{}" x="{:.1f}" y="{}" width="{:.1f}" height="14" rx="2"/>'
                '<text class="axis first" x="{:.1f}" y="{}">{}</text>'
            ).format(
                left - 10,
                y + 15,
                step.name,
                "delivery" if step.name == "delivery" else "stage",
                x,
                y + 4,
                width,
                min(x + width + 6, _NARROW - right + 6),
                y + 15,
                span(step.seconds),
            )
        )
    told = ", ".join(f"{step.name} {span(step.seconds)}" for step in steps)
    return Markup('<svg class="waterfall" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _NARROW, row * len(steps), f"stages: {told}", Markup("").join(parts)
    )
