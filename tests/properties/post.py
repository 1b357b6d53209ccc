"""The truth: what lies in the mailboxes and since when, and what became of each canary. The agent sees it through
`properties.wire` alone; times here are seconds of true time, which nobody can set.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from checks.core.model import MessageRef

Kind = Literal["copy", "bounce", "delayed", "forged", "foreign", "answer", "other"]
OURS = frozenset({"copy", "bounce", "delayed"})
STAMP = b"Authentication-Results: mx.contoso.example; spf=pass\r\n"  # RFC 8601; what every mail server adds here
FOLDERS = {"inbox": ("INBOX", "Junk Email"), "outside": ("INBOX",)}
_TOKEN = re.compile(rb"^X-Relaycanary: rc1\.([a-z2-7]{16})\.([A-Za-z0-9_-]+)\.", re.MULTILINE)


@dataclass(slots=True, eq=False)
class Mail:
    """One message. It has a UID once it is visible: servers number in order of appearance (RFC 9051 2.3.1.1)."""

    mailbox: str
    folder: str
    content: bytes = field(repr=False)
    visible_at: float
    kind: Kind = "other"
    canary: str | None = None
    uid: int | None = None
    gone_at: float | None = None
    known: bool = False  # a look that showed it was written down

    def is_ours(self) -> bool:
        """Tell whether the agent may ever delete it."""
        return self.kind in OURS


@dataclass(frozen=True, slots=True)
class Copy:
    """Where and when a message turns up, in seconds after the final dot."""

    folder: str = "INBOX"
    delay: float = 2.0
    stripped: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification about a message: where and when it turns up, and whether it is final."""

    final: bool
    mailbox: str = "inbox"
    delay: float = 20.0


