"""What lies in a mailbox stays the same mail when the settings call the mailbox otherwise, or read it otherwise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from support.tenant import Fate, SimulatedReader
from support.world import World, in_a_world

RESULTS = b"Authentication-Results: mx.outside.example; spf=pass\r\n"


class OtherNames(SimulatedReader):
    """Another way to read the same mailbox: the folders have other names, as over Graph."""

    folders = ("inbox", "junkemail")

    async def look(self, folder, cursor, *, since):
        for mail in self.tenant.mails:
            mail.folder = {"INBOX": "inbox", "Junk Email": "junkemail"}.get(mail.folder, mail.folder)
        return await super().look(folder, cursor, since=since)


def rename(_: World) -> str:
    return "tests"


def read_otherwise(world: World) -> str:
    world.reader = OtherNames(world.tenant)
    world.account = "by another protocol"
    return "inbox"


@pytest.mark.parametrize("change", [rename, read_otherwise])
def test_mail_that_is_found_anew_after_a_change_of_the_settings_counts_once(
    tmp_path: Path, change: Callable[[World], str]
) -> None:
    async def story(world: World) -> None:
        world.path.fate = Fate(change=lambda message: RESULTS + message)
        canaries = [await world.send() for _ in range(3)]
        await world.clock.sleep(30)
        copied = world.tenant.deliver(world.tenant.mails[0].content)
        await world.clock.sleep(120)
        assert await world.total("canaries_duplicates") == 1
        assert await world.total("authentication", mechanism="spf") == 4

        await world.crash()
        await world.start(mailbox=change(world))
        looks = world.reader.looks
        await world.clock.sleep(120)
        assert world.reader.looks > looks
        assert await world.total("canaries_duplicates") == 1
        assert await world.total("authentication", mechanism="spf") == 4
        assert [(await world.row(one)).sightings for one in canaries] == [2, 1, 1]

        world.tenant.deliver(copied.content, folder=copied.folder)
        await world.clock.sleep(120)
        assert await world.total("canaries_duplicates") == 2
        assert (await world.row(canaries[0])).sightings == 3

    in_a_world(tmp_path, story)


async def give_the_former_name_back(world: World) -> None:
    await world.start(mailbox="tests")
    await world.clock.sleep(120)
    await world.crash()
    await world.start()


async def correct_the_account(world: World) -> None:
    world.account = "the same mailbox by another host name"
    await world.start()


@pytest.mark.parametrize("change", [give_the_former_name_back, correct_the_account])
def test_a_second_copy_counts_in_a_place_where_mail_was_known_before_it_was_watched_again(
    tmp_path: Path, change: Callable[[World], Awaitable[None]]
) -> None:
    async def story(world: World) -> None:
        canary = await world.send()
        await world.clock.sleep(60)
        await world.crash()
        await change(world)
        await world.clock.sleep(120)
        assert await world.total("canaries_duplicates") == 0

        (mail,) = world.tenant.mails
        world.tenant.deliver(mail.content, folder=mail.folder)
        await world.clock.sleep(120)
        assert await world.total("canaries_duplicates") == 1
        assert (await world.row(canary)).sightings == 2

    in_a_world(tmp_path, story)


def test_mail_in_a_mailbox_whose_former_name_another_one_has_now_counts_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        canary = await world.send()
        await world.clock.sleep(60)
        await world.crash()
        await world.start(mailbox="tests", others=["inbox"])
        await world.clock.sleep(120)
        assert await world.total("canaries_duplicates") == 0
        assert (await world.row(canary)).sightings == 1

    in_a_world(tmp_path, story)
