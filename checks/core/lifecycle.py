"""The life of a canary as a table: everything that may happen to its state is written here, and nowhere else.

    started --accept--> waiting --conclude--> concluded --sight--> recovered
       |  `--doubt----> in_doubt --conclude------^
       |  `--refuse---> refused ---conclude------^

A canary is written down as `started` before its first byte is sent. One that is still `started` when its process
is gone is in doubt: it may have been sent. Only a conclusion other than a sighting can be recovered from.
"""

from __future__ import annotations

import enum


class State(enum.StrEnum):
    """Where a canary stands."""

    STARTED = "started"
    WAITING = "waiting"
    IN_DOUBT = "in_doubt"
    REFUSED = "refused"
    CONCLUDED = "concluded"
    RECOVERED = "recovered"


class Event(enum.StrEnum):
    """What can happen to it."""

    ACCEPT = "accept"
    DOUBT = "doubt"
    REFUSE = "refuse"
    CONCLUDE = "conclude"
    SIGHT = "sight"


TRANSITIONS: dict[Event, dict[State, State]] = {
    Event.ACCEPT: {State.STARTED: State.WAITING},
    Event.DOUBT: {State.STARTED: State.IN_DOUBT},
    Event.REFUSE: {State.STARTED: State.REFUSED},
    Event.CONCLUDE: {
        State.WAITING: State.CONCLUDED,
        State.IN_DOUBT: State.CONCLUDED,
        State.REFUSED: State.CONCLUDED,
    },
    Event.SIGHT: {State.CONCLUDED: State.RECOVERED},
}

OPEN = frozenset({State.STARTED, State.WAITING, State.IN_DOUBT, State.REFUSED})
"""The states of a canary that is in flight: it has no conclusion yet."""


def sources(event: Event) -> frozenset[State]:
    """List the states in which *event* may happen."""
    return frozenset(TRANSITIONS[event])


def target(event: Event) -> State:
    """Tell the state that *event* leads to; every event has one."""
    (only,) = set(TRANSITIONS[event].values())
    return only
