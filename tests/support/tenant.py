"""Both ends of the wire in memory, in simulated time: a path to send into and a mailbox to read from."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile

from checks.core.model import (
    Accepted,
    MessageRef,
    RawMessage,
    Refused,
    Reply,
    Transcript,
)
from checks.errors import LocalFault, MailboxUnreadable
from checks.ports import Clock, Endpoint, Look

ENDPOINT = Endpoint(host="127.0.0.1", port=9, tls="none")


@dataclass(slots=True)
class Mail:
    """A message that lies in a folder from `visible_at` on."""

    folder: str
    uid: int
    content: bytes
    visible_at: float
    overlap: bool = False


@dataclass(slots=True)
class Fate:
    """What happens to the next messages: how the server answers, and where and when they turn up."""

    answer: Accepted | Refused | None = None
    fault: BaseException | None = None
    seconds: float = 0.5
    delay: float = 2.0
    folder: str = "INBOX"
    copies: int = 1
    change: Callable[[bytes], bytes] = bytes


@dataclass(slots=True)
class Tenant:
    """A mailbox with two folders, and the server that fills it."""

    clock: Clock
    validity: int = 1
    mails: list[Mail] = field(default_factory=list)
    uids: int = 0

    def deliver(self, content: bytes, *, folder: str = "INBOX", delay: float = 0.0, overlap: bool = False) -> Mail:
        self.uids += 1
        mail = Mail(folder, self.uids, content, self.clock.steady() + delay, overlap)
        self.mails.append(mail)
        return mail

    def visible(self, folder: str) -> list[Mail]:
        now = self.clock.steady()
        return [mail for mail in self.mails if mail.folder == folder and mail.visible_at <= now]


class SimulatedPath:
    """A sending path: `fate` decides what becomes of a message."""

    def __init__(self, tenant: Tenant, fate: Fate | None = None) -> None:
        self.tenant = tenant
        self.fate = fate or Fate()
        self.sent: list[bytes] = []

    async def send(self, _sender: str, _recipient: str, message: bytes) -> Accepted | Refused:
        fate, clock = self.fate, self.tenant.clock
        began = clock.steady()
        if fate.fault is not None:
            raise fate.fault
        self.sent.append(message)
        await clock.sleep(fate.seconds)
        for _ in range(fate.copies):
            self.tenant.deliver(fate.change(message), folder=fate.folder, delay=fate.delay)
        if fate.answer is not None:
            return fate.answer
        transcript = Transcript(began_at=began, ended_at=clock.steady(), endpoint="simulated", connected=True)
        return Accepted(reply=Reply(code=250, enhanced="2.6.0", text="Queued"), transcript=transcript)

    def endpoint(self) -> Endpoint:
        return ENDPOINT

    def certificates(self) -> Sequence[object]:
        return ()

    async def close(self) -> None:
        """Nothing is open."""


class SimulatedReader:
    """A mailbox reader. While `down` is set, nobody can look.

    A page has `page` messages at most in INBOX, and takes `seconds` there. A round of pages tells what was there when
    it began, as Graph's does.
    """

    folders = ("INBOX", "Junk Email")

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.down: Exception | None = None
        self.looks = 0
        self.page = sys.maxsize
        self.seconds = 0.0
        self._woken = asyncio.Event()

    @property
    def poll(self) -> None:
        return None

    def is_junk(self, folder: str) -> bool:
        return folder == "Junk Email"

    def is_sent(self, folder: str) -> bool:
        return folder == "Sent Items"

    async def look(self, folder: str, cursor: str | None, *, since: datetime) -> Look:
        self._reach()
        self.looks += 1
        validity, last, *until = (cursor or "0:0").split(":")
        current = self.tenant.validity  # it may change while the look lasts
        expired = validity != str(current)
        there = self.tenant.visible(folder)
        above = _older(there, since) if expired else int(last)
        fresh = [mail for mail in there if mail.uid > above]
        if until and not expired:
            fresh = [mail for mail in fresh if mail.uid <= int(until[0])]
        page = fresh[: self.page] if folder == "INBOX" else fresh
        reached = max((mail.uid for mail in page), default=above)
        complete = len(page) == len(fresh)
        round_ends = "" if complete else f":{fresh[-1].uid}"
        if folder == "INBOX":
            await self.tenant.clock.sleep(self.seconds)
            self._reach()
        return Look(
            messages=[
                RawMessage(ref=self._ref(mail), headers=_head(mail.content), overlap=mail.overlap) for mail in page
            ],
            cursor=f"{current}:{reached}{round_ends}",
            complete=complete,
        )

    async def wait(self, at_most: float) -> bool:
        self._reach()
        try:
            async with asyncio.timeout(at_most):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return False

    def wake(self) -> None:
        self._woken.set()

    async def headers(self, refs: Sequence[MessageRef]) -> dict[MessageRef, bytes]:
        self._reach()
        return {self._ref(mail): _head(mail.content) for mail in self.tenant.mails if self._ref(mail) in refs}

    async def content(self, ref: MessageRef, limit: int) -> bytes | None:
        self._reach()
        return next((mail.content[:limit] for mail in self.tenant.mails if self._ref(mail) == ref), None)

    async def delete(self, refs: Sequence[MessageRef]) -> Sequence[MessageRef]:
        self._reach()
        self.tenant.mails = [mail for mail in self.tenant.mails if self._ref(mail) not in refs]
        return refs

    def endpoint(self) -> Endpoint:
        return ENDPOINT

    async def close(self) -> None:
        """Nothing is open."""

    def _ref(self, mail: Mail) -> MessageRef:
        return MessageRef(folder=mail.folder, validity=str(self.tenant.validity), uid=str(mail.uid))

    def _reach(self) -> None:
        if self.down is not None:
            raise self.down


def unreadable() -> MailboxUnreadable:
    return MailboxUnreadable("connect", "connection refused")


def our_fault() -> LocalFault:
    return LocalFault("the secret file cannot be read")


def _older(there: Sequence[Mail], since: datetime) -> int:
    """Find the UID to begin after: of the last message before the first that came at *since* or later."""
    return max((mail.uid for mail in takewhile(lambda mail: mail.visible_at < since.timestamp(), there)), default=0)


def _head(content: bytes) -> bytes:
    return content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
