"""The two plug-ins through which the agent meets the truth of `properties.post`: a path and a mailbox reader."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count, takewhile

from properties.post import FOLDERS, Fate, Mail, Page, Post, Sent, name_of
from support.simulation import EPOCH

from checks.core.model import Accepted, Cause, MessageRef, RawMessage, Refused, Reply, Stage, StageTiming, Transcript
from checks.errors import LocalFault, MailboxUnreadable
from checks.ports import Clock, Endpoint, Look

_PAGE = 2  # messages, so that most looks have several pages
_HALF_A_LOOK = 0.01
_ENDPOINT = Endpoint(host="127.0.0.1", port=1, tls="none")  # nobody listens: the agent proves its network by mailboxes
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One way to say no, and the outcome that the contract gives it."""

    outcome: str
    stage: Stage
    code: int | None = None
    enhanced: str | None = None
    cause: Cause = Cause.REPLY


REFUSALS = {
    "recipient": Refusal("rejected", Stage.RCPT, 550, "5.7.64"),
    "content": Refusal("rejected", Stage.DATA, 554, "5.6.0"),
    "later": Refusal("deferred", Stage.DATA, 451, "4.7.0"),
    "login": Refusal("auth_failed", Stage.AUTH, 535, "5.7.8"),
    "certificate": Refusal("tls_failed", Stage.STARTTLS, cause=Cause.TLS),
    "silence": Refusal("deferred", Stage.MAIL, cause=Cause.TIMEOUT),
    "connection": Refusal("unreachable", Stage.CONNECT, cause=Cause.CONNECT),
}


def stage_of(fate: Fate) -> Stage:
    """Say in which stage the answer came; all of the time is that stage's."""
    return REFUSALS[fate.refusal].stage if fate.answer == "refused" else Stage.DATA


class SimulatedPath:
    """Hands messages to one mailbox of the truth; `next_fate` tells, for a check, what becomes of its next one."""

    def __init__(self, post: Post, clock: Clock, mailbox: str, next_fate: Callable[[str], Fate]) -> None:
        self._post = post
        self._clock = clock
        self._mailbox = mailbox
        self._next_fate = next_fate

    async def send(self, _sender: str, _recipient: str, message: bytes) -> Accepted | Refused:
        post, began = self._post, self._clock.steady()
        canary, check = name_of(message)
        fate = self._next_fate(check)
        post.handed_over[canary] += 1
        sent = post.sent[canary] = Sent(canary, check, self._mailbox, fate, message, post.now())
        await self._clock.sleep(fate.until_dot)
        if fate.answer == "local":
            sent.answered_at = post.now()
            raise LocalFault("the secret file cannot be read")
        post.deliver(sent)
        await self._clock.sleep(fate.until_reply)
        sent.answered_at = post.now()
        if fate.answer == "defect":
            raise ZeroDivisionError("the path broke")
        sent.took = self._clock.steady() - began
        return self._answer(fate, began)

    def _answer(self, fate: Fate, began: float) -> Accepted | Refused:
        timing = StageTiming(stage=stage_of(fate), seconds=fate.until_dot + fate.until_reply)
        known = {"began_at": began, "ended_at": self._clock.steady(), "endpoint": "simulated", "stages": [timing]}
        if fate.refusal != "connection":
            self._post.contacts.append(self._post.now())
        if fate.answer == "taken":
            reply = Reply(code=250, enhanced="2.6.0", text="Queued")
            return Accepted(reply=reply, transcript=Transcript(**known, connected=True))
        if fate.answer == "doubt":
            transcript = Transcript(**known, connected=True)
            return Refused(stage=Stage.DATA, cause=Cause.DROPPED, sent=True, transcript=transcript)
        no = REFUSALS[fate.refusal]
        transcript = Transcript(**known, connected=no.stage is not Stage.CONNECT)
        reply = None if no.code is None else Reply(code=no.code, enhanced=no.enhanced, text="no")
        return Refused(stage=no.stage, cause=no.cause, reply=reply, transcript=transcript)

    def endpoint(self) -> Endpoint:
        return _ENDPOINT

    def certificates(self) -> Sequence[object]:
        return ()

    async def close(self) -> None:
        """Nothing is open."""


