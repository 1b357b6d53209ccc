"""A path that takes its time, or breaks, harms neither the mailbox nor the books."""

from __future__ import annotations

import asyncio

import pytest
from support.make import a_check, refused
from support.world import in_a_world

from checks.core.model import Cause, Limits, Stage

LIMITS = Limits(every=60, late_after=20, lost_after=60, observe_within=300)


def tell(folder, story):
    return in_a_world(folder, story, a_check(limits=LIMITS))


def over_a_network(world):
    """Let a look take a moment, as it does over a network: what asks for one without end has to show."""
    look = world.reader.look

    async def slowly(*arguments, **more):
        await world.clock.sleep(0.1)
        return await look(*arguments, **more)

    world.reader.look = slowly


async def looks_within(world, seconds):
    before = world.reader.looks
    await world.clock.sleep(seconds)
    return world.reader.looks - before


def test_a_hand_over_that_outlasts_the_deadline_costs_no_more_looks_than_one_that_does_not(tmp_path):
    async def story(world):
        over_a_network(world)
        world.path.fate.seconds = 600.0
        sending = asyncio.ensure_future(world.send())
        usual = await looks_within(world, 50)
        for _ in range(10):
            assert await looks_within(world, 50) <= usual + 2
        await world.clock.sleep(100)
        assert await world.outcome(sending.result()) == "late"

    tell(tmp_path, story)


def test_one_that_ends_after_the_deadline_and_never_arrives_is_lost_once_it_had_time_to_arrive(tmp_path):
    async def story(world):
        over_a_network(world)
        world.path.fate.seconds, world.path.fate.copies = 100.0, 0
        canary = await world.send()
        await world.clock.sleep(LIMITS.late_after - 1)
        assert await world.outcome(canary) == ""
        await world.clock.sleep(3)
        assert await world.outcome(canary) == "lost"

    tell(tmp_path, story)


UNWRITABLE = refused(Stage.CONNECT, cause=Cause.CONNECT, detail="no host \udcff")


@pytest.mark.parametrize("answer", [None, "taken", UNWRITABLE], ids=["none", "words", "a lone surrogate"])
@pytest.mark.parametrize("copies", [0, 1])
def test_an_answer_that_cannot_be_written_down_leaves_the_canary_in_doubt_and_never_forgotten(tmp_path, answer, copies):
    async def story(world):
        world.path.fate.copies = copies
        send = world.path.send

        async def answering(*arguments):
            await send(*arguments)
            return answer

        world.path.send = answering
        canary = await world.send()
        await world.clock.sleep(70)
        assert await world.outcome(canary) == ("delivered" if copies else "indeterminate")

    tell(tmp_path, story)


def test_a_canary_is_in_doubt_where_what_its_path_awaited_was_cancelled_by_others(tmp_path):
    async def story(world):
        world.path.fate.fault = asyncio.CancelledError()
        canary = await world.send()
        await world.clock.sleep(LIMITS.lost_after + LIMITS.observe_within)
        assert await world.outcome(canary) == "indeterminate"

    tell(tmp_path, story)


def test_a_probe_that_is_cancelled_itself_ends(tmp_path):
    async def story(world):
        world.path.fate.seconds = 30.0
        sending = asyncio.ensure_future(world.probe.send(world.check, 0))
        await world.clock.sleep(5)
        sending.cancel()
        await asyncio.wait({sending})
        assert sending.cancelled()

    tell(tmp_path, story)
