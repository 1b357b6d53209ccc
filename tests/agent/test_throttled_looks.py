"""A mailbox that throttles us is looked into less often; what may not be deleted can still be read."""

from __future__ import annotations

import pytest
from support.make import a_check
from support.tenant import Fate
from support.world import KEEP, in_a_world

from agent.watch import look_every
from checks.core.model import Limits
from checks.errors import MailboxUnreadable

PATIENT = Limits(every=3600.0, late_after=20.0, lost_after=1200.0)


@pytest.mark.parametrize(
    ("late_after", "poll", "seconds"),
    [([], None, 60.0), ([300.0], None, 60.0), ([60.0, 20.0], None, 10.0), ([60.0], 5.0, 5.0), ([4.0], 5.0, 2.0)],
)
def test_a_mailbox_is_looked_into_as_often_as_its_checks_and_its_kind_demand(late_after, poll, seconds):
    assert look_every(late_after, poll) == seconds


async def throttle_once(world):
    world.reader.down = MailboxUnreadable("throttled", "too many requests", retry_after=3.0)
    world.watcher.want_look()
    await world.clock.sleep(1.0)
    world.reader.down = None
    await world.clock.sleep(5.0)


async def looks_within(world, seconds):
    before = world.reader.looks
    await world.clock.sleep(seconds)
    return (world.reader.looks - before) / len(world.reader.folders)


def test_each_refusal_to_look_halves_how_often_we_look_and_time_gives_it_back(tmp_path):
    async def story(world):
        await world.clock.sleep(30.0)
        assert world.watcher.status.look_interval == 10.0
        assert await looks_within(world, 200.0) == pytest.approx(20, abs=2)
        await throttle_once(world)
        assert (world.watcher.status.look_interval, world.watcher.status.throttled) == (20.0, 1)
        await throttle_once(world)
        assert world.watcher.status.look_interval == 40.0
        assert await looks_within(world, 240.0) == pytest.approx(6, abs=2)
        await throttle_once(world)
        assert world.watcher.status.look_interval == 60.0
        await world.clock.sleep(3000.0)
        assert world.watcher.status.look_interval == 10.0
        assert await looks_within(world, 200.0) == pytest.approx(20, abs=2)

    in_a_world(tmp_path, story, a_check(limits=PATIENT))


def test_who_looks_less_often_is_not_blind_and_finds_out_what_is_lost(tmp_path):
    async def story(world):
        for _ in range(3):
            await throttle_once(world)
        world.path.fate = Fate(copies=0)
        canary = await world.send()
        await world.clock.sleep(PATIENT.lost_after + 70.0)
        assert await world.outcome(canary) == "lost"

    in_a_world(tmp_path, story, a_check(limits=PATIENT))


@pytest.mark.parametrize("reason", ["protocol", "closed", "timeout", "throttled"])
def test_a_mailbox_is_up_while_looks_work_whatever_becomes_of_the_waits_between_them(tmp_path, reason):
    async def story(world):
        waits = []

        async def wait(_seconds):
            waits.append(world.clock.steady())
            raise MailboxUnreadable(reason, "no IDLE today")

        world.reader.wait = wait
        for _ in range(20):
            await world.clock.sleep(10.0)
            assert world.watcher.status.up
        assert await world.send_and_wait(60) == "delivered"
        assert len(waits) < 60, "a wait that fails at once is no reason to look without end"

    in_a_world(tmp_path, story, a_check(limits=PATIENT))


def test_a_mailbox_in_which_nothing_may_be_deleted_can_still_be_read(tmp_path):
    async def story(world):
        async def refuse(_):
            raise MailboxUnreadable("login", "the token has no role Mail.ReadWrite")

        world.reader.delete = refuse
        await world.send_and_wait()
        await world.clock.sleep(KEEP + 700.0)
        assert world.watcher.status.up
        assert await world.send_and_wait() == "delivered"

    in_a_world(tmp_path, story)
