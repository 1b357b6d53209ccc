"""Metrics of what the servers' own clocks say: a series apart from the latencies that the agent measures.

Each is of the newest-started canary that was seen, and absent before the first and where no server says. They are
gauges, since clocks that disagree make delays negative, which no counter or histogram can hold.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.metrics.family import Family, Row, family
from agent.metrics.picture import Picture
from checks.core.model import Check
from checks.core.servers import ServerTimes

_CHECK = ("check", "method")
_MOST_HOPS = 15


@family(
    "gauge",
    "server_hop_seconds",
    "Between the stamps of a hop and of the hop before it, by the servers' clocks; negative where these disagree."
    f" Hops are counted from the sender; those beyond {_MOST_HOPS} are not shown.",
    *_CHECK,
    "hop",
    recorded=True,
)
def _hops(picture: Picture) -> Iterator[Row]:
    for check, times in _told(picture):
        for number, hop in enumerate(times.hops[:_MOST_HOPS], start=1):
            if hop.delay is not None:
                yield (check.name, check.method, str(number)), hop.delay


@family(
    "gauge",
    "server_transit_seconds",
    "Between the first and the last dated hop, by the servers' clocks.",
    *_CHECK,
    recorded=True,
)
def _transit(picture: Picture) -> Iterator[Row]:
    for check, times in _told(picture):
        if times.transit is not None:
            yield (check.name, check.method), times.transit


@family(
    "gauge",
    "server_end_to_end_seconds",
    "Exchange's own figure for the way through it (EndToEndLatency).",
    *_CHECK,
    recorded=True,
)
def _end_to_end(picture: Picture) -> Iterator[Row]:
    for check, times in _told(picture):
        if times.end_to_end is not None:
            yield (check.name, check.method), times.end_to_end


@family(
    "gauge",
    "server_arrival_timestamp_seconds",
    "Unix time, by Exchange's clock, at which its edge took the message.",
    *_CHECK,
    recorded=True,
)
def _arrival(picture: Picture) -> Iterator[Row]:
    for check, times in _told(picture):
        if times.arrived is not None:
            yield (check.name, check.method), times.arrived.timestamp()


@family(
    "gauge",
    "server_clock_offset_seconds",
    "How far a server's clock is ahead of the agent's: the host that took the canary (edge), or the one that stored it"
    " (mailbox).",
    *_CHECK,
    "server",
    recorded=True,
)
def _offset(picture: Picture) -> Iterator[Row]:
    for check, times in _told(picture):
        for clock in times.clocks:
            yield (check.name, check.method, clock.server), clock.offset


@family(
    "gauge",
    "server_clock_uncertainty_seconds",
    "How far the true offset of that clock may lie from the estimate, to either side.",
    *_CHECK,
    "server",
    recorded=True,
)
def _uncertainty(picture: Picture) -> Iterator[Row]:
    for check, times in _told(picture):
        for clock in times.clocks:
            yield (check.name, check.method, clock.server), clock.uncertainty


def _told(picture: Picture) -> Iterator[tuple[Check, ServerTimes]]:
    for check in picture.checks:
        times = picture.server_times(check)
        if times is not None:
            yield check, times


FAMILIES: tuple[Family, ...] = (_hops, _transit, _end_to_end, _arrival, _offset, _uncertainty)
