"""Draw the charts of a report as PNG. Colours can be told apart by those who do not see all colours."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import matplotlib as mpl
import matplotlib.dates
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from agent.report.figures import PARTS, Day, Figures, PathFigures, drawn_paths

_dates: Any = matplotlib.dates  # which has no types
_WIDTH, _DPI = 7.2, 160
_FAILED = "#b3261e"
_PARTS = {
    "passed": "#2e7d32",
    "late": "#f9a825",
    "junk": "#8e24aa",
    "degraded": "#9e9d24",
    "bounced": "#6d4c41",
    "lost": "#212121",
    "refused": _FAILED,
    "unknown": "#8e8e93",
}
_LINES = ("#1565c0", "#e65100", "#00897b", "#6a1b9a", "#5d4037", "#455a64", "#ad1457", "#827717")
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOUR = 3600.0
_MOST_BARS, _MOST_NAMES = 62, 14
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e0e0e0",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "text.usetex": False,
    "text.parse_math": False,  # a name with dollar signs is a name
}


def draw(figures: Figures) -> Mapping[str, bytes]:
    """Draw every chart for which there is something to show, by name."""
    drawers: Mapping[str, tuple[bool, Callable[[Figures], Figure]]] = {
        "outcomes": (figures.overall.ends.concluded > 0, _outcomes),
        "latency": (figures.overall.latency.n > 0, _latency),
        "heat": (figures.overall.latency.n > 0, _heat),
        "incidents": (bool(figures.incidents), _incidents),
    }
    with mpl.rc_context(_STYLE):
        return {name: _png(drawer(figures)) for name, (wanted, drawer) in drawers.items() if wanted}


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=_DPI, metadata={"Software": "relaycanary"})
    return out.getvalue()


def _figure(height: float, rows: int = 1) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(rows, 1)))


def _outcomes(figures: Figures) -> Figure:
    """Bars by day: how many canaries ended in which way; what did not pass is drawn to its own scale below."""
    figure, (above, below) = _figure(3.4, 2)
    days = _gathered(figures.overall.days)
    places = np.arange(len(days))
    parts = [part for part in PARTS if part == "passed" or any(day.ends[part] for day in days)]
    _stack(above, places, [(part, [day.ends[part] for day in days]) for part in parts])
    _stack(below, places, [(part, [day.ends[part] for day in days]) for part in parts if part != "passed"])
    above.set_ylabel("canaries" if len(days) == len(figures.overall.days) else "a week")
    below.set_ylabel("not passed")
    above.legend(ncols=len(parts), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    above.set_ylim(bottom=0, top=1.05 * max(sum(day.ends.values()) for day in days))
    below.set_ylim(bottom=0, top=max(1.0, 1.05 * below.get_ylim()[1]))
    named = places[:: max(1, -(-len(days) // _MOST_NAMES))]
    labels = [_day(days[place].day, short=len(days) <= _MOST_NAMES) for place in named]
    for axes in (above, below):
        axes.set_xlim(-0.6, len(days) - 0.4)
        axes.set_xticks(named, labels if axes is below else [""] * len(labels))
        axes.grid(visible=False, axis="x")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    return figure


def _gathered(days: Sequence[Day]) -> Sequence[Day]:
    """Make weeks of more days than there is room for."""
    if len(days) <= _MOST_BARS:
        return days
    weeks = [days[begin : begin + 7] for begin in range(0, len(days), 7)]
    return [
        Day(day=week[0].day, verdicts={}, ends={part: sum(day.ends[part] for day in week) for part in PARTS})
        for week in weeks
    ]


def _stack(axes: Axes, places: np.ndarray, series: Sequence[tuple[str, Sequence[int]]]) -> None:
    bottom = np.zeros(len(places))
    for word, values in series:
        axes.bar(places, values, bottom=bottom, color=_PARTS[word], label=word, width=0.7)
        bottom = bottom + np.array(values)


def _latency(figures: Figures) -> Figure:
    """Lines by hour: median and 95th percentile of each path, on a logarithmic scale; holes stay holes."""
    paths = drawn_paths(figures)
    figure, all_axes = _figure(0.7 + 0.85 * len(paths), len(paths))
    zone = ZoneInfo(figures.zone)
    low, high = _limits(paths)
    for place, (path, axes) in enumerate(zip(paths, all_axes, strict=True)):
        times, median, high_part = _lines(figures, path)
        colour = _LINES[place % len(_LINES)]
        axes.fill_between(times, median, high_part, color=colour, alpha=0.18, linewidth=0)
        axes.plot(times, median, color=colour, linewidth=1.2, label="median")
        axes.plot(times, high_part, color=colour, linewidth=0.8, linestyle="--", label="p95")
        for values in (median, high_part):
            axes.plot(times, _alone(values), color=colour, linestyle="none", marker=".", markersize=2)
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=6))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} s"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_title(path.path, loc="left", fontsize=8, fontweight="bold")
        axes.set_xlim(_day_number(figures.since, zone), _day_number(figures.until, zone))
        _time_axis(axes, zone, last=place == len(paths) - 1)
    all_axes[0].legend(ncols=2, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    return figure


def _limits(paths: Sequence[PathFigures]) -> tuple[float, float]:
    values = [value for path in paths for hour in path.hours for value in (hour.latency.p50, hour.latency.p95) if value]
    return (max(0.001, min(values) / 1.5), max(values) * 1.5) if values else (0.1, 10.0)


def _lines(figures: Figures, path: PathFigures) -> tuple[list[float], np.ndarray, np.ndarray]:
    zone = ZoneInfo(figures.zone)
    hours = {one.hour: one.latency for one in path.hours}
    number = round((figures.until - figures.since) / _HOUR)
    times = [_day_number(figures.since + hour * _HOUR, zone) for hour in range(number)]
    nothing = float("nan")

    def line(name: str) -> np.ndarray:
        found = [getattr(hours[hour], name) if hour in hours else None for hour in range(number)]
        return np.array([nothing if value is None else value for value in found], dtype=np.float64)

    return times, line("p50"), line("p95")


def _alone(values: np.ndarray) -> np.ndarray:
    """Keep the hours between two holes: no line goes through them."""
    holes = np.isnan(np.concatenate([[np.nan], values, [np.nan]]))
    return np.where(holes[:-2] & holes[2:], values, np.nan)


def _heat(figures: Figures) -> Figure:
    """Squares by weekday and hour of the day: the 95th percentile of the end-to-end latency, worst where several."""
    zone = ZoneInfo(figures.zone)
    table = np.full((7, 24), np.nan)
    for one in figures.overall.hours:
        local = datetime.fromtimestamp(figures.since + one.hour * _HOUR, zone)
        if one.latency.p95 is not None:
            table[local.weekday(), local.hour] = np.fmax(table[local.weekday(), local.hour], one.latency.p95)
    figure, (axes,) = _figure(2.0)
    axes.grid(visible=False)
    image = axes.imshow(table, aspect="auto", cmap="cividis", norm=_norm(table))
    axes.set_yticks(range(7), _WEEKDAYS)
    axes.set_xticks(range(0, 24, 3), [f"{hour:02d}:00" for hour in range(0, 24, 3)])
    axes.set_facecolor("#f2f2f2")
    bar = figure.colorbar(image, ax=axes, format=FuncFormatter(lambda value, _: f"{value:.3g} s"), pad=0.01)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    return figure


def _norm(table: np.ndarray) -> mpl.colors.Normalize:
    """Spread the colours over what there is: from the quickest hour to the slowest."""
    low, high = float(np.nanmin(table)), float(np.nanmax(table))
    if high > 10 * low > 0:
        return mpl.colors.LogNorm(low, high)
    return mpl.colors.Normalize(low, max(high, low * 1.1, 1e-3))


def _incidents(figures: Figures) -> Figure:
    """One line a path: when it had an incident."""
    zone = ZoneInfo(figures.zone)
    paths = sorted({one.path for one in figures.incidents})
    figure, (axes,) = _figure(0.7 + 0.32 * len(paths))
    present = min(figures.until, figures.made)
    for one in figures.incidents:
        began = max(figures.since, one.began)
        ended = present if one.ended is None else min(figures.until, one.ended)
        start = _day_number(began, zone)
        width = max((ended - began) / 86400.0, (figures.until - figures.since) / 86400.0 / 300)
        place = paths.index(one.path)
        axes.barh(place, width, left=start, height=0.6, color=_FAILED, alpha=1.0 if one.ended else 0.55)
    axes.set_yticks(range(len(paths)), paths)
    axes.set_ylim(len(paths) - 0.5, -0.5)
    axes.set_xlim(_day_number(figures.since, zone), _day_number(figures.until, zone))
    axes.grid(visible=False, axis="y")
    _time_axis(axes, zone, last=True)
    return figure


def _time_axis(axes: Axes, zone: ZoneInfo, *, last: bool) -> None:
    low, high = axes.get_xlim()
    if high - low <= 15:  # noqa: PLR2004 - days: a name for each still has room
        axes.xaxis.set_major_locator(_dates.DayLocator(tz=zone))
        axes.xaxis.set_major_formatter(_dates.DateFormatter("%a %d", tz=zone))
    else:
        locator = _dates.AutoDateLocator(tz=zone)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(_dates.ConciseDateFormatter(locator, tz=zone))
    axes.xaxis_date(zone)
    axes.tick_params(axis="x", labelbottom=last, length=2)


def _day(text: str, *, short: bool) -> str:
    day = datetime.fromisoformat(text)
    return f"{day:%a} {day.day}" if short else f"{day.day} {day:%b}"


def _day_number(at: float, zone: ZoneInfo) -> float:
    """Turn Unix time into the number by which the library places moments on an axis."""
    return float(_dates.date2num(datetime.fromtimestamp(at, zone)))