Answer = Literal["taken", "refused", "doubt", "local", "defect"]


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one canary: the answer (`refusal` is its place in `properties.wire.REFUSALS`), and the mail."""

    answer: Answer = "taken"
    refusal: str = ""
    until_dot: float = 0.3
    until_reply: float = 0.2
    copies: Sequence[Copy] = (Copy(),)
    notice: Notice | None = None


@dataclass(slots=True)
class Sent:
    """What is true of one canary that reached a path."""

    id: str
    check: str
    mailbox: str
    fate: Fate
    content: bytes = field(repr=False)
    began_at: float
    answered_at: float | None = None
    took: float = 0.0  # seconds from the first byte to the answer, by the agent's clock
    recorded: bool = False  # the ledger has its attempt

    def told(self) -> bool:
        """Tell whether the answer came, and is on record; without it the agent is in doubt."""
        return self.recorded and self.answered_at is not None


@dataclass(frozen=True, slots=True)
class Page:
    """What one page of a look showed, under which names, and as of when."""

    mails: Sequence[Mail]
    refs: Sequence[MessageRef]
    at: float


@dataclass(slots=True)
class Post:
    """All mailboxes. `now` tells the true time."""

    now: Callable[[], float]
    mails: list[Mail] = field(default_factory=list)
    validity: Counter[tuple[str, str]] = field(default_factory=Counter)
    uids: Counter[tuple[str, str]] = field(default_factory=Counter)
    sent: dict[str, Sent] = field(default_factory=dict)
    handed_over: Counter[str] = field(default_factory=Counter)
    pages: dict[str, Page] = field(default_factory=dict)
    contacts: list[float] = field(default_factory=list)
    trouble: dict[str, Exception] = field(default_factory=dict)
    farewells: dict[str, int] = field(default_factory=dict)
    broken: Counter[str] = field(default_factory=Counter)  # how often a server did say BYE
    throttled: Counter[str] = field(default_factory=Counter)  # how many fetches of evidence will be refused
    slowness: dict[str, float] = field(default_factory=dict)  # how long half a look takes
    wishes: dict[str, list[Callable[[], None]]] = field(default_factory=lambda: defaultdict(list))
    wrongs: list[str] = field(default_factory=list)

    def put(self, mail: Mail) -> Mail:
        """Let a message lie in its folder from its time on."""
        self.mails.append(mail)
        return mail

    def visible(self, mailbox: str, folder: str) -> list[Mail]:
        """List what a client of the folder is shown now, in order of UID."""
        now, here = self.now(), (mailbox, folder)
        there = [one for one in self.mails if (one.mailbox, one.folder) == here and one.visible_at <= now]
        for mail in sorted((one for one in there if one.uid is None), key=lambda one: one.visible_at):
            self.uids[here] += 1
            mail.uid = self.uids[here]
        return sorted((one for one in there if one.gone_at is None), key=lambda one: one.uid or 0)

    def renumber(self, mailbox: str, folder: str) -> None:
        """Change UIDVALIDITY, and with it every number."""
        here = (mailbox, folder)
        there = self.visible(mailbox, folder)
        self.validity[here] += 1
        self.uids[here] = 0
        for mail in self.mails:
            if (mail.mailbox, mail.folder) == here:
                mail.uid = None
        for mail in there:
            self.uids[here] += 1
            mail.uid = self.uids[here]
        for mail in self.mails:  # what is gone keeps no number that another may get
            if (mail.mailbox, mail.folder) == here and mail.gone_at is not None:
                mail.uid = 0

    def deliver(self, sent: Sent) -> None:
        """Let the mail of a canary go its way: the final dot has been read."""
        for copy in sent.fate.copies:
            content = STAMP + (strip(sent.content) if copy.stripped else sent.content)
            at = self.now() + copy.delay
            self.put(Mail(sent.mailbox, copy.folder, content, at, "copy", sent.id))
        if sent.fate.notice is not None:
            notice = sent.fate.notice
            content = notification(sent.content, final=notice.final)
            kind: Kind = "bounce" if notice.final else "delayed"
            at = self.now() + notice.delay
            self.put(Mail(notice.mailbox, "INBOX", content, at, kind, sent.id))


def name_of(content: bytes) -> tuple[str, str]:
    """Read the id and the check of a canary off its message."""
    found = _TOKEN.search(content)
    assert found is not None, content[:300]
    return found[1].decode(), found[2].decode()


def strip(content: bytes) -> bytes:
    """Do as gateways do: take fields away, and mark the subject."""
    gone = (b"X-Relaycanary: ", b"Message-ID: ")
    lines = [line for line in content.split(b"\r\n") if not line.startswith(gone)]
    return b"\r\n".join(lines).replace(b"Subject: ", b"Subject: [EXTERNAL] ")


def forge(content: bytes, *, key: bool) -> bytes:
    """Write a message that claims to be the canary in *content*, with a wrong signature or somebody else's key."""
    found = re.search(rb"rc1\.[a-z2-7]{16}\.[A-Za-z0-9_-]+\.(k1)\.([A-Za-z0-9_-]{43})", content)
    assert found is not None
    wrong = content.replace(found[2], b"A" * 43)
    return wrong.replace(b".k1.", b".k9.") if key else wrong


def answer(content: bytes) -> bytes:
    """Write what a human, or a vacation responder, answers to a canary."""
    subject = next(line for line in content.split(b"\r\n") if line.startswith(b"Subject: "))
    return (
        b"From: <a@b.example>\r\nIn-Reply-To: <x@y>\r\n" + subject.replace(b": ", b": Re: ", 1) + b"\r\n\r\nthanks\r\n"
    )


def notification(content: bytes, *, final: bool) -> bytes:
    """Write a delivery status notification (RFC 3464) about the canary in *content*."""
    action, status = (b"failed", b"5.1.1") if final else (b"delayed", b"4.4.7")
    return (
        b"From: MAILER-DAEMON@mx.contoso.example\r\nSubject: Mail status\r\nReturn-Path: <>\r\n"
        b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\nMIME-Version: 1.0\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nsorry\r\n"
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.contoso.example\r\n\r\n"
        b"Final-Recipient: rfc822; canary@outside.example\r\nAction: " + action + b"\r\nStatus: " + status + b"\r\n"
        b"Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n"
        b"--b\r\nContent-Type: text/rfc822-headers\r\n\r\n" + content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n--b--\r\n"
    )