class SimulatedReader:
    """Reads one mailbox of the truth, a page at a time; a look takes time, and shows what is there in its middle.

    In the mailbox `outside` a round of pages, as Graph's, shows what is there in the middle of the first; in others a
    page, as over IMAP, shows what is there by then.
    """

    def __init__(self, post: Post, clock: Clock, name: str, folders: Sequence[str]) -> None:
        self.folders = folders
        self._post = post
        self._clock = clock
        self._name = name
        self._woken = asyncio.Event()
        post.wishes[name].append(self.wake)

    @property
    def poll(self) -> None:
        return None

    def is_junk(self, folder: str) -> bool:
        return folder == "Junk Email"

    def is_sent(self, folder: str) -> bool:
        return folder == "Sent Items"

    async def look(self, folder: str, cursor: str | None, *, since: datetime) -> Look:
        await self._reach()
        post, here = self._post, (self._name, folder)
        validity, last, until, *_ = (cursor or "-1:0:").split(":")
        expired = int(validity) != post.validity[here]
        there = post.visible(*here)
        above = _older(there, since) if expired else int(last)
        fresh = [mail for mail in there if (mail.uid or 0) > above]
        at = post.now()
        if until and not expired:
            fresh, at = [mail for mail in fresh if (mail.uid or 0) <= int(until)], post.pages[cursor or ""].at
        page = fresh[:_PAGE]
        reached = max((mail.uid or 0 for mail in page), default=above)
        ends = "" if len(page) == len(fresh) or self._name != "outside" else fresh[-1].uid
        following = f"{post.validity[here]}:{reached}:{ends}:{next(_numbers)}"
        refs = [self._ref(mail) for mail in page]
        post.pages[following] = Page(page, refs, at)
        await self._reach()
        post.contacts.append(post.now())
        return Look(
            messages=[RawMessage(ref=ref, headers=_head(mail.content)) for ref, mail in zip(refs, page, strict=True)],
            cursor=following,
            complete=len(page) == len(fresh),
        )

    async def wait(self, at_most: float) -> bool:
        await self._reach()
        try:
            async with asyncio.timeout(at_most):
                await self._woken.wait()
        except TimeoutError:
            return False
        finally:
            self._woken.clear()
        await self._reach()
        return False

    def wake(self) -> None:
        self._woken.set()

    async def headers(self, refs: Sequence[MessageRef]) -> dict[MessageRef, bytes]:
        await self._reach_evidence()
        return {self._ref(mail): _head(mail.content) for mail in self._there(refs)}

    async def content(self, ref: MessageRef, limit: int) -> bytes | None:
        await self._reach_evidence()
        return next((mail.content[:limit] for mail in self._there([ref])), None)

    async def delete(self, refs: Sequence[MessageRef]) -> Sequence[MessageRef]:
        await self._reach()
        for mail in self._there(refs):
            mail.gone_at = self._post.now()
            if not mail.is_ours():
                self._post.wrongs.append(f"the agent deleted a message that is {mail.kind}")
            elif not mail.known:
                self._post.wrongs.append(f"the agent deleted a {mail.kind} that it never wrote down")
        await self._reach()
        return refs

    def endpoint(self) -> Endpoint:
        return _ENDPOINT

    async def close(self) -> None:
        if self.wake in self._post.wishes[self._name]:
            self._post.wishes[self._name].remove(self.wake)

    def _there(self, refs: Sequence[MessageRef]) -> list[Mail]:
        shown = (mail for folder in FOLDERS[self._name] for mail in self._post.visible(self._name, folder))
        return [mail for mail in shown if self._ref(mail) in refs]

    def _ref(self, mail: Mail) -> MessageRef:
        validity = self._post.validity[self._name, mail.folder]
        return MessageRef(folder=mail.folder, validity=str(validity), uid=str(mail.uid))

    async def _reach_evidence(self) -> None:
        """Fail where looks work: servers meter the bytes that they hand out."""
        await self._reach()
        if self._post.throttled[self._name] > 0:
            self._post.throttled[self._name] -= 1
            raise MailboxUnreadable("throttled", "Request is throttled", retry_after=2.0)

    async def _reach(self) -> None:
        """Take half of the time of a look; fail while the mailbox cannot be reached, or where a BYE was planned."""
        await self._clock.sleep(self._post.slowness.get(self._name, _HALF_A_LOOK))
        left = self._post.farewells.pop(self._name, None)
        if left == 0:
            self._post.broken[self._name] += 1
            raise MailboxUnreadable("closed", "the server said BYE")
        if left is not None:
            self._post.farewells[self._name] = left - 1
        if self._name in self._post.trouble:
            raise self._post.trouble[self._name]


def _older(there: Sequence[Mail], since: datetime) -> int:
    """Find the UID to begin after: of the last message before the first that came at *since* or later."""
    older = takewhile(lambda mail: EPOCH + mail.visible_at < since.timestamp(), there)
    return max((mail.uid or 0 for mail in older), default=0)


def _head(content: bytes) -> bytes:
    return content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
