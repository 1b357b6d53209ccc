"""The post office: what becomes of a message once the lab has said 250, and when it arrives."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import re
import secrets
import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from checks.lab import tenant
from checks.lab.faults import FaultBoard
from checks.lab.forgery import forge
from checks.lab.headers import Trace, stamp
from checks.lab.imap_folders import DurableFolder
from checks.lab.ndr import RECIPIENT_NOT_FOUND, reason_outside, report
from checks.lab.store import Consignment, Mail, MailStore, Place, instant
from checks.lab.tenant import ACCOUNTS, INBOX, JUNK, MAILBOX_PATHS, SENT, Account, PathName, Peer

_log = logging.getLogger(__name__)
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9.:_\[\]-]")
KEEP_MAILS = 2000
"""Messages in a folder: every IMAP command of pymap costs time in proportion to them."""
KEEP_SECONDS = 86_400.0
_TIDY_EVERY = 600.0  # seconds
_RETRY_AFTER = 1.0  # seconds, when the disk is full


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A message that a client has handed over."""

    path: PathName
    peer: Peer
    mail_from: str
    recipients: Sequence[str]
    content: bytes
    attributed: bool
    sent_copy: bool = False
    """A copy goes into the Sent Items of the mailbox that sends."""


class RateLimit:
    """The submission rate of a mailbox: what is too much waits for its turn, it is not refused."""

    def __init__(self, per_minute: int) -> None:
        self._turns: deque[float] = deque(maxlen=per_minute)

    def turn(self, now: float) -> float:
        """Return when a message that came *now* may go on; both in seconds."""
        full = len(self._turns) == self._turns.maxlen
        turn = max(now, self._turns[0] + 60.0) if full else now
        self._turns.append(turn)
        return turn


