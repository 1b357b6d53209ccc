"""Cleaning goes on beside what cannot be cleaned: a folder that is gone or refuses, a message that breaks off."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.make import a_check, expecting
from support.tenant import Fate
from support.world import in_a_world

from checks.errors import MailboxUnreadable

KEEP = 200.0  # a short one, of the cleaner alone
GONE = MailboxUnreadable("folder", "could not open the folder Junk Email: refused")


def cleaned_early(world):
    world.watcher.cleaner.keep = KEEP


def without(world, folder, error=GONE):
    """Let the reader fail wherever *folder* is touched, as one over IMAP does."""
    for name in ("headers", "delete"):
        real = getattr(world.reader, name)

        async def asked(refs, real=real):
            if any(ref.folder == folder for ref in refs):
                raise error
            return await real(refs)

        setattr(world.reader, name, asked)


async def one_in_junk_and_some_in_the_inbox(world, number=3):
    world.path.fate = Fate(folder="Junk Email")
    await world.send_and_wait()
    world.path.fate = Fate()
    for _ in range(number):
        await world.send_and_wait()


def folders_of(world):
    return [mail.folder for mail in world.tenant.mails]


def test_a_folder_that_was_renamed_keeps_no_other_from_being_cleaned_and_is_given_up(tmp_path):
    async def story(world):
        cleaned_early(world)
        await one_in_junk_and_some_in_the_inbox(world)
        await world.crash()
        world.reader.folders = ("INBOX", "Spam")
        without(world, "Junk Email")
        await world.start()
        cleaned_early(world)
        await world.clock.sleep(KEEP + 100)
        assert folders_of(world) == ["Junk Email"]
        assert await world.ledger.deletable("inbox", before=world.clock.steady()) == []

    in_a_world(tmp_path, story)


@pytest.mark.parametrize("reason", ["protocol", "closed", "timeout"])
def test_a_folder_in_which_reading_fails_keeps_no_other_from_being_cleaned(tmp_path, reason):
    async def story(world):
        cleaned_early(world)
        await one_in_junk_and_some_in_the_inbox(world)
        without(world, "Junk Email", MailboxUnreadable(reason, "not now"))
        await world.clock.sleep(KEEP + 100)
        assert folders_of(world) == ["Junk Email"]

    in_a_world(tmp_path, story)


def test_a_watched_folder_that_cannot_be_opened_is_not_given_up(tmp_path):
    async def story(world):
        cleaned_early(world)
        await one_in_junk_and_some_in_the_inbox(world, 1)
        working = world.reader.headers, world.reader.delete
        without(world, "Junk Email")
        await world.clock.sleep(KEEP + 100)
        assert folders_of(world) == ["Junk Email"]
        world.reader.headers, world.reader.delete = working
        await world.clock.sleep(100)
        assert folders_of(world) == []

    in_a_world(tmp_path, story)


def test_more_than_is_deleted_at_once_in_one_folder_keeps_no_other_from_being_cleaned(tmp_path):
    """What may not be deleted there is the oldest for ever."""

    async def story(world):
        cleaned_early(world)
        world.path.fate = Fate(folder="Junk Email", copies=101)
        await world.send_and_wait()
        world.path.fate = Fate()
        await world.send_and_wait()
        without(world, "Junk Email")
        await world.clock.sleep(KEEP + 100)
        assert set(folders_of(world)) == {"Junk Email"}

    in_a_world(tmp_path, story)


def test_a_message_that_breaks_the_connection_keeps_no_other_from_being_cleaned(tmp_path):
    async def story(world):
        cleaned_early(world)
        for _ in range(3):
            await world.send_and_wait()
        real = world.reader.headers

        async def headers(refs):
            if any(ref.uid == "2" for ref in refs):
                raise MailboxUnreadable("closed", "the server closed the connection")
            return await real(refs)

        world.reader.headers = headers
        await world.clock.sleep(KEEP + 300)
        assert [mail.uid for mail in world.tenant.mails] == [2]
        assert world.watcher.status.up

    in_a_world(tmp_path, story)


def test_what_is_shown_without_its_header_is_no_evidence_and_is_cleaned_all_the_same(tmp_path):
    """So Graph shows what never was on its way; its id, subject and sender still tell whose it is."""

    def bare(block):
        kept = (b"message-id:", b"subject:", b"from:")
        return b"".join(line for line in block.splitlines(keepends=True) if line.lower().startswith(kept))

    async def story(world):
        cleaned_early(world)
        look, headers = world.reader.look, world.reader.headers

        async def looked(folder, cursor, *, since):
            found = await look(folder, cursor, since=since)
            messages = [replace(one, headers=bare(one.headers), bare=True) for one in found.messages]
            return replace(found, messages=messages)

        async def fetched(refs):
            return {ref: bare(block) for ref, block in (await headers(refs)).items()}

        world.reader.look, world.reader.headers = looked, fetched
        canary = await world.send()
        await world.clock.sleep(60)
        row = await world.row(canary)
        assert (row.outcome, row.verdict, row.reasons) == ("delivered", "unknown", '["evidence_unobserved"]')
        await world.clock.sleep(KEEP + 100)
        assert folders_of(world) == []

    in_a_world(tmp_path, story, a_check(expect=expecting(results={"spf": "pass"})))
