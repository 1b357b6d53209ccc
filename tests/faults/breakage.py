"""Ways to break the rig, each a value that a row of the fault matrix can name."""

from __future__ import annotations

import asyncio
import re
import ssl
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dns.rcode
import trustme
from faults import imap_proxy, smtp_proxy
from faults.misbehaviour import Act
from faults.name_server import Records
from faults.rig import GOOD_RECORDS, Rig, server_context
from faults.smtp_proxy import At
from imapclient import FLAGGED, IMAPClient
from sqlalchemy import func, select

from agent.ledger.schema import bounces
from checks.core.model import Canary
from checks.lab.ndr import RECIPIENT_NOT_FOUND, report


class Breakage:
    """What goes wrong, and when. The books are compared with what they were after `prepare`."""

    def amend(self, settings: dict[str, Any]) -> None:
        """Change the settings of the agent."""

    async def prepare(self, rig: Rig) -> None:
        """Do what has to be done while all is well."""

    async def begin(self, rig: Rig) -> None:
        """Break it."""

    async def sent(self, rig: Rig, canary: Canary) -> None:
        """Go on once the hand-over of the canary is on record."""

    async def happened(self, rig: Rig) -> bool:
        """Tell, as soon as the canary has its verdict, whether it did go wrong: no verdict proves that by itself."""
        return rig.hits > 0

    async def concluded(self, rig: Rig, canary: Canary) -> None:
        """Go on once it has its verdict."""


class Evident(Breakage):
    """What a row expects would not come about without it, so nothing else has to prove that it happened."""

    async def happened(self, rig: Rig) -> bool:
        del rig
        return True


@dataclass(frozen=True, slots=True)
class Smtp(Breakage):
    """The SMTP dialogue goes wrong at a stage."""

    fault: smtp_proxy.Fault

    async def begin(self, rig: Rig) -> None:
        rig.smtp.fault = self.fault

    async def happened(self, rig: Rig) -> bool:
        if self.fault.at is At.QUIT:  # it is said after the hand-over, which the verdict need not wait for
            await rig.until_hit()
        return rig.hits > 0


@dataclass(frozen=True, slots=True)
class Unplugged(Evident):
    """The SMTP server's port refuses connections, or does not answer."""

    act: Act

    async def begin(self, rig: Rig) -> None:
        await rig.smtp.unplug(self.act)


@dataclass(frozen=True, slots=True)
class Tls(Evident):
    """The server's side of TLS is not as it should be: *context* makes it, given the good authority."""

    context: Callable[[trustme.CA], ssl.SSLContext]

    async def begin(self, rig: Rig) -> None:
        rig.smtp.context = self.context(rig.authority)


@dataclass(frozen=True, slots=True)
class Dns(Breakage):
    """The name server has other records, answers everything with an error, or keeps silent."""

    records: Records = field(default_factory=lambda: GOOD_RECORDS)
    rcode: dns.rcode.Rcode | None = None
    silent: bool = False

    async def begin(self, rig: Rig) -> None:
        rig.names.records, rig.names.rcode, rig.names.silent = self.records, self.rcode, self.silent


@dataclass(frozen=True, slots=True)
class Imap(Breakage):
    """The mailbox goes wrong at a command; `blind`: so that it cannot be read. `lose`: and the mail is lost as well."""

    fault: imap_proxy.Fault
    blind: bool = False
    lose: bool = False

    async def begin(self, rig: Rig) -> None:
        rig.imap.fault = self.fault
        await rig.imap.cut()
        if self.lose:
            await asyncio.to_thread(rig.lab.break_, "submission", "lose")
        if self.blind:
            await rig.until_mailbox(up=False)


def _listen_for_long(settings: dict[str, Any]) -> None:
    """Leave out the checks for whose sake the mailbox is looked into so often that nobody ever has to listen."""
    for name in ("impatient", "timely", "brisk"):
        del settings["checks"][name]


@dataclass(frozen=True, slots=True)
class Idle(Breakage):
    """IDLE goes wrong, and has done so before the canary is sent."""

    act: Act

    def amend(self, settings: dict[str, Any]) -> None:
        _listen_for_long(settings)

    async def begin(self, rig: Rig) -> None:
        rig.imap.fault = imap_proxy.Fault(on=imap_proxy.On.IDLE, act=self.act)
        await rig.imap.cut()
        await rig.until_hit()


