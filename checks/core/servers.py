"""What the servers' own clocks say of a canary's way: a series apart from ours, never mixed with it, never clamped.

Every stamp is one host's clock, so that a delay between two hosts holds the difference of their clocks, and may be
negative. How far a clock is off from ours follows from what we know for certain: when the canary was handed over, and
between which two looks it became visible.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

_SECOND = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerHop:
    """One Received line, as far as figures and expectations need it; None for what it does not say.

    `delay` is the time since the hop before it, in seconds by the two hosts' clocks. `tls` is the version as
    `TLSv1.2`, and empty where the line names TLS but no version. `wire` tells whether the message came from another
    host by SMTP: within one host, or from a mailbox's own store, there is nothing to encrypt.
    """

    by: str | None = None
    at: datetime | None = None
    delay: float | None = None
    tls: str | None = None
    wire: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What we know for certain by our own clock, in Unix time.

    `began_at` is the first byte of the hand-over, `accepted_at` the final reply if there was one; the canary became
    visible in the mailbox after `after_at`, if a look had not shown it yet, and not later than `seen_at`.
    """

    began_at: float
    accepted_at: float | None
    after_at: float | None
    seen_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset:
    """How far a server's clock is ahead of ours: `offset` seconds, give or take `uncertainty`.

    `server` is `edge`, the host that took the canary from us, or `mailbox`, which dated it when it was stored.
    """

    server: str
    host: str | None
    offset: float
    uncertainty: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTimes:
    """The whole series of one canary, in seconds; None for what no server says.

    `transit` lies between the first and the last dated hop, `end_to_end` is Exchange's own figure, `arrived` when its
    edge took the message.
    """

    hops: Sequence[ServerHop] = ()
    transit: float | None = None
    end_to_end: float | None = None
    arrived: datetime | None = None
    clocks: Sequence[ClockOffset] = ()


def server_times(
    hops: Sequence[ServerHop],
    *,
    end_to_end: float | None,
    arrived: datetime | None,
    stored: datetime | None,
    known: Known,
) -> ServerTimes:
    """Put the series together. *hops* are oldest first; *stored* is when the mailbox dated the message."""
    dated = [hop.at for hop in hops if hop.at is not None]
    return ServerTimes(
        hops=tuple(hops),
        transit=(dated[-1] - dated[0]).total_seconds() if len(dated) > 1 else None,
        end_to_end=end_to_end,
        arrived=arrived,
        clocks=tuple(_clocks(hops, arrived, stored, known)),
    )


def _clocks(
    hops: Sequence[ServerHop], arrived: datetime | None, stored: datetime | None, known: Known
) -> Iterator[ClockOffset]:
    first = hops[0] if hops else ServerHop()
    # Exchange's own date of arrival has fractions of a second, its Received line has not.
    taken = arrived or first.at
    if taken is not None:
        latest = known.seen_at if known.accepted_at is None else known.accepted_at
        yield _offset("edge", first.by, taken, known.began_at, latest)
    if stored is not None:
        earliest = known.began_at if known.after_at is None else max(known.began_at, known.after_at)
        yield _offset("mailbox", None, stored, earliest, known.seen_at)


def _offset(server: str, host: str | None, stamp: datetime, earliest: float, latest: float) -> ClockOffset:
    """The offset of a clock that wrote *stamp* at a moment between *earliest* and *latest* of ours.

    A stamp in whole seconds was cut off, so that its clock stood up to a second further.
    """
    at = stamp.timestamp()
    cut_off = 0.0 if stamp.microsecond else _SECOND
    low, high = at - latest, at + cut_off - earliest
    return ClockOffset(server=server, host=host, offset=(low + high) / 2, uncertainty=(high - low) / 2)
