"""Four requests at a time for one app and mailbox: in order, and whatever becomes of those who wait."""

from __future__ import annotations

import asyncio

import pytest
from support.credential import HandCredential

from checks.wire.graph.places import AT_ONCE, Places, places_of

pytestmark = pytest.mark.anyio


class Visitors:
    """Takes places in tasks, which stay until they are let go."""

    def __init__(self, places):
        self.places = places
        self.inside = []
        self.leave = {}

    async def come(self, name, number=1):
        self.leave[name] = asyncio.Event()
        task = asyncio.ensure_future(self._stay(name, number))
        await settle()
        return task

    async def go(self, *names):
        for name in names:
            self.leave[name].set()
        await settle()

    async def _stay(self, name, number):
        async with self.places.taken(number):
            self.inside.append(name)
            try:
                await self.leave[name].wait()
            finally:
                self.inside.remove(name)


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_fifth_waits_and_a_batch_waits_for_as_many_places_as_it_has_parts():
    visitors = Visitors(Places())
    for name in "abcd":
        await visitors.come(name)
    await visitors.come("batch", AT_ONCE)
    await visitors.come("last")
    assert visitors.inside == list("abcd")
    await visitors.go(*"abc")
    assert visitors.inside == ["d"]  # the batch is first in line, and nobody passes it
    await visitors.go("d")
    assert visitors.inside == ["batch"]
    await visitors.go("batch")
    assert visitors.inside == ["last"]


async def test_who_gives_up_waiting_or_is_cut_off_inside_leaves_no_place_taken():
    visitors = Visitors(Places())
    inside = [await visitors.come(name, 2) for name in "ab"]
    waiting = [await visitors.come(name, 4) for name in "cd"]
    waiting[0].cancel()
    inside[0].cancel()
    await settle()
    await visitors.go("b")
    assert visitors.inside == ["d"]


async def test_a_turn_that_comes_in_the_moment_of_giving_up_is_passed_on():
    visitors = Visitors(Places())
    async with visitors.places.taken(AT_ONCE):
        given_up = await visitors.come("a", AT_ONCE)
        await visitors.come("b", AT_ONCE)
    given_up.cancel()  # its turn has come, and it does not know yet
    await settle()
    assert visitors.inside == ["b"]


def test_an_app_has_its_own_places_for_each_mailbox_whoever_asks():
    app, other = HandCredential(), HandCredential()
    assert places_of(app, "A@contoso.example") is places_of(app, "a@contoso.example")
    assert places_of(app, "a@contoso.example") is not places_of(app, "b@contoso.example")
    assert places_of(app, "a@contoso.example") is not places_of(other, "a@contoso.example")
