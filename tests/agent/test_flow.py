"""The flow from probe to verdict on the real ledger, in simulated time, one story a rule."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from sqlalchemy import select
from support.make import a_check, refused
from support.tenant import Fate, Tenant, our_fault, unreadable
from support.world import KEEP, World, in_a_world

from agent.ledger.schema import bounces
from agent.probe import SigningKey
from checks.core import bounce, findings
from checks.core.model import Cause, Expectations, Limits, Refused, Stage, Transcript, Verdict
from checks.errors import MailboxUnreadable


def tell(folder, story, check=None):
    return in_a_world(folder, story, check)


def dropped_after_the_dot(world: World) -> Refused:
    now = world.clock.steady()
    transcript = Transcript(began_at=now, ended_at=now + 1, endpoint="simulated", connected=True)
    return Refused(stage=Stage.DATA, cause=Cause.DROPPED, sent=True, transcript=transcript)


def test_a_canary_that_arrives_is_delivered_and_counted_once(tmp_path):
    async def story(world):
        assert await world.send_and_wait() == "delivered"
        assert await world.total("canaries", outcome="delivered", verdict="pass") == 1
        assert await world.total("canaries_started") == 1
        picture = await world.snapshot()
        assert {(one.family, sum(one.counts)) for one in picture.histograms} == {
            ("submission", 1),
            ("delivery", 1),
            ("end_to_end", 1),
        }

    tell(tmp_path, story)


def test_the_reported_delivery_is_close_to_the_true_one_without_any_notice_from_the_server(tmp_path):
    async def story(world):
        for _ in range(8):
            canary = await world.send()
            await world.clock.sleep(60)
        row = await world.row(canary)
        assert row.delivery - row.observation_gap <= 2.0 <= row.delivery
        assert row.delivery < 2.6

    tell(tmp_path, story)


def test_a_canary_that_never_arrives_is_lost_only_after_a_look_at_the_deadline(tmp_path):
    async def story(world):
        world.path.fate = Fate(copies=0)
        canary = await world.send()
        await world.clock.sleep(598)
        assert await world.outcome(canary) == ""
        await world.clock.sleep(10)
        assert await world.outcome(canary) == "lost"
        assert await world.total("canaries", outcome="lost", verdict="fail") == 1
        assert [one.family for one in (await world.snapshot()).histograms] == ["submission"]

    tell(tmp_path, story)


def test_late_mail_is_late_not_lost(tmp_path):
    async def story(world):
        world.path.fate = Fate(delay=100)
        assert await world.send_and_wait(200) == "late"

    tell(tmp_path, story)


def test_mail_in_junk_is_found_there(tmp_path):
    async def story(world):
        world.path.fate = Fate(folder="Junk Email")
        assert await world.send_and_wait(60) == "junk"

    tell(tmp_path, story)


def test_mail_seen_after_it_was_lost_is_recovered_once_and_the_verdict_stands(tmp_path):
    async def story(world):
        world.path.fate = Fate(delay=700, copies=2)
        canary = await world.send()
        await world.clock.sleep(650)
        assert await world.outcome(canary) == "lost"
        await world.clock.sleep(200)
        assert await world.outcome(canary) == "lost"
        assert await world.total("canaries_recovered") == 1
        assert await world.total("canaries", verdict="fail") == 1

    tell(tmp_path, story)


def test_mail_seen_twice_is_a_duplicate(tmp_path):
    async def story(world):
        world.path.fate = Fate(copies=3)
        assert await world.send_and_wait() == "delivered"
        assert await world.total("canaries_duplicates") == 2
        assert await world.total("canaries") == 1

    tell(tmp_path, story)


def test_messages_that_are_renumbered_are_no_duplicates(tmp_path):
    async def story(world):
        assert await world.send_and_wait() == "delivered"
        world.tenant.validity = 2
        for mail in world.tenant.mails:
            mail.uid += 1000
        await world.clock.sleep(120)
        assert await world.total("canaries_duplicates") == 0

    tell(tmp_path, story)


def test_a_canary_in_doubt_that_arrives_is_delivered(tmp_path):
    async def story(world):
        world.path.fate = Fate(answer=dropped_after_the_dot(world))
        assert await world.send_and_wait(60) == "delivered"

    tell(tmp_path, story)


def test_a_canary_in_doubt_that_does_not_arrive_is_indeterminate(tmp_path):
    async def story(world):
        world.path.fate = Fate(answer=dropped_after_the_dot(world), copies=0)
        assert await world.send_and_wait(700) == "indeterminate"

    tell(tmp_path, story)


def test_a_refusal_is_concluded_at_once_and_its_code_is_counted(tmp_path):
    async def story(world):
        world.path.fate = Fate(answer=refused(Stage.RCPT, 550, "5.7.64"), copies=0)
        assert await world.send_and_wait(1) == "rejected"
        assert await world.total("smtp_replies", stage="rcpt", code="550", enhanced="5.7.64") == 1

    tell(tmp_path, story)


def test_our_own_fault_is_never_called_a_failure_of_the_tenant(tmp_path):
    async def story(world):
        world.path.fate = Fate(fault=our_fault())
        assert await world.send_and_wait(1) == "local_fault"
        assert await world.total("canaries", verdict="unknown") == 1

    tell(tmp_path, story)


def test_a_defect_in_a_path_leaves_the_canary_in_doubt_and_harms_nobody_else(tmp_path):
    async def story(world):
        world.path.fate = Fate(fault=ZeroDivisionError("oops"))
        broken = await world.send()
        world.path.fate = Fate()
        assert await world.send_and_wait() == "delivered"
        await world.clock.sleep(700)
        assert await world.outcome(broken) == "indeterminate"

    tell(tmp_path, story)


def test_an_unreadable_mailbox_makes_nothing_lost_and_the_deadline_waits_for_it(tmp_path):
    async def story(world):
        world.path.fate = Fate(copies=0)
        canary = await world.send()
        await world.clock.sleep(30)
        world.reader.down = unreadable()
        await world.clock.sleep(3600)
        assert await world.outcome(canary) == ""
        assert not world.watcher.status.up
        world.reader.down = None
        await world.clock.sleep(300)
        assert await world.outcome(canary) == ""
        await world.clock.sleep(400)
        assert await world.outcome(canary) == "lost"

    tell(tmp_path, story)


def test_mail_that_came_while_nobody_looked_is_delivered_with_timeliness_unobserved(tmp_path):
    async def story(world):
        await world.clock.sleep(20)
        world.reader.down = unreadable()
        canary = await world.send()
        await world.clock.sleep(3600)
        world.reader.down = None
        await world.clock.sleep(120)
        row = await world.row(canary)
        assert (row.outcome, row.verdict, row.reasons) == ("delivered", "pass", '["timeliness_unobserved"]')

    tell(tmp_path, story)


def test_a_mailbox_that_stays_unreadable_ends_in_unobserved_never_in_lost(tmp_path):
    check = a_check(limits=Limits(every=60, late_after=60, lost_after=600, observe_within=7200))

    async def story(world):
        world.reader.down = unreadable()
        canary = await world.send()
        await world.clock.sleep(7700)
        assert await world.outcome(canary) == ""
        await world.clock.sleep(200)
        assert await world.outcome(canary) == "unobserved"

    tell(tmp_path, story, check)


def test_a_suspended_agent_calls_nothing_lost(tmp_path):
    async def story(world):
        world.path.fate = Fate(delay=3000)
        canary = await world.send()
        await world.clock.sleep(10)
        world.clock.suspend(2900)
        await world.clock.sleep(30)
        assert await world.outcome(canary) == ""
        await world.clock.sleep(300)
        assert await world.outcome(canary) == "late"

    tell(tmp_path, story)


@pytest.mark.parametrize("hours", [1, -1])
def test_setting_the_clock_changes_no_verdict_and_no_latency(tmp_path, hours):
    async def story(world):
        world.path.fate = Fate(delay=20)
        canary = await world.send()
        world.clock.step(hours * 3600)
        await world.clock.sleep(60)
        row = await world.row(canary)
        assert row.outcome == "delivered"
        assert 20 <= row.delivery < 40

    tell(tmp_path, story)


def test_a_negative_check_passes_on_refusal_and_fails_on_acceptance(tmp_path):
    check = a_check(expect=Expectations(refused="5.7.*"))

    async def story(world):
        world.path.fate = Fate(answer=refused(Stage.RCPT, 550, "5.7.1"), copies=0)
        assert await world.send_and_wait(1) == "rejected"
        world.path.fate = Fate()
        assert await world.send_and_wait(1) == "accepted"
        assert await world.total("canaries", verdict="pass") == 1
        assert await world.total("canaries", verdict="fail") == 1

    tell(tmp_path, story, check)


def forged(message, canary):
    """Give the canary in *message* a wrong signature."""
    token = f"rc1.{canary.id}.relay.k1."
    at = message.index(token.encode()) + len(token)
    return message.replace(message[at : at + 43], b"A" * 43)


def test_forged_and_foreign_canaries_are_counted_and_left_alone(tmp_path):
    async def story(world):
        world.path.fate = Fate(copies=0)
        canary = await world.send()
        (message,) = world.path.sent
        false = forged(message, canary)
        world.tenant.deliver(false)
        world.tenant.deliver(false.replace(b".k1.", b".k9."))
        world.tenant.deliver(b"Subject: hello\r\n\r\nnothing to do with it\r\n")
        await world.clock.sleep(120)
        assert await world.outcome(canary) == ""
        assert await world.total("messages_ignored", reason="forged") == 1
        assert await world.total("messages_ignored", reason="foreign") == 1
        assert len(world.tenant.mails) == 3

    tell(tmp_path, story)


def test_what_is_shown_only_in_case_the_servers_clock_is_slow_is_no_forgery(tmp_path):
    """In a quiet folder it is old mail, with canaries that were pruned long ago, or of an agent before this one."""

    async def story(world):
        world.path.fate = Fate(copies=0)
        canary = await world.send()
        (message,) = world.path.sent
        false = forged(message, canary)
        world.tenant.deliver(false, overlap=True)
        world.tenant.deliver(false.replace(b".k1.", b".k9."), overlap=True)
        await world.clock.sleep(120)
        assert await world.total("messages_ignored") == 0
        assert len(world.tenant.mails) == 2, "and it is left alone"

    tell(tmp_path, story)


def test_a_canary_that_a_slow_clock_dates_too_early_is_delivered(tmp_path):
    async def story(world):
        world.path.fate = Fate(copies=0)
        canary = await world.send()
        (message,) = world.path.sent
        world.tenant.deliver(message, overlap=True)
        await world.clock.sleep(60)
        assert await world.outcome(canary) == "delivered"

    tell(tmp_path, story)


def test_a_bounce_that_quotes_the_subject_is_no_delivery(tmp_path):
    async def story(world):
        world.path.fate = Fate(copies=0)
        canary = await world.send()
        (message,) = world.path.sent
        subject = next(line for line in message.split(b"\r\n") if line.startswith(b"Subject: "))
        answer = b"From: postmaster@contoso.example\r\nIn-Reply-To: <x@y>\r\n" + subject.replace(
            b"Subject: ", b"Subject: Undeliverable: "
        )
        world.tenant.deliver(answer + b"\r\n\r\nno\r\n")
        await world.clock.sleep(120)
        assert await world.outcome(canary) == ""

    tell(tmp_path, story)


def test_a_real_bounce_ends_the_canary_with_its_diagnostic(tmp_path):
    async def story(world):
        world.path.fate = Fate(copies=0)
        canary = await world.send()
        (message,) = world.path.sent
        head = message.partition(b"\r\n\r\n")[0]
        world.tenant.deliver(
            b"From: MAILER-DAEMON@mx.contoso.example\r\nSubject: Undelivered Mail\r\nReturn-Path: <>\r\n"
            b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\nMIME-Version: 1.0\r\n\r\n'
            b"--b\r\nContent-Type: text/plain\r\n\r\nsorry\r\n"
            b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.contoso.example\r\n\r\n"
            b"Final-Recipient: rfc822; canary@outside.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
            b"Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n"
            b"--b\r\nContent-Type: text/rfc822-headers\r\n\r\n" + head + b"\r\n\r\n--b--\r\n"
        )
        await world.clock.sleep(60)
        row = await world.row(canary)
        assert row.outcome == "bounced"
        assert "550 5.1.1 no such user" in row.reasons

    tell(tmp_path, story)


def a_report(action, status, diagnostic, returned):
    """A delivery status notification about the message with these header bytes."""
    return (
        b"From: MAILER-DAEMON@mx.contoso.example\r\nSubject: Undelivered Mail\r\nReturn-Path: <>\r\n"
        b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\nMIME-Version: 1.0\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nsorry\r\n"
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.contoso.example\r\n\r\n"
        b"Final-Recipient: rfc822; canary@outside.example\r\nAction: %s\r\nStatus: %s\r\n%s\r\n"
        b"--b\r\nContent-Type: text/rfc822-headers\r\n\r\n%s\r\n\r\n--b--\r\n"
    ) % (action, status, diagnostic, returned)


async def _bounces_of(world, canary):
    query = select(bounces).where(bounces.c.canary == canary.id)
    return await world.ledger.read(lambda connection: connection.execute(query).all())


def test_a_notice_of_delay_is_recorded_and_the_canary_is_still_awaited(tmp_path):
    async def story(world):
        world.path.fate = Fate(copies=0)
        canary = await world.send()
        (message,) = world.path.sent
        head = message.partition(b"\r\n\r\n")[0]
        world.tenant.deliver(a_report(b"delayed", b"4.4.1", b"Diagnostic-Code: smtp; 421 4.4.1 busy\r\n", head))
        await world.clock.sleep(60)
        assert await world.outcome(canary) == ""
        (noted,) = await _bounces_of(world, canary)
        assert (noted.final, noted.action, noted.diagnostic) == (False, "delayed", "421 4.4.1 busy")
        world.tenant.deliver(a_report(b"failed", b"4.4.7", b"", head))
        await world.clock.sleep(60)
        row = await world.row(canary)
        assert row.outcome == "bounced"
        assert json.loads(row.reasons) == ["4.4.7 Undelivered Mail"]

    tell(tmp_path, story)


def test_a_report_on_a_forwarded_copy_ends_no_canary_that_was_delivered(tmp_path):
    forwarded = b"\r\nFinal-Recipient: rfc822; somebody@elsewhere.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"

    async def story(world):
        world.path.fate = Fate(delay=20)
        canary = await world.send()
        head = world.path.sent[0].partition(b"\r\n\r\n")[0]
        world.tenant.deliver(a_report(b"delivered", b"2.0.0", forwarded, head), delay=-1)
        await world.clock.sleep(15)
        assert await world.outcome(canary) == ""
        assert [(row.final, row.action) for row in await _bounces_of(world, canary)] == [(False, "delivered")]
        world.tenant.mails[0].uid = world.tenant.uids = 3
        await world.clock.sleep(60)
        assert await world.outcome(canary) == "delivered"

    tell(tmp_path, story)


@pytest.mark.parametrize(
    "field", [b"X-Failed-Recipients: canary@outside.example\r\n", b"In-Reply-To: <a@b.example>\r\n"]
)
def test_a_bounce_that_copies_the_field_of_the_canary_is_still_one(tmp_path, field):
    async def story(world):
        world.path.fate = Fate(copies=0)
        canary = await world.send()
        head = world.path.sent[0].partition(b"\r\n\r\n")[0]
        own = next(line for line in head.split(b"\r\n") if line.startswith(b"X-Relaycanary: "))
        world.tenant.deliver(own + b"\r\n" + field + a_report(b"failed", b"5.1.1", b"", head))
        await world.clock.sleep(60)
        assert await world.outcome(canary) == "bounced"

    tell(tmp_path, story)


def test_a_forged_bounce_concludes_nothing(tmp_path):
    async def story(world):
        world.path.fate = Fate(copies=0)
        canary = await world.send()
        (message,) = world.path.sent
        head = message.partition(b"\r\n\r\n")[0]
        forged = head.replace(canary.id.encode(), b"a" * len(canary.id))
        world.tenant.deliver(a_report(b"failed", b"5.1.1", b"", forged))
        await world.clock.sleep(60)
        assert await world.outcome(canary) == ""
        assert await _bounces_of(world, canary) == []

    tell(tmp_path, story)


CONNECTED = (
    b"X-MS-Exchange-CrossTenant-Id: 11111111-2222-3333-4444-555555555555\r\n"
    b"X-MS-Exchange-CrossTenant-FromEntityHeader: HybridOnPrem\r\n"
)
ANONYMOUS = CONNECTED.replace(b"HybridOnPrem", b"Internet") + b"X-MS-Exchange-CrossTenant-AuthAs: Anonymous\r\n"


def test_attribution_is_judged_from_the_first_canary_on_that_shows_a_connector(tmp_path):
    async def story(world):
        ends = []
        for fields in (ANONYMOUS, CONNECTED, ANONYMOUS, b""):
            world.path.fate = Fate(change=lambda message, fields=fields: fields + message)
            canary = await world.send()
            await world.clock.sleep(60)
            row = await world.row(canary)
            ends.append((row.outcome, json.loads(row.reasons)))
        assert ends == [
            ("delivered", ["attribution_unobserved"]),
            ("delivered", []),
            ("degraded", ["attributed: expected yes, found no"]),
            ("degraded", ["attributed: expected yes, found nothing"]),
        ]

    tell(tmp_path, story, a_check(expect=Expectations(attributed=True)))


def test_only_the_results_of_the_named_servers_count(tmp_path):
    theirs = b"Authentication-Results: relay.example; spf=pass\r\n"
    receiver = b"Authentication-Results: mx.contoso.example; spf=fail\r\n"

    async def story(world):
        world.path.fate = Fate(change=lambda message: theirs + receiver + message)
        canary = await world.send()
        await world.clock.sleep(60)
        assert json.loads((await world.row(canary)).reasons) == ["spf: expected pass, found fail"]

    named = Expectations(results={"spf": "pass"}, authserv_ids=("mx.contoso.example",))
    tell(tmp_path, story, a_check(expect=named))


def test_a_notice_in_words_is_a_bounce_of_the_canary_that_it_returns(tmp_path):
    async def story(world):
        world.path.fate = Fate(copies=0)
        canary = await world.send()
        (message,) = world.path.sent
        head = message.partition(b"\r\n\r\n")[0]
        world.tenant.deliver(
            b"From: postmaster@mx.contoso.example\r\nReturn-Path: <>\r\nSubject: email bounce notification\r\n\r\n"
            b"Your message was rejected because it was not possible to save it.\r\n\r\nbounced E-Mail:\r\n\r\n"
            + head
            + b"\r\n"
        )
        await world.clock.sleep(60)
        assert await world.outcome(canary) == "bounced"

    tell(tmp_path, story)


def test_a_stripped_header_does_not_hide_a_canary(tmp_path):
    async def story(world):
        strip = [b"X-Relaycanary: ", b"Message-ID: "]
        world.path.fate = Fate(
            change=lambda message: b"\r\n".join(
                line for line in message.split(b"\r\n") if not any(line.startswith(name) for name in strip)
            ).replace(b"Subject: ", b"Subject: [EXTERNAL] ")
        )
        assert await world.send_and_wait(60) == "delivered"

    tell(tmp_path, story)


def test_canaries_are_deleted_after_their_time_and_nothing_else_is(tmp_path):
    async def story(world):
        world.tenant.deliver(b"Subject: payroll\r\n\r\nkeep me\r\n")
        assert await world.send_and_wait() == "delivered"
        await world.clock.sleep(KEEP - 600)
        assert len(world.tenant.mails) == 2
        await world.clock.sleep(1300)
        assert [mail.content[:16] for mail in world.tenant.mails] == [b"Subject: payroll"]

    tell(tmp_path, story)


def test_a_message_that_took_a_canarys_place_is_not_deleted(tmp_path):
    async def story(world):
        assert await world.send_and_wait() == "delivered"
        world.tenant.mails[0].content = b"Subject: payroll\r\n\r\nkeep me\r\n"
        await world.clock.sleep(KEEP + 1300)
        assert len(world.tenant.mails) == 1

    tell(tmp_path, story)


def test_a_crash_between_plan_and_attempt_leaves_the_canary_in_doubt_and_it_is_found(tmp_path):
    async def story(world):
        world.path.fate = Fate(seconds=30)
        sending = asyncio.ensure_future(world.send())
        await world.clock.sleep(5)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await world.crash()
        world.tenant.deliver(world.path.sent[0])
        await world.clock.sleep(100)
        await world.start()
        await world.clock.sleep(60)
        assert await world.total("canaries", outcome="delivered") == 1
        assert await world.total("canaries_started") == 1

    tell(tmp_path, story)


def test_a_crash_between_plan_and_attempt_without_arrival_is_indeterminate(tmp_path):
    async def story(world):
        world.path.fate = Fate(seconds=30)
        sending = asyncio.ensure_future(world.send())
        await world.clock.sleep(5)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await world.crash()
        await world.start()
        await world.clock.sleep(900)
        assert await world.total("canaries", outcome="indeterminate") == 1

    tell(tmp_path, story)


def test_time_in_which_the_agent_was_down_is_neither_loss_nor_lateness(tmp_path):
    async def story(world):
        world.path.fate = Fate(delay=300)
        canary = await world.send()
        await world.clock.sleep(10)
        await world.crash()
        await world.clock.sleep(5000)
        await world.start()
        await world.clock.sleep(60)
        row = await world.row(canary)
        assert (row.outcome, row.reasons) == ("delivered", '["timeliness_unobserved"]')

    tell(tmp_path, story)


def test_counters_go_on_over_a_restart(tmp_path):
    async def story(world):
        await world.send_and_wait()
        await world.crash()
        await world.start()
        await world.send_and_wait()
        assert await world.total("canaries_started") == 2
        assert await world.total("canaries", outcome="delivered") == 2

    tell(tmp_path, story)


def test_a_slow_canary_delays_no_other(tmp_path):
    async def story(world):
        world.path.fate = Fate(seconds=300)
        slow = asyncio.ensure_future(world.send())
        await world.clock.sleep(1)
        world.path.fate = Fate()
        quick = await world.send()
        await world.clock.sleep(30)
        assert (await world.row(quick)).submission == pytest.approx(0.5)
        assert not slow.done()
        await slow

    tell(tmp_path, story)


def test_overdue_canaries_show_while_they_are_in_flight(tmp_path):
    async def story(world):
        world.path.fate = Fate(copies=0)
        await world.send()
        await world.clock.sleep(50)
        assert (await world.snapshot()).in_flight_of(world.check).overdue == 0
        await world.clock.sleep(60)
        assert (await world.snapshot()).in_flight_of(world.check).overdue == 1

    tell(tmp_path, story)


def test_a_canary_is_recognised_after_its_key_was_replaced_under_the_same_name(tmp_path):
    async def story(world):
        world.path.fate = Fate(delay=100)
        canary = await world.send()
        await world.crash()
        world.key = SigningKey("k1", b"fedcba9876543210fedcba9876543210")
        await world.start()
        await world.clock.sleep(900)
        assert await world.outcome(canary) == "late"
        assert await world.total("messages_ignored") == 0

    tell(tmp_path, story)


def replace_mailbox(world: World) -> None:
    """Give the name of the mailbox to another account, whose server counts from one as well."""
    world.account = "another"
    world.tenant = world.reader.tenant = world.path.tenant = Tenant(world.clock)


def test_no_canary_is_lost_for_not_being_in_the_mailbox_that_replaced_its_own(tmp_path):
    check = a_check(limits=Limits(every=60, late_after=60, lost_after=600, observe_within=7200))

    async def story(world):
        world.path.fate = Fate(delay=100)
        canary = await world.send()
        await world.clock.sleep(10)
        await world.crash()
        replace_mailbox(world)
        await world.start()
        await world.clock.sleep(900)
        assert await world.outcome(canary) == ""
        assert (await world.snapshot()).in_flight_of(world.check).overdue == 0
        await world.clock.sleep(7200)
        row = await world.row(canary)
        assert (row.outcome, row.reasons) == ("unobserved", '["the mailbox was replaced, or the ledger restored"]')

    tell(tmp_path, story, check)


def test_the_cursor_and_the_places_of_a_mailbox_are_not_held_against_the_one_that_replaced_it(tmp_path):
    async def story(world):
        for _ in range(3):
            assert await world.send_and_wait() == "delivered"
        await world.crash()
        replace_mailbox(world)
        await world.start()
        for _ in range(4):
            assert await world.send_and_wait(60) == "delivered"
        assert await world.total("canaries_duplicates") == 0

    tell(tmp_path, story)


def test_no_canary_is_deleted_for_lying_where_another_one_did(tmp_path):
    async def story(world):
        assert await world.send_and_wait() == "delivered"
        await world.clock.sleep(KEEP - 60)
        await world.crash()
        replace_mailbox(world)
        await world.start()
        assert await world.send_and_wait(60) == "delivered"
        await world.clock.sleep(KEEP / 2)
        assert len(world.tenant.mails) == 1

    tell(tmp_path, story)


def test_a_mailbox_that_is_called_by_another_name_still_shows_its_canaries(tmp_path):
    async def story(world):
        world.path.fate = Fate(delay=100)
        canary = await world.send()
        await world.crash()
        await world.start(mailbox="renamed")
        await world.clock.sleep(200)
        assert await world.outcome(canary) == "late"

    tell(tmp_path, story)


def test_a_mailbox_in_which_nothing_may_be_deleted_is_read_as_well_as_any(tmp_path):
    async def story(world):
        async def delete(_refs):
            raise MailboxUnreadable("folder", "could not delete messages in INBOX: NO read-only")

        world.reader.delete = delete
        assert await world.send_and_wait() == "delivered"
        await world.clock.sleep(KEEP)
        before = world.reader.looks
        for _ in range(30):
            await world.clock.sleep(60)
            assert world.watcher.status.up
        assert world.watcher.status.failures == 0
        assert world.reader.looks - before < 30 * 6

    tell(tmp_path, story)


def test_what_other_people_deleted_does_not_keep_what_is_there_from_being_deleted(tmp_path):
    """More of it than one round takes, and renumbered meanwhile, so that nobody can say it is gone."""

    async def story(world):
        for _ in range(120):
            await world.send()
        await world.clock.sleep(60)
        world.tenant.mails.clear()
        world.tenant.validity += 1
        assert await world.send_and_wait(60) == "delivered"
        await world.clock.sleep(KEEP + 2000)
        assert world.tenant.mails == []

    tell(tmp_path, story)


def test_a_defect_in_reading_is_no_readable_mailbox(tmp_path):
    async def story(world):
        assert await world.send_and_wait() == "delivered"

        async def look(_folder, _cursor, *, since):
            raise ZeroDivisionError(since)

        world.reader.look = look
        await world.clock.sleep(300)
        assert not world.watcher.status.up
        assert world.watcher.status.reason == "defect"

    with pytest.raises(ZeroDivisionError):
        tell(tmp_path, story)


def test_a_copy_in_sent_items_is_no_delivery(tmp_path):
    """A mailbox that sends to itself shows each canary there, whether or not it arrives."""

    async def story(world):
        world.reader.folders = ("INBOX", "Junk Email", "Sent Items")
        await world.crash()
        await world.start()
        world.path.fate = Fate(folder="Sent Items", delay=0)
        assert await world.send_and_wait(700) == "lost"
        assert await world.total("messages_ignored", reason="copy") == 1
        world.path.fate = Fate()
        assert await world.send_and_wait() == "delivered"

    tell(tmp_path, story)


def test_copies_in_sent_items_are_deleted_after_their_time_where_they_are_to_be_and_nothing_else_is(tmp_path):
    async def story(world):
        world.reader.folders = ("INBOX", "Junk Email", "Sent Items")
        world.sent_items = True
        await world.crash()
        await world.start()
        assert await world.send_and_wait() == "delivered"
        theirs = [b"Subject: lunch\r\n\r\nyes\r\n", b"Subject: re: canary\r\nX-Relaycanary: rc1.x\r\n\r\nno\r\n"]
        for content in (*theirs, world.path.sent[0]):
            world.tenant.deliver(content, folder="Sent Items")
        await world.clock.sleep(120)
        assert await world.total("messages_ignored") == 0
        assert await world.total("canaries_duplicates") == 0
        assert len([mail for mail in world.tenant.mails if mail.folder == "Sent Items"]) == 3
        await world.clock.sleep(KEEP * 2)
        assert [mail.content for mail in world.tenant.mails] == theirs

    tell(tmp_path, story)


def test_a_copy_that_was_replaced_by_another_message_is_left_alone(tmp_path):
    async def story(world):
        world.reader.folders = ("INBOX", "Junk Email", "Sent Items")
        world.sent_items = True
        await world.crash()
        await world.start()
        await world.send_and_wait()
        world.tenant.deliver(world.path.sent[0], folder="Sent Items")
        await world.clock.sleep(120)
        copy = world.tenant.mails[-1]
        copy.content = b"Subject: lunch\r\n\r\nyes\r\n"
        await world.clock.sleep(KEEP * 2)
        assert world.tenant.mails == [copy]

    tell(tmp_path, story)


def test_a_message_that_nobody_can_understand_hides_no_other(tmp_path, monkeypatch):
    def find(block):
        raise ZeroDivisionError(block[:0])

    monkeypatch.setattr(findings, "find", find)
    monkeypatch.setattr(bounce, "classify", find)

    async def story(world):
        world.tenant.deliver(b"From: MAILER-DAEMON@mx.contoso.example\r\nSubject: Undeliverable\r\n\r\nno\r\n")
        assert await world.send_and_wait() == "delivered"
        assert world.watcher.status.up

    tell(tmp_path, story)


def test_a_defect_after_the_hand_over_does_not_keep_the_attempt_from_being_written_down(tmp_path):
    async def story(world):
        def expect(_canary, _attempt):
            raise ZeroDivisionError

        world.probe._handed_over = expect
        assert await world.send_and_wait(90) == "delivered"

    tell(tmp_path, story)


def test_a_gateway_that_reports_what_it_holds_back_is_no_delivery(tmp_path):
    """Its notice has the subject of the canary in its own, and nothing else that tells it from one."""

    async def story(world):
        world.path.fate = Fate(copies=0)
        canary = await world.send()
        (message,) = world.path.sent
        subject = next(line for line in message.split(b"\r\n") if line.startswith(b"Subject: "))
        notice = b"From: Quarantine <quarantine@gateway.example>\r\n" + subject.replace(b": ", b": Held for you: ", 1)
        world.tenant.deliver(notice + b"\r\n\r\nRelease it?\r\n")
        await world.clock.sleep(700)
        assert await world.outcome(canary) == "lost"
        assert await world.total("messages_ignored", reason="quoted") == 1
        assert len(world.tenant.mails) == 1

    tell(tmp_path, story)


@pytest.mark.parametrize(
    ("change", "still_pass"),
    [
        ({"path": "other"}, False),
        ({"mailbox": "other"}, False),
        ({"recipient": "canary@elsewhere.example"}, False),
        ({"expect": Expectations(refused="5.7.*")}, False),
        ({"severity": "warning"}, True),
        ({"limits": Limits(every=120, late_after=60, lost_after=600)}, True),
    ],
)
def test_a_check_does_not_pass_for_what_another_one_by_its_name_proved(tmp_path, change, still_pass):
    async def story(world):
        assert await world.send_and_wait() == "delivered"
        picture = await world.snapshot()
        assert picture.standing_of(world.check).newest is Verdict.PASS
        changed = replace(world.check, **change)
        assert (picture.standing_of(changed).newest is Verdict.PASS) is still_pass

    tell(tmp_path, story)
