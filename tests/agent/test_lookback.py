"""How far back a watcher begins where a cursor is void: UIDVALIDITY changed, or a token of Graph expired."""

from __future__ import annotations

import pytest
from support.make import a_check
from support.tenant import unreadable
from support.world import KEEP, in_a_world

from checks.core.model import Limits

DAY = 86400.0
PATIENT = Limits(every=60, late_after=60, lost_after=600, observe_within=10 * DAY)


def heard(world):
    """Note from now on how long ago the moment lies that each look is to begin with."""
    reaches = []
    look = world.reader.look

    async def noted(folder, cursor, *, since):
        reaches.append((world.clock.now() - since).total_seconds())
        return await look(folder, cursor, since=since)

    world.reader.look = noted
    return reaches


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_mail_that_came_during_an_outage_is_found_where_the_cursor_has_become_void(tmp_path, restarted):
    """`keep` is two hours here, and the canary is awaited for ten days."""

    async def story(world):
        await world.clock.sleep(5.0)
        world.reader.down = unreadable()
        world.path.fate.delay = 30.0
        canary = await world.send()
        await world.clock.sleep(100.0)
        world.clock.suspend(5 * DAY)
        world.tenant.validity += 1
        if restarted:
            await world.crash()
            await world.start()
        world.reader.down = None
        await world.clock.sleep(1500.0)
        assert await world.outcome(canary) == "delivered"

    in_a_world(tmp_path, story, a_check(limits=PATIENT))


def test_what_is_not_awaited_any_more_is_not_reached_back_to(tmp_path):
    async def story(world):
        reaches = heard(world)
        world.path.fate.copies = 0
        assert await world.send_and_wait(1200.0) == "lost"
        world.clock.suspend(2 * KEEP)
        await world.clock.sleep(60.0)
        assert max(reaches) <= DAY + KEEP, "it was in flight for less than `keep`"

    in_a_world(tmp_path, story, a_check(limits=PATIENT))


def test_each_page_begins_by_the_clock_as_it_is_then(tmp_path):
    """A round has many pages, and NTP may set the clock in the middle of one: a cursor may be void on any of them."""

    async def story(world):
        world.reader.down = unreadable()
        await world.send()
        await world.send()
        await world.clock.sleep(60.0)
        reaches, world.reader.page = heard(world), 1
        noted = world.reader.look

        async def set_back(folder, cursor, *, since):
            look = await noted(folder, cursor, since=since)
            world.clock.step(-400 * DAY)
            return look

        world.reader.look, world.reader.down = set_back, None
        await world.clock.sleep(60.0)
        assert len(reaches) > 2
        assert set(reaches) == {DAY + KEEP}

    in_a_world(tmp_path, story)
