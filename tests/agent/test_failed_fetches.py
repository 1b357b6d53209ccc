"""Evidence that cannot be fetched: what befalls the mailbox is waited out; what one message causes costs that one."""

from __future__ import annotations

import pytest
from support.make import a_check, expecting
from support.tenant import Fate
from support.world import in_a_world

from checks.core.model import Limits
from checks.errors import MailboxUnreadable

PATIENT = Limits(every=3600.0, late_after=1000.0, lost_after=3000.0)
PROVEN = a_check(limits=PATIENT, expect=expecting(results={"spf": "pass"}))
SPF = b"Authentication-Results: mx.outside.example; spf=pass smtp.mailfrom=contoso.example\r\n"
THROTTLED = MailboxUnreadable("throttled", "Request is throttled", retry_after=2.0)
REPORT = (
    b"From: MAILER-DAEMON@mx.outside.example\r\nSubject: Undelivered Mail\r\nReturn-Path: <>\r\n"
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.outside.example\r\n\r\n"
    b"Final-Recipient: rfc822; canary@outside.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    b"Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n"
)


class Failing:
    """What stands in for a reader's method: it fails some times, and counts how often it was asked."""

    def __init__(self, real, *, times, error, on=lambda _asked: True):
        self._real, self._left, self._error, self._on = real, times, error, on
        self.failed = 0

    async def __call__(self, asked, *more):
        if self._left and self._on(asked):
            self._left -= 1
            self.failed += 1
            raise self._error
        return await self._real(asked, *more)


async def several_at_once(world, number):
    """Send canaries that one look finds together."""
    world.path.fate = Fate(change=lambda message: SPF + message)
    await world.clock.sleep(30)
    world.reader.down = MailboxUnreadable("connect", "connection refused")
    canaries = [await world.send() for _ in range(number)]
    await world.clock.sleep(8)
    world.reader.down = None
    return canaries


async def ends(world, canaries):
    rows = [await world.row(canary) for canary in canaries]
    return [(row.outcome, row.verdict, row.reasons) for row in rows]


@pytest.mark.parametrize("reason", ["throttled", "login", "token", "connect", "tls", "folder", "local"])
@pytest.mark.parametrize("times", [2, 7])
def test_what_befalls_the_mailbox_costs_no_canary_its_evidence(tmp_path, reason, times):
    async def story(world):
        world.reader.headers = Failing(world.reader.headers, times=times, error=MailboxUnreadable(reason, "not now"))
        canaries = await several_at_once(world, 5)
        await world.clock.sleep(600)
        assert world.reader.headers.failed == times
        assert await ends(world, canaries) == [("delivered", "pass", "[]")] * 5

    in_a_world(tmp_path, story, PROVEN)


@pytest.mark.parametrize("reason", ["protocol", "closed", "timeout", "unavailable"])
def test_a_message_that_cannot_be_fetched_costs_no_other_its_evidence_and_passes_for_nothing(tmp_path, reason):
    async def story(world):
        def poisoned(refs):
            return any(ref.uid == "3" for ref in refs)

        error = MailboxUnreadable(reason, "nonsense")
        world.reader.headers = Failing(world.reader.headers, times=100, error=error, on=poisoned)
        canaries = await several_at_once(world, 5)
        await world.clock.sleep(600)
        assert world.reader.headers.failed == 3
        good, bad = ("delivered", "pass", "[]"), ("delivered", "unknown", '["evidence_unobserved"]')
        assert await ends(world, canaries) == [good, good, bad, good, good]
        assert world.watcher.status.up

    in_a_world(tmp_path, story, PROVEN)


def test_a_server_that_breaks_off_for_a_while_costs_no_canary_its_evidence(tmp_path):
    async def story(world):
        error = MailboxUnreadable("closed", "the server closed the connection")
        world.reader.headers = Failing(world.reader.headers, times=2, error=error)
        canaries = await several_at_once(world, 5)
        await world.clock.sleep(600)
        assert await ends(world, canaries) == [("delivered", "pass", "[]")] * 5

    in_a_world(tmp_path, story, PROVEN)


def test_mail_that_is_marked_as_junk_does_not_pass_because_its_header_was_throttled(tmp_path):
    async def story(world):
        world.path.fate = Fate(change=lambda message: b"X-Microsoft-Antispam-Mailbox-Delivery: dest:J;\r\n" + message)
        world.reader.headers = Failing(world.reader.headers, times=2, error=THROTTLED)
        assert await world.send_and_wait(120) == "junk"

    in_a_world(tmp_path, story)


@pytest.mark.parametrize("times", [2, 7])
def test_a_bounce_that_was_throttled_is_read_when_the_server_allows_it(tmp_path, times):
    async def story(world):
        world.path.fate = Fate(copies=0)
        world.reader.content = Failing(world.reader.content, times=times, error=THROTTLED)
        canary = await world.send()
        head = world.path.sent[0].partition(b"\r\n\r\n")[0]
        world.tenant.deliver(REPORT + head + b"\r\n\r\n--b--\r\n", delay=1.0)
        await world.clock.sleep(900)
        assert await ends(world, [canary]) == [("bounced", "fail", '["550 5.1.1 no such user"]')]

    in_a_world(tmp_path, story)


def test_a_bounce_that_breaks_the_connection_each_time_is_counted_and_blinds_nobody(tmp_path):
    async def story(world):
        error = MailboxUnreadable("closed", "the server closed the connection")
        world.reader.content = Failing(world.reader.content, times=100, error=error)
        world.tenant.deliver(REPORT + b"\r\n--b--\r\n")
        assert await world.send_and_wait(60) == "delivered"
        assert world.reader.content.failed == 3
        assert await world.total("messages_ignored", reason="unreadable") == 1

    in_a_world(tmp_path, story)