class SilentIdle(Breakage):
    """IDLE is accepted, and then the server says nothing of what happens: not of a flag, and not of the canary."""

    def amend(self, settings: dict[str, Any]) -> None:
        _listen_for_long(settings)

    async def prepare(self, rig: Rig) -> None:
        assert await rig.agent.outcome_of("patient") == "delivered"

    async def begin(self, rig: Rig) -> None:
        rig.imap.mute_idle = True
        async with asyncio.timeout(60):
            while not rig.hits:
                await rig.another_client(_flag)


def _flag(client: IMAPClient) -> None:
    """Flag a message, or take its flag away: each time the server has news for those who listen."""
    newest = client.search(["ALL"])[-1:]
    change = client.remove_flags if client.search(["FLAGGED"]) else client.add_flags
    change(newest, [FLAGGED])


_STORED = re.compile(rb'(INTERNALDATE ")([ \d]\d-\w{3}-\d{4})')
_SINCE = re.compile(rb"(SINCE )(\d+-\w{3}-\d{4})")


class Renumbered(Breakage):
    """The server has another UIDVALIDITY, from the next session on."""

    async def prepare(self, rig: Rig) -> None:
        await rig.another_client(_empty)  # what other rows left is counted as foreign each time that it is found
        assert await rig.agent.outcome_of("patient") == "delivered"

    async def begin(self, rig: Rig) -> None:
        rig.imap.rewrite = _renumbered
        await rig.imap.cut()


def _renumbered(line: bytes) -> bytes:
    return re.sub(rb"UIDVALIDITY (\d+)", lambda found: b"UIDVALIDITY %d" % (int(found[1]) + 1), line)


class WrongClock(Renumbered):
    """The server's clock is off by so many days, by which it also searches; and for a while nobody can log in.

    Its UIDs are new when it is back, so where to begin has to be found by date, and the canary is there by then.
    """

    def __init__(self, days: int) -> None:
        self._off = timedelta(days=days)

    async def begin(self, rig: Rig) -> None:
        def told(line: bytes) -> bytes:
            return re.sub(_STORED, lambda found: _shifted(found, self._off), _renumbered(line))

        def asked(line: bytes) -> bytes:
            true, times = re.subn(_SINCE, lambda found: _shifted(found, -self._off), line)
            if times:
                rig.hit()
            return true

        rig.imap.rewrite, rig.imap.reword = told, asked
        rig.imap.reached = lambda: None  # what counts is that it was asked for a date
        rig.imap.fault = imap_proxy.Fault(on=imap_proxy.On.LOGIN, act=Act.RESET)
        await rig.imap.cut()

    async def sent(self, rig: Rig, canary: Canary) -> None:
        async with asyncio.timeout(60):
            while not await rig.copies(canary):
                await asyncio.sleep(0.05)
        rig.imap.fault = None


def _shifted(found: re.Match[bytes], by: timedelta) -> bytes:
    day = datetime.strptime(found[2].decode(), "%d-%b-%Y") + by  # noqa: DTZ007 - a day only
    return found[1] + day.strftime("%d-%b-%Y").encode()


@dataclass(frozen=True, slots=True)
class Expunging(Breakage):
    """Another client empties INBOX just before the agent's commands that *pattern* matches are carried out."""

    pattern: bytes

    async def begin(self, rig: Rig) -> None:
        async def empty(command: bytes) -> None:
            if re.search(self.pattern, command) and await rig.another_client(_empty):
                rig.hit()

        rig.imap.before = empty


def _empty(client: IMAPClient) -> bool:
    """Delete everything; tell whether there was anything."""
    if found := client.search(["ALL"]):
        client.delete_messages(found, silent=True)
        client.uid_expunge(found)
    return bool(found)


@dataclass(frozen=True, slots=True)
class Lab(Evident):
    """A fault of the lab on the submission path."""

    fault: str

    async def begin(self, rig: Rig) -> None:
        await asyncio.to_thread(rig.lab.break_, "submission", self.fault)


