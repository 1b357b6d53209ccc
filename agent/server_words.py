"""What the servers' own clocks say of a canary, as lines for people: kept apart from what the agent measured."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from agent.words import span
from checks.core.servers import ClockOffset, ServerHop, ServerTimes


def server_lines(times: ServerTimes) -> Iterator[tuple[str, str]]:
    """Yield label and text of each line: the hops, the sums, and how far the clocks are off."""
    yield from (("hop", _hop(hop)) for hop in times.hops)
    yield from clock_lines(times)


def clock_lines(times: ServerTimes) -> Iterator[tuple[str, str]]:
    """Yield the same without the hops, for where these have a table of their own."""
    if sums := list(_sums(times)):
        yield "servers", f"by their own clocks: {'; '.join(sums)}"
    for clock in times.clocks:
        yield "clock", _clock(clock)


def _hop(hop: ServerHop) -> str:
    dated = _moment(hop.at, "seconds") if hop.at is not None else "no date"
    when = dated if hop.delay is None else f"{hop.delay:+.0f} s"
    tls = "no TLS" if hop.tls is None and hop.wire else hop.tls or ("TLS" if hop.tls is not None else "")
    return ", ".join(part for part in (f"{when} at {hop.by or 'an unnamed server'}", tls) if part)


def _sums(times: ServerTimes) -> Iterator[str]:
    if times.transit is not None:
        yield f"{times.transit:.0f} s from the first hop to the last"
    if times.end_to_end is not None:
        yield f"{times.end_to_end:.2f} s as Exchange itself says"
    if times.arrived is not None:
        yield f"taken by its edge at {_moment(times.arrived, 'milliseconds')}"


def _clock(clock: ClockOffset) -> str:
    where = f" {clock.host}" if clock.host else ""
    direction = "ahead of" if clock.offset >= 0 else "behind"
    off = f"{span(abs(clock.offset))} {direction} ours, give or take {span(clock.uncertainty)}"
    return f"{clock.server}{where}: {off}"


def _moment(at: datetime, precision: str) -> str:
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(' ', precision)} UTC"
