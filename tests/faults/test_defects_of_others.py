"""What was measured in other round-trip monitors, each as a rule that this agent keeps."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme
from faults.imap_proxy import Fault as ImapFault
from faults.imap_proxy import On
from faults.misbehaviour import Act
from faults.rig import Rig, a_rig
from faults.smtp_proxy import At, Fault
from faults.testbed import settings_for_the_testbed
from sqlalchemy import select
from support.running import running_agent

from agent.ledger.schema import sightings
from checks.core import token
from checks.core.model import Canary, Verdict
from checks.lab import Lab
from checks.lab.ndr import RECIPIENT_NOT_FOUND, report

MANY = 40
VISIBLE_AFTER = 0.5  # seconds, far more than Dovecot takes to write a small file
Told = Callable[..., None]


@pytest.fixture
def tell(lab: Lab, authority: trustme.CA, ca_file: Path, tmp_path: Path) -> Told:
    """Tell a story on a rig of its own."""

    def on_a_rig(story: Callable[[Rig], Awaitable[None]], **changes: Any) -> None:
        async def told() -> None:
            async with a_rig(lab, authority, ca_file, tmp_path, **changes) as rig:
                await story(rig)

        asyncio.run(told())

    return on_a_rig


async def lab_breaks(rig: Rig, fault: str) -> None:
    await asyncio.to_thread(rig.lab.break_, "submission", fault)


async def outcomes(rig: Rig, canaries: list[Canary]) -> set[str]:
    return {(await rig.agent.concluded(canary, within=120)).outcome for canary in canaries}


def test_success_does_not_stay_when_everything_is_lost(tell: Told) -> None:
    async def story(rig: Rig) -> None:
        assert await rig.agent.outcome_of("brisk") == "delivered"
        assert await rig.current("brisk") is Verdict.PASS
        passed_at = await rig.metric("check_last_pass_timestamp_seconds", check="brisk")

        await lab_breaks(rig, "lose")

        assert await rig.agent.outcome_of("brisk") == "lost"
        assert await rig.metric("check_verdict", check="brisk", verdict="pass") == 0
        assert await rig.metric("check_verdict", check="brisk", verdict="fail") == 1
        assert await rig.metric("check_last_pass_timestamp_seconds", check="brisk") == pytest.approx(passed_at)

    tell(story)


def test_success_does_not_stay_when_the_relay_refuses_every_mail(tell: Told) -> None:
    async def story(rig: Rig) -> None:
        assert await rig.agent.outcome_of("patient") == "delivered"
        rig.smtp.fault = Fault(at=At.RCPT, act=Act.REFUSE)

        assert await rig.agent.outcome_of("patient") == "rejected"
        assert await rig.current("patient") is Verdict.FAIL

    tell(story)


def test_success_does_not_stay_when_nothing_concludes_any_more(tell: Told) -> None:
    """The scheduler may hang, or the machine sleep: an old success is not a present one."""

    async def story(rig: Rig) -> None:
        assert await rig.agent.outcome_of("patient") == "delivered"

        assert await rig.current("patient", later=3 * 60 + 10) is Verdict.UNKNOWN

    tell(story)


def test_a_dead_route_does_not_slow_the_figures_of_a_healthy_one(tell: Told) -> None:
    def patiently(settings: dict[str, Any]) -> None:
        settings["paths"]["submission"]["timeouts"] = {"data": "60s"}

    async def story(rig: Rig) -> None:
        rig.smtp.fault = Fault(at=At.DOT, act=Act.HANG)
        hanging = [asyncio.ensure_future(rig.agent.send("patient")) for _ in range(10)]

        for _ in range(3):
            assert await rig.agent.outcome_of("witness") == "delivered"

        assert not any(task.done() for task in hanging)  # so nothing that the witness shows has waited for them
        assert await rig.metric("canaries_in_flight", check="patient") == len(hanging)
        await rig.smtp.cut()
        await asyncio.gather(*hanging)

    tell(story, amend=patiently)


@pytest.mark.servers
def test_the_true_moment_of_arrival_lies_within_what_is_reported(testbed: Any, tmp_path: Path) -> None:
    """No sleep of ours counts as the mail's: Dovecot's own record of the delivery is between the two looks."""

    async def story() -> None:
        address = "honest@corp.test"
        async with running_agent(settings_for_the_testbed(testbed, tmp_path, address)) as agent:
            late = 0
            for number in range(1, 6):
                canary = await agent.send("mx")
                assert (await agent.concluded(canary)).outcome == "delivered"
                arrived = (await asyncio.to_thread(testbed.wait_for_arrivals, address, count=number))[-1].delivered
                query = select(sightings).where(sightings.c.canary == canary.id)
                seen = await agent.ledger.read(lambda connection, query=query: connection.execute(query).one())
                assert arrived <= seen.seen_at
                # Dovecot notes when it begins to write; on a busy machine a look may begin long before that is visible.
                late += seen.after_at > arrived + VISIBLE_AFTER
            assert late <= 1

    asyncio.run(story())


def test_a_mailbox_that_cannot_be_read_shows_in_the_metrics(tell: Told) -> None:
    async def story(rig: Rig) -> None:
        assert await rig.agent.outcome_of("patient") == "delivered"
        assert await rig.metric("mailbox_up", mailbox="inbox") == 1
        rig.imap.fault = ImapFault(on=On.LOGIN, act=Act.REFUSE)
        await rig.imap.cut()
        await rig.until_mailbox(up=False)

        assert await rig.metric("mailbox_up", mailbox="inbox") == 0
        assert await rig.metric("mailbox_up", mailbox="outside") == 1
        assert await rig.current("patient", later=3 * 60 + 10) is Verdict.UNKNOWN
        assert await rig.agent.outcome_of("impatient") == "unobserved"
        assert await rig.metric("canaries_total", check="impatient", outcome="unobserved", verdict="unknown") == 1
        assert await rig.metric("canaries_total", check="impatient", outcome="lost") == 0

    tell(story)


def test_many_canaries_at_once_break_nothing(tell: Told) -> None:
    async def story(rig: Rig) -> None:
        async with scraped(rig):
            sending = (rig.agent.send(check) for _ in range(MANY) for check in ("by-name", "witness"))
            assert await outcomes(rig, await asyncio.gather(*sending)) == {"delivered"}
        for check in ("by-name", "witness"):
            assert await rig.metric("canaries_total", check=check, outcome="delivered") == MANY
            assert await rig.metric("end_to_end_seconds_count", check=check) == MANY
            assert await rig.metric("canaries_in_flight", check=check) == 0

    tell(story)


@asynccontextmanager
async def scraped(rig: Rig) -> AsyncIterator[None]:
    """Have the figures read again and again while they change: that must not break, either."""

    async def scrape() -> None:
        while True:
            await rig.metric("canaries_total")
            await asyncio.sleep(0.25)

    scraping = asyncio.ensure_future(scrape())
    try:
        yield
        assert not scraping.done()
    finally:
        scraping.cancel()
        await asyncio.gather(scraping, return_exceptions=True)


def test_mail_that_arrives_just_as_it_is_given_up_blocks_nothing(tell: Told) -> None:
    async def story(rig: Rig) -> None:
        await lab_breaks(rig, "delay=1.5")  # what `impatient` takes for lost
        sent = [await rig.agent.send("impatient") for _ in range(15)]
        assert await outcomes(rig, sent) <= {"late", "lost"}
        await rig.heal()

        assert await rig.agent.outcome_of("patient") == "delivered"
        assert await rig.metric("canaries_total", check="impatient") == len(sent)
        lost = await rig.metric("canaries_total", check="impatient", outcome="lost")
        async with asyncio.timeout(20):
            while await rig.metric("canaries_recovered_total", check="impatient") != lost:
                await asyncio.sleep(0.05)

    tell(story)


@pytest.mark.parametrize("mailbox", ["inbox", "noreply"])
def test_a_report_with_the_subject_of_the_canary_is_a_bounce_and_no_delivery(mailbox: str, tell: Told) -> None:
    async def story(rig: Rig) -> None:
        sent = keep_what_is_sent(rig)
        await lab_breaks(rig, "lose")
        canary = await rig.agent.send("patient")
        notice = report(
            sent[0].removesuffix(b".\r\n"),
            sender=canary.check.sender,
            recipient=canary.check.recipient,
            reason=RECIPIENT_NOT_FOUND,
            now=datetime.now(UTC),
            boundary="one-and-only",
        )
        assert b"Subject: Undeliverable: Mail flow canary rc1." in notice
        await rig.put(notice, mailbox)

        record = await rig.agent.concluded(canary)

        assert (record.outcome, record.verdict, record.end_to_end) == ("bounced", "fail", None)
        assert re.search(r"5\.1\.10", record.reasons)
        assert await rig.metric("end_to_end_seconds_count", check="patient") == 0

    tell(story)


def keep_what_is_sent(rig: Rig) -> list[bytes]:
    """Have the proxy remember the messages that pass."""
    sent: list[bytes] = []

    def keep(message: bytes) -> bytes:
        sent.append(message)
        return message

    rig.smtp.change = keep
    return sent


def forgeries(sent: bytes, canary: Canary) -> list[bytes]:
    """Make mails as somebody would who has seen canaries, knows even the id of this one, but not the key."""
    secret = b"a guess that is as long as a key"
    head, _, body = sent.partition(b"\r\n\r\n")
    true = re.search(rb"rc1\.\S+", head)
    assert true is not None
    cut_off = true[0][:-1] + (b"A" if true[0][-1:] != b"A" else b"B")
    guessed = [
        token.mint(canary.id, check, recipient, key=key, secret=secret).encode()
        for check in (canary.check.name, "witness")
        for recipient in (canary.check.recipient, "somebody@else.example")
        for key in ("k1", "k2")
    ]
    return [head.replace(true[0], false) + b"\r\n\r\n" + body for false in (*guessed, true[0].lower(), cut_off)]


def test_forged_mail_with_a_guessed_subject_is_no_delivery(tell: Told) -> None:
    async def story(rig: Rig) -> None:
        sent = keep_what_is_sent(rig)
        await lab_breaks(rig, "lose")
        canary = await rig.agent.send("brisk")
        for forged in forgeries(sent[0], canary):
            await rig.put(forged)

        record = await rig.agent.concluded(canary)

        assert (record.outcome, record.end_to_end) == ("lost", None)
        assert await rig.metric("mailbox_messages_ignored_total", mailbox="inbox", reason="forged") > 0
        assert await rig.metric("end_to_end_seconds_count", check="brisk") == 0

    tell(story)


def test_a_forged_mail_cannot_say_how_long_the_true_one_took(tell: Told) -> None:
    """Nothing in the mail is trusted for time: a Date of long ago and made-up hops change no figure."""

    async def story(rig: Rig) -> None:
        def backdate(message: bytes) -> bytes:
            hop = b"Received: from a by b; Thu, 1 Jan 1998 00:00:00 +0000\r\n"
            return hop + re.sub(rb"Date: [^\r]*", b"Date: Thu, 1 Jan 1998 00:00:00 +0000", message)

        rig.smtp.change = backdate
        record = await rig.agent.concluded(await rig.agent.send("patient"))

        assert record.outcome == "delivered"
        assert 0 <= record.end_to_end < rig.agent.clock.steady() - record.started_at + 1

    tell(story)


def test_late_mail_is_counted_with_its_true_latency(tell: Told) -> None:
    async def story(rig: Rig) -> None:
        await lab_breaks(rig, "delay=2")
        record = await rig.agent.concluded(await rig.agent.send("timely"))

        assert (record.outcome, record.verdict) == ("late", "warn")
        assert record.end_to_end >= 2
        assert await rig.metric("end_to_end_seconds_count", check="timely") == 1
        assert await rig.metric("end_to_end_seconds_sum", check="timely") == record.end_to_end

    tell(story)


def test_mail_that_comes_after_it_was_called_lost_is_counted_once_and_is_no_latency(tell: Told) -> None:
    async def story(rig: Rig) -> None:
        await lab_breaks(rig, "delay=4")
        canary = await rig.agent.send("impatient")
        assert (await rig.agent.concluded(canary)).outcome == "lost"

        async with asyncio.timeout(20):
            while not await rig.metric("canaries_recovered_total", check="impatient"):
                await asyncio.sleep(0.05)
        await rig.put(await rig.text_of(canary))  # seen once more, it is a duplicate, and not recovered again
        async with asyncio.timeout(20):
            while not await rig.metric("canaries_duplicates_total", check="impatient"):
                await asyncio.sleep(0.05)

        assert await rig.metric("canaries_recovered_total", check="impatient") == 1
        assert await rig.metric("canaries_total", check="impatient") == 1
        assert (await rig.agent.row(canary)).outcome == "lost"
        assert await rig.metric("end_to_end_seconds_count", check="impatient") == 0

    tell(story)


def test_lost_mail_is_no_latency(tell: Told) -> None:
    async def story(rig: Rig) -> None:
        assert await rig.agent.outcome_of("brisk") == "delivered"
        names = ("end_to_end_last_seconds", "end_to_end_seconds_count", "end_to_end_seconds_sum")
        before = [await rig.metric(name, check="brisk") for name in names]
        await lab_breaks(rig, "lose")

        assert await rig.agent.outcome_of("brisk") == "lost"
        assert [await rig.metric(name, check="brisk") for name in names] == before
        assert await rig.metric("delivery_seconds_count", check="brisk") == 1

    tell(story)


def test_cleaning_up_deletes_nobody_elses_mail(tell: Told) -> None:
    def soon(settings: dict[str, Any]) -> None:
        settings["agent"]["keep"] = "8s"  # time enough to find it before it goes

    async def story(rig: Rig) -> None:
        sent = keep_what_is_sent(rig)
        canary = await rig.agent.send("patient")
        await rig.agent.concluded(canary)
        theirs = [b"Subject: rc1 greetings\r\n\r\nhello\r\n", *forgeries(sent[0], canary)]
        for message in theirs:
            await rig.put(message)
        uids = await rig.another_client(lambda client: client.search(["ALL"]))
        (mine,) = await rig.another_client(partial(found, canary=canary.id))
        marked = [uid for uid in uids if uid != mine][-1:]
        await rig.another_client(lambda client: client.delete_messages(marked, silent=True))  # marked, not expunged

        async with asyncio.timeout(40):
            while mine in (left := await rig.another_client(lambda client: client.search(["ALL"]))):
                await asyncio.sleep(0.1)
        assert left == [uid for uid in uids if uid != mine]

    tell(story, amend=soon)


def found(client: Any, *, canary: str) -> list[int]:
    """List the UIDs of genuine copies of *canary*: by the one field that the forgeries of the test do not have."""
    fetched = client.fetch(client.search(["ALL"]), ["BODY.PEEK[HEADER.FIELDS (RECEIVED)]", "BODY.PEEK[HEADER]"])
    return [
        uid
        for uid, parts in fetched.items()
        if parts[b"BODY[HEADER.FIELDS (RECEIVED)]"].strip() and canary.encode() in parts[b"BODY[HEADER]"]
    ]


def test_a_restart_between_sending_and_reading_loses_nothing(
    lab: Lab, authority: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    rigs: Callable[[], AbstractAsyncContextManager[Rig]] = partial(a_rig, lab, authority, ca_file, tmp_path)

    async def story() -> None:
        async with rigs() as rig:
            await lab_breaks(rig, "delay=2")
            canary = await rig.agent.send("patient")
        async with rigs() as rig:
            assert (await rig.agent.concluded(canary)).outcome == "delivered"
            assert await rig.metric("canaries_total", check="patient") == 1
            assert await rig.metric("canaries_started_total", check="patient") == 1

    asyncio.run(story())