@dataclass(frozen=True, slots=True)
class Gateway(Breakage):
    """Something on the way changes the header: `changes` are patterns, each with what takes the place of a match."""

    changes: Mapping[bytes, bytes]

    async def begin(self, rig: Rig) -> None:
        rig.smtp.change = self._changed

    def _changed(self, message: bytes) -> bytes:
        """Make every change, or none at all: half of them would be another fault than the row's."""
        header, end, body = message.partition(b"\r\n\r\n")
        header += b"\r\n"
        for pattern, replacement in self.changes.items():
            header, times = re.subn(pattern, replacement, header, flags=re.MULTILINE)
            if not times:
                return message
        return header.removesuffix(b"\r\n") + end + body


class BouncedAfterDelivery(Evident):
    """The canary arrives, and a report of its failure comes afterwards: once that is on record, it happened."""

    async def concluded(self, rig: Rig, canary: Canary) -> None:
        original = await rig.text_of(canary)
        notice = report(
            original,
            sender=canary.check.sender,
            recipient=canary.check.recipient,
            reason=RECIPIENT_NOT_FOUND,
            now=datetime.now(UTC),
            boundary="one-and-only",
        )
        await rig.put(notice, "noreply")
        query = select(func.count()).select_from(bounces).where(bounces.c.canary == canary.id)
        async with asyncio.timeout(20):
            while not await rig.agent.ledger.read(lambda connection: connection.execute(query).scalar_one()):
                await asyncio.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Replayed(Evident):
    """Somebody puts an exact copy of the canary into a mailbox once it has arrived."""

    mailbox: str

    async def concluded(self, rig: Rig, canary: Canary) -> None:
        await rig.put(await rig.text_of(canary), self.mailbox)


class ReplayedWhileLost(Evident):
    """The path loses its mail, and somebody puts a copy of an earlier canary into the mailbox instead."""

    def __init__(self) -> None:
        self._earlier = b""

    async def prepare(self, rig: Rig) -> None:
        earlier = await rig.agent.send("patient")
        await rig.agent.concluded(earlier)
        self._earlier = await rig.text_of(earlier)

    async def begin(self, rig: Rig) -> None:
        await asyncio.to_thread(rig.lab.break_, "submission", "lose")

    async def sent(self, rig: Rig, canary: Canary) -> None:
        del canary
        await rig.put(self._earlier)


class AnsweredWhileLost(Evident):
    """The path loses its mail, and an automatic answer that quotes the canary comes instead."""

    def __init__(self) -> None:
        self._heard: list[bytes] = []

    async def begin(self, rig: Rig) -> None:
        def heard(message: bytes) -> bytes:
            self._heard.append(message)
            return message

        rig.smtp.change = heard
        await asyncio.to_thread(rig.lab.break_, "submission", "lose")

    async def sent(self, rig: Rig, canary: Canary) -> None:
        del canary
        subject, message_id = (
            re.search(rb"^" + name + rb": (.*?)\r$", self._heard[0], re.MULTILINE)[1]  # type: ignore[index]
            for name in (b"Subject", b"Message-ID")
        )
        answer = (
            b"From: somebody@outside.example\r\nSubject: Automatic reply: %b\r\nIn-Reply-To: %b\r\n"
            b"Auto-Submitted: auto-replied\r\n\r\nI am out of office.\r\n"
        )
        await rig.put(answer % (subject, message_id))


def wrong_name(authority: trustme.CA) -> ssl.SSLContext:
    return server_context(authority, "mail.somebody-else.example")


def expired(authority: trustme.CA) -> ssl.SSLContext:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    return server_context(authority, not_before=yesterday - timedelta(days=90), not_after=yesterday)


def self_signed(authority: trustme.CA) -> ssl.SSLContext:
    del authority
    return server_context(trustme.CA())


def old_version(authority: trustme.CA) -> ssl.SSLContext:
    context = server_context(authority)
    context.set_ciphers("ALL:@SECLEVEL=0")  # OpenSSL takes no TLS 1.1 at the usual level
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # it is deprecated: that is the fault
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context