class PostOffice:
    """Plans the delivery of each message, keeps the plan on disk, and carries it out in time."""

    def __init__(
        self,
        store: MailStore,
        folders: dict[Place, DurableFolder],
        faults: FaultBoard,
        *,
        transit: float,
        messages_per_minute: int,
        keep: int = KEEP_MAILS,
    ) -> None:
        self._store = store
        self._folders = folders
        self._faults = faults
        self._transit = transit
        self._keep = keep
        self._limits = {account.address: RateLimit(messages_per_minute) for account in ACCOUNTS}
        self._schedule = [(one.due, one.key) for one in store.on_the_way.values()]
        heapq.heapify(self._schedule)
        self._changed = asyncio.Event()
        self._accepting: set[asyncio.Task[None]] = set()

    async def accept(self, mail: Submission) -> None:
        """Take a message; durable on return.

        Raises:
            OSError: the disk did not take it.
        """
        # A client that goes away now does not take the message back: it may be on disk already.
        task = asyncio.create_task(self._accept(mail))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)
        await asyncio.shield(task)

    async def _accept(self, mail: Submission) -> None:
        plan = self._plan(mail, time.time())
        if not plan:
            return
        await self._store.accept(plan)
        for one in plan:
            heapq.heappush(self._schedule, (one.due, one.key))
        self._changed.set()

    async def run(self) -> None:
        """Deliver what is due, until cancelled."""
        tidy_at = 0.0
        while True:
            now = time.time()
            if now >= tidy_at:
                await self.tidy(now)
                tidy_at = now + _TIDY_EVERY
            if await self.deliver_due(now):
                continue
            until = min(tidy_at, self._schedule[0][0] if self._schedule else tidy_at)
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, until - now)):
                    await self._changed.wait()

    async def deliver_due(self, now: float) -> int:
        """Deliver what is due at *now*, in seconds since 1970; return how many messages."""
        due = self._take_due(now)
        if due:
            await self._deliver(due, now)
        return len(due)

    async def tidy(self, now: float) -> None:
        """Remove what is too old or too much in all folders."""
        for place in self._folders:
            await self._prune(place, now)

    def _take_due(self, now: float) -> list[Consignment]:
        due = []
        while self._schedule and self._schedule[0][0] <= now:
            _, key = heapq.heappop(self._schedule)
            due.append(self._store.on_the_way[key])
        return due

    async def _deliver(self, due: Sequence[Consignment], now: float) -> None:
        arrivals = [(one, Mail(content=_stamped(one, now), arrived=now, flags=one.flags)) for one in due]
        async with self._store.order:
            try:
                uids = await self._store.deliver(arrivals)
            except OSError as error:
                _log.warning("mail waits, the disk does not take it: %s", error)
                for one in due:
                    heapq.heappush(self._schedule, (now + _RETRY_AFTER, one.key))
                return
            for (one, mail), uid in zip(arrivals, uids, strict=True):
                await self._folders[one.place].show(uid, mail)
        for place in {one.place for one in due}:
            await self._prune(place, now)

    async def _prune(self, place: Place, now: float) -> None:
        mails = self._store.folders[place].mails
        if not mails or (len(mails) <= self._keep and next(iter(mails.values())).arrived >= now - KEEP_SECONDS):
            return
        # A tenth more than asked, so that a full folder is not tidied again at every message.
        surplus = 0 if len(mails) <= self._keep else len(mails) - self._keep * 9 // 10
        old = [
            uid
            for position, (uid, mail) in enumerate(mails.items())
            if position < surplus or mail.arrived < now - KEEP_SECONDS
        ]
        if old:
            try:
                await self._folders[place].delete(old)
            except OSError as error:
                _log.warning("old mail stays, the disk does not take the change: %s", error)

    def _plan(self, mail: Submission, now: float) -> list[Consignment]:
        due = now + self._transit + self._faults.seconds(mail.path, "delay")
        if mail.path in MAILBOX_PATHS:
            due += self._limits[mail.mail_from].turn(now) - now
        plan = [one for recipient in mail.recipients for one in self._plan_one(mail, recipient, now, due)]
        if self._faults.is_on(mail.path, "lose"):
            plan = []
        elif self._faults.is_on(mail.path, "duplicate"):
            plan += [replace(one, key=secrets.token_hex(12)) for one in plan]
        sender = tenant.account_of(mail.mail_from)
        if mail.sent_copy and sender is not None:
            trace = replace(_trace(mail, mail.mail_from, now), sent_copy=True)
            plan.append(_consignment(sender, SENT, now, trace, mail.content, flags=("\\Seen",)))
        return plan

    def _plan_one(self, mail: Submission, recipient: str, now: float, due: float) -> list[Consignment]:
        account = tenant.account_of(recipient)
        trace = _trace(mail, recipient, now)
        if account is None or self._faults.is_on(mail.path, "bounce"):
            return self._plan_report(mail, recipient, account, trace, due)
        content = forge(mail.content) if self._faults.is_on(mail.path, "forged_canary") else mail.content
        junk = self._faults.is_on(mail.path, "junk")
        trace = replace(trace, junk=junk, outside=not account.hosted)
        return [_consignment(account, JUNK if junk else INBOX, due, trace, content)]

    def _plan_report(
        self, mail: Submission, recipient: str, account: Account | None, trace: Trace, due: float
    ) -> list[Consignment]:
        sender = tenant.account_of(mail.mail_from)
        if sender is None:
            return []
        outside = account is None and tenant.domain_of(recipient) != tenant.TENANT_DOMAIN
        reason = reason_outside(recipient, tenant.OUTSIDE_DOMAIN) if outside else RECIPIENT_NOT_FOUND
        content = report(
            mail.content,
            sender=mail.mail_from,
            recipient=recipient,
            reason=reason,
            now=instant(due),
            boundary=str(uuid.uuid4()),
        )
        about = replace(trace, report=True, mail_from="", recipient=mail.mail_from, network_id=str(uuid.uuid4()))
        return [_consignment(sender, INBOX, due, about, content)]


def _consignment(
    account: Account, folder: str, due: float, trace: Trace, content: bytes, flags: tuple[str, ...] = ()
) -> Consignment:
    place = Place(account.mailbox, folder)
    return Consignment(place=place, due=due, trace=asdict(trace), content=content, flags=flags)


def _trace(mail: Submission, recipient: str, now: float) -> Trace:
    peer = mail.peer
    tls = f"version={peer.tls_version.replace('v', '').replace('.', '_')}, cipher={peer.tls_cipher}"
    return Trace(
        path=mail.path,
        ip=peer.address,
        helo=_NOT_IN_A_NAME.sub("?", peer.helo)[:255],
        tls=tls if peer.tls_version else "",
        mail_from=mail.mail_from,
        recipient=recipient,
        accepted=now,
        network_id=str(uuid.uuid4()),
        attributed=mail.attributed,
    )


def _stamped(one: Consignment, now: float) -> bytes:
    trace = Trace(**one.trace)
    return stamp(trace, one.content, instant(trace.accepted), instant(now))
