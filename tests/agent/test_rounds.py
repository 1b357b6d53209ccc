"""A look of several pages shows what was there when the first was asked for: only as of then it proves absence."""

from __future__ import annotations

import json

from support.make import a_check
from support.tenant import unreadable
from support.world import in_a_world

from checks.core.model import Limits

PATIENT = Limits(every=60, late_after=60, lost_after=600)


def fill(world, messages):
    for number in range(messages):
        world.tenant.deliver(b"Subject: payroll %d\r\n\r\n\r\n" % number)


async def a_long_look(world):
    """Let a look begin that takes a second for each message there is: its cursor is void."""
    await world.clock.sleep(60.0)
    world.reader.page, world.reader.seconds = 1, 1.0
    world.tenant.validity += 1
    world.watcher.want_look()
    await world.clock.sleep(0.5)


def test_what_arrives_during_a_round_of_pages_is_not_called_late(tmp_path):
    async def story(world):
        fill(world, 100)
        await a_long_look(world)
        canary = await world.send()
        await world.clock.sleep(200.0)
        row = await world.row(canary)
        assert (row.outcome, json.loads(row.reasons)) == ("delivered", ["timeliness_unobserved"])
        assert row.observation_gap > 90.0, "nobody looked between its arrival and the end of the round"

    in_a_world(tmp_path, story, a_check(limits=PATIENT))


def test_what_arrives_during_a_round_and_before_the_deadline_is_not_lost(tmp_path):
    async def story(world):
        fill(world, 60)
        world.path.fate.delay = 80.0
        canary = await world.send()
        await a_long_look(world)
        await world.clock.sleep(200.0)
        row = await world.row(canary)
        assert row.outcome == "late"
        assert row.end_to_end - row.observation_gap < 80.5 < row.end_to_end

    in_a_world(tmp_path, story, a_check(limits=Limits(every=60, late_after=60, lost_after=100)))


def test_a_round_keeps_its_beginning_while_the_mailbox_is_unreadable(tmp_path):
    async def story(world):
        fill(world, 20)
        await a_long_look(world)
        await world.clock.sleep(10.0)
        canary = await world.send()
        world.reader.down = unreadable()
        await world.clock.sleep(50.0)
        world.reader.down = None
        await world.clock.sleep(120.0)
        row = await world.row(canary)
        assert (row.outcome, json.loads(row.reasons)) == ("delivered", ["timeliness_unobserved"])

    in_a_world(tmp_path, story, a_check(limits=PATIENT))


def test_a_round_that_began_in_an_earlier_life_proves_no_absence(tmp_path):
    async def story(world):
        fill(world, 20)
        await a_long_look(world)
        await world.clock.sleep(10.0)
        canary = await world.send()
        await world.clock.sleep(5.0)
        await world.crash()
        await world.clock.sleep(70.0)
        await world.start()
        await world.clock.sleep(120.0)
        row = await world.row(canary)
        assert (row.outcome, json.loads(row.reasons)) == ("delivered", ["timeliness_unobserved"])

    in_a_world(tmp_path, story, a_check(limits=PATIENT))
