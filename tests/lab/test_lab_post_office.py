"""When mail arrives, and how long it is kept: the post office, with the time given."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime

import pytest

from checks.lab import Lab
from checks.lab.faults import FaultBoard
from checks.lab.imap_folders import DurableFolders
from checks.lab.post import KEEP_SECONDS, PostOffice, RateLimit, Submission
from checks.lab.store import MailStore, Place
from checks.lab.tenant import PathName, Peer

INBOX = Place("inbox", "INBOX")


@pytest.fixture
def anyio_backend():
    return "asyncio"


@contextlib.asynccontextmanager
async def office_in(directory, **limits):
    store = MailStore(directory / "journal", datetime.now(UTC))
    folders = DurableFolders(store, "inbox").by_place
    usual = {"transit": 0.0, "messages_per_minute": 30}
    office = PostOffice(store, folders, FaultBoard(), **{**usual, **limits})
    yield office, store.folders[INBOX]
    await store.close()


def mail(subject: str) -> Submission:
    return Submission(
        path=PathName.DIRECT,
        peer=Peer("127.0.0.1"),
        mail_from="canary@contoso.example",
        recipients=["canary@contoso.example"],
        content=f"Subject: {subject}\r\n\r\nhello\r\n".encode(),
        attributed=False,
    )


@pytest.mark.anyio
async def test_mail_arrives_when_it_is_due_and_not_before(tmp_path):
    async with office_in(tmp_path, transit=5.0) as (office, inbox):
        await office.accept(mail("one"))
        now = time.time()
        assert await office.deliver_due(now) == 0
        assert await office.deliver_due(now + 6.0) == 1
        assert [one.arrived for one in inbox.mails.values()] == [now + 6.0]


@pytest.mark.anyio
async def test_a_full_folder_loses_its_oldest_mail(tmp_path):
    async with office_in(tmp_path, keep=10) as (office, inbox):
        for number in range(11):
            await office.accept(mail(str(number)))
        await office.deliver_due(time.time() + 1.0)
        assert list(inbox.mails) == [3, 4, 5, 6, 7, 8, 9, 10, 11]
    async with office_in(tmp_path, keep=10) as (_, inbox):
        assert (list(inbox.mails), inbox.next_uid) == ([3, 4, 5, 6, 7, 8, 9, 10, 11], 12)


@pytest.mark.anyio
async def test_mail_is_kept_for_a_day(tmp_path):
    async with office_in(tmp_path) as (office, inbox):
        now = time.time() + 1.0
        await office.accept(mail("old"))
        await office.deliver_due(now)
        await office.accept(mail("new"))
        await office.deliver_due(now + 10.0)
        await office.tidy(now + KEEP_SECONDS + 5.0)
        assert list(inbox.mails) == [2]


def test_what_exceeds_the_rate_waits_for_its_turn_and_is_not_refused():
    limit = RateLimit(30)
    turns = [limit.turn(100.0) for _ in range(61)]
    assert turns == [100.0] * 30 + [160.0] * 30 + [220.0]
    assert limit.turn(1000.0) == 1000.0


def test_only_submission_has_a_rate(tmp_path, sender):
    with Lab(tmp_path, messages_per_minute=3) as slow:
        assert all(sender("submission", slow).send().accepted for _ in range(4))
        assert all(sender("direct", slow).send().accepted for _ in range(4))
        assert slow.status()["on_the_way"] >= 1
