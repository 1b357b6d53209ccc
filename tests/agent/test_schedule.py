"""The grid of slots: drift-free, and honest about what it skipped. Time is handed in."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.make import a_check
from support.simulation import SimulatedClock, SimulatedLoop, simulate

from agent.clock import SystemClock
from agent.schedule import Grid, GridTrigger, Schedule, Timetable
from checks.core.model import Limits


def check_every(seconds: float, name: str = "relay"):
    return a_check(name, limits=Limits(every=seconds, late_after=1, lost_after=2))


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


SOON, LATE = EPOCH.replace(year=2026, tzinfo=None), EPOCH.replace(year=2099, tzinfo=None)


@given(st.floats(0.5, 86400), st.text("abc", min_size=1, max_size=3), st.datetimes(SOON, LATE, timezones=st.just(UTC)))
def test_each_slot_follows_the_one_before_by_exactly_the_interval(every, name, now):
    """A due time that is asked for again must never be its own successor: the scheduler would loop for ever."""
    grid = Grid.of(check_every(every, name))
    trigger = GridTrigger(grid)
    first = trigger.get_next_fire_time(None, now)
    second = trigger.get_next_fire_time(first, now)
    assert now < first <= now + timedelta(microseconds=grid.every)
    assert second - first == timedelta(microseconds=grid.every)
    assert grid.due(grid.slot(first)) == first


def test_the_grid_does_not_drift_over_a_million_slots():
    grid = Grid.of(check_every(60))
    first = grid.slot(moment(1.7e9))
    assert grid.due(first + 1_000_000) - grid.due(first) == timedelta(seconds=60_000_000)


def test_checks_do_not_march_in_step():
    phases = {Grid.of(check_every(60, f"check{number}")).phase for number in range(50)}
    assert len(phases) == 50
    assert all(0 <= phase < 60_000_000 for phase in phases)


def test_the_same_name_has_the_same_phase_everywhere():
    assert Grid.of(check_every(60)) == Grid.of(check_every(60))


def test_the_trigger_goes_on_from_the_slot_before_not_from_now():
    grid = Grid(60_000_000, 7_000_000)
    fired = moment(60 * 1000 + 7)
    assert GridTrigger(grid).get_next_fire_time(fired, fired + timedelta(seconds=3)) == moment(60 * 1001 + 7)


class TestTimetable:
    """What one check's slots amount to."""

    def table(self):
        return Timetable(check_every(60), Grid(60_000_000, 0))

    def test_each_slot_fires_once(self):
        table = self.table()
        assert [table.fire(moment(at)) for at in (6000, 6001, 6059.9, 6060, 6060)] == [100, None, None, 101, None]
        assert table.skipped == 0

    def test_slots_that_nobody_fired_are_counted_by_their_numbers(self):
        table = self.table()
        table.fire(moment(6000))
        assert table.fire(moment(6000 + 60 * 10)) == 110
        assert table.skipped == 9

    def test_the_delay_is_how_late_the_slot_was_fired(self):
        table = self.table()
        table.fire(moment(6000))
        table.fire(moment(6062.5))
        assert table.delay == 2.5

    def test_after_the_clock_was_set_back_slots_fire_again(self):
        table = self.table()
        table.fire(moment(6000 + 3600))
        assert table.fire(moment(6060)) is None
        table.forget_future(moment(6030))
        assert table.fire(moment(6060)) == 101
        assert table.skipped == 0


class TestSchedule:
    """APScheduler at work, in real time but without waiting for more than a first slot."""

    def test_the_first_canary_of_every_check_goes_out_at_once(self):
        async def story():
            fired, done = [], asyncio.Event()

            def fire(check, _slot):
                fired.append(check.name)
                if len(fired) == 3:
                    done.set()

            schedule = Schedule(SystemClock(), fire)
            schedule.start([check_every(3600, name) for name in ("a", "b", "c")])
            async with asyncio.timeout(30):
                await done.wait()
            assert fired == ["a", "b", "c"]
            assert schedule.next_due("a") is not None
            schedule.stop()

        asyncio.run(story())

    def test_a_reload_leaves_unchanged_checks_alone(self):
        async def story():
            schedule = Schedule(SystemClock(), lambda *_: None)
            schedule.start([check_every(3600, "a"), check_every(3600, "b")])
            kept = schedule.timetables["a"]
            schedule.update([check_every(3600, "a"), check_every(60, "c")])
            assert set(schedule.timetables) == {"a", "c"}
            assert schedule.timetables["a"] is kept
            assert schedule.next_due("b") is None
            schedule.stop()

        asyncio.run(story())

    def test_after_a_reload_checks_that_are_another_way_now_send_a_canary_at_once(self):
        async def story():
            fired, all_of_them = [], asyncio.Event()

            def fire(check, _slot):
                fired.append((check.name, check.path))
                if len(fired) == 6:
                    all_of_them.set()

            schedule = Schedule(SystemClock(), fire)
            before = [check_every(3600, name) for name in ("a", "b", "c")]
            schedule.start(before)
            async with asyncio.timeout(30):
                while len(fired) < 3:
                    await asyncio.sleep(0.01)
                schedule.update(
                    [replace(before[0], path="other"), before[1], before[2], check_every(3600, "d")], moved={"c"}
                )
                await all_of_them.wait()
            assert sorted(fired[3:]) == [("a", "other"), ("c", before[2].path), ("d", "d")]
            schedule.stop()

        asyncio.run(story())

    @pytest.mark.parametrize(("step", "unwatched"), [(3600, 0), (-3600, 0), (0, 3600)])
    def test_a_clock_that_jumps_has_every_next_run_computed_anew(self, step, unwatched):
        loop = SimulatedLoop()
        clock = SimulatedClock(loop)
        recomputed = []

        class Watched(Schedule):
            def recompute(self):
                recomputed.append(clock.steady())

        async def story():
            schedule = Watched(clock, lambda *_: None)
            watching = asyncio.ensure_future(schedule.watch_clock())
            await clock.sleep(35)
            assert recomputed == []
            clock.step(step)
            clock.suspend(unwatched)
            await clock.sleep(35)
            assert len(recomputed) == 1
            watching.cancel()

        simulate(story(), loop)
