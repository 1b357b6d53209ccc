"""The stages of a check over time, as SVG: one stacked bar for some canaries, each part the median of a group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from statistics import median
from types import MappingProxyType

from markupsafe import Markup

from agent.ledger.cases import CanaryRecord
from agent.web.figures import LEFT, RIGHT, WIDTH, line
from agent.words import count, span
from checks.core.model import Accepted, Stage

_HEIGHT, _BARS = 190, 50
_TOP, _BOTTOM = 10, 40
_GROUP: Mapping[Stage, str] = MappingProxyType(
    {
        Stage.DNS: "connect",
        Stage.CONNECT: "connect",
        Stage.GREETING: "connect",
        Stage.EHLO: "connect",
        Stage.STARTTLS: "tls",
        Stage.AUTH: "auth",
        Stage.TOKEN: "auth",
        Stage.MAIL: "hand-over",
        Stage.RCPT: "hand-over",
        Stage.ENVELOPE: "hand-over",
        Stage.DATA: "hand-over",
        Stage.REQUEST: "hand-over",
    }
)
GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "connect": "name, connection, greeting",
        "tls": "TLS",
        "auth": "login or token",
        "hand-over": "handing over",
        "delivery": "delivery",
    }
)
"""What the stages are put together as, from the bottom of a bar, with the words of the legend."""

_Medians = Mapping[str, float]


def over_time(records: Sequence[CanaryRecord]) -> Markup:
    """Draw the stages of the canaries that were handed over, oldest on the left; empty without any."""
    taken = [one for one in reversed(records) if isinstance(one.attempt, Accepted)]
    if not taken:
        return Markup("")
    first, last = taken[0].started, taken[-1].started
    buckets: dict[int, list[CanaryRecord]] = {}
    for one in taken:
        place = int((one.started - first) / (last - first) * _BARS) if last > first else 0
        buckets.setdefault(min(_BARS - 1, place), []).append(one)
    bars = {place: _medians(some) for place, some in buckets.items()}
    highest = max(sum(bar.values()) for bar in bars.values()) or 1.0
    parts = [*_scale(highest), *_times(first, last)]
    for place, bar in bars.items():
        parts += _bar(place, bar, highest)
    told = f"stages of {count(len(taken), 'canary', 'canaries')} over time: " + ", ".join(
        f"{GROUPS[group]} {span(value)}" for group, value in _medians(taken).items()
    )
    return Markup('<svg class="latency" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, _HEIGHT, told, Markup("").join(parts)
    )


def _medians(some: Sequence[CanaryRecord]) -> _Medians:
    times: dict[str, list[float]] = {group: [] for group in GROUPS}
    for one in some:
        sums: dict[str, float] = {}
        if isinstance(one.attempt, Accepted):
            for timing in one.attempt.transcript.stages:
                group = _GROUP[timing.stage]
                sums[group] = sums.get(group, 0.0) + timing.seconds
        if one.delivery is not None:
            sums["delivery"] = max(0.0, one.delivery)
        for group, seconds in sums.items():
            times[group].append(seconds)
    return {group: median(values) for group, values in times.items() if values}


def _bar(place: int, bar: _Medians, highest: float) -> Iterator[Markup]:
    room = _HEIGHT - _TOP - _BOTTOM
    step = (WIDTH - LEFT - RIGHT) / _BARS
    bottom = float(_HEIGHT - _BOTTOM)
    for group in GROUPS:
        height = bar.get(group, 0.0) / highest * room
        bottom -= height
        yield Markup('<rect class="s-{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
            group, LEFT + place * step + 1, bottom, step - 2, height
        )


def _scale(highest: float) -> Iterator[Markup]:
    for share in (0.0, 0.5, 1.0):
        y = _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)
        label = span(highest * share) if share else "0"
        yield line(y, label, "grid")


def _times(first: float, last: float) -> Iterator[Markup]:
    for share, anchor in ((0.0, "first"), (0.5, "middle"), (1.0, "last")):
        moment = datetime.fromtimestamp(first + share * (last - first), UTC)
        x = LEFT + share * (WIDTH - LEFT - RIGHT)
        yield Markup('<text class="axis {}" x="{:.1f}" y="{}">{}</text>').format(
            anchor, x, _HEIGHT - 18, f"{moment:%d %b %H:%M} UTC"
        )
