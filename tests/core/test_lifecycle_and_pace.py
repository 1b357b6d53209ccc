"""The table of a canary's life, and when to look for it."""

from __future__ import annotations

import itertools

from checks.core import lifecycle
from checks.core.lifecycle import OPEN, TRANSITIONS, Event, State
from checks.core.pace import Pace


def test_every_event_leads_to_one_state():
    for event in Event:
        assert lifecycle.target(event) in State


def test_every_open_state_but_the_first_can_be_concluded():
    assert lifecycle.sources(Event.CONCLUDE) == OPEN - {State.STARTED}


def test_nothing_leaves_a_conclusion_but_a_recovery():
    leaving = {event for event, moves in TRANSITIONS.items() if State.CONCLUDED in moves}
    assert leaving == {Event.SIGHT}
    assert not any(State.RECOVERED in moves for moves in TRANSITIONS.values())


def test_every_state_can_be_reached():
    reached = {State.STARTED} | {target for moves in TRANSITIONS.values() for target in moves.values()}
    assert reached == set(State)


def test_a_path_that_taught_nothing_yet_is_looked_at_at_growing_steps():
    steps = Pace().steps()
    gaps = [later - earlier for earlier, later in itertools.pairwise(steps)]
    assert steps[0] <= 0.005
    assert gaps == sorted(gaps)


def test_looks_gather_around_what_deliveries_took():
    pace = Pace()
    for _ in range(10):
        pace.learn(4.0)
    near = [step for step in pace.steps() if 3.5 <= step <= 5.0]
    assert pace.steps()[0] >= 3.5
    assert len(near) >= 4


def test_looks_are_in_order_few_and_apart():
    for delivery in (0.0, 0.003, 0.5, 30.0, 3000.0):
        pace = Pace()
        for _ in range(5):
            pace.learn(delivery)
        steps = list(pace.steps())
        assert steps == sorted(set(steps))
        assert len(steps) <= 20
        assert min(steps) >= 0.002


def test_a_path_that_changes_is_learned_anew():
    pace = Pace()
    for _ in range(32):
        pace.learn(0.01)
    for _ in range(32):
        pace.learn(8.0)
    assert pace.steps()[0] > 7.0
