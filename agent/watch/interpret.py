"""Turn raw messages into facts: sightings of our canaries, bounces of them, and what only pretends to be either."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from agent.ledger import FoundBounce, FoundCopy, KnownCanary, Ledger
from agent.watch.fetches import Fetches
from checks.core import bounce as notices
from checks.core import findings, recognise
from checks.core.headers.fields import Headers, parse_headers
from checks.core.message import HEADER
from checks.core.model import Bounce, Findings, MessageRef, RawMessage, Sighting
from checks.core.recognise import Genuine, Ignored, Sent
from checks.core.token import Token
from checks.ports import MailboxReader

_log = structlog.get_logger("watch")
_NO_HEADERS = Headers(())
_BOUNCE_BYTES = 262_144
_LONGEST_DIAGNOSTIC = 1000

_Content = TypeVar("_Content")
_Meaning = TypeVar("_Meaning")


@dataclass(frozen=True, slots=True)
class _Copy:
    """A copy of a canary among what was sent, which is to be cleaned up."""

    id: str


@dataclass(slots=True)
class Found:
    """What one page of a look amounts to."""

    sightings: list[Sighting] = field(default_factory=list)
    bounces: list[FoundBounce] = field(default_factory=list)
    copies: list[FoundCopy] = field(default_factory=list)
    headers: dict[str, bytes] = field(default_factory=dict)
    ignored: Counter[str] = field(default_factory=Counter)

    def ignore(self, message: RawMessage, reason: Ignored) -> None:
        """Count *message* as one that shows nothing, unless it may be years old: then it is no news either."""
        if not message.overlap:
            self.ignored[reason] += 1


@dataclass(slots=True, kw_only=True)
class Interpreter:
    """Knows one mailbox: its name, its addresses, the keys, and how long canaries stay, in seconds.

    `clears_sent` tells whether the copies of canaries that were sent from it are to be cleaned up.
    """

    mailbox: str
    addresses: Sequence[str]
    secrets: Mapping[str, bytes]
    keep: float
    ledger: Ledger
    reader: MailboxReader
    clears_sent: bool = False
    _fetches: Fetches = field(init=False)

    def __post_init__(self) -> None:
        self._fetches = Fetches(self.reader)

    async def interpret(self, messages: Sequence[RawMessage], *, seen_at: float, after_at: float | None) -> Found:
        """Say what *messages*, found by a look that answered at *seen_at*, are to us.

        Raises:
            checks.errors.MailboxUnreadable: evidence or a bounce could not be fetched.
            LedgerError: the ledger could not be asked.
        """
        found = Found()
        parsed = [(message, _unharmed(parse_headers, message.headers, _NO_HEADERS)) for message in messages]
        claimed = [(message, headers, claims) for message, headers in parsed if (claims := _claims(headers))]
        known = await self._known(claim for _, _, claims in claimed for claim in claims)
        ours: list[tuple[RawMessage, str]] = []
        for message, headers, claims in claimed:
            proven: Genuine | _Copy | Ignored | None = self._prove(claims, known, seen_at)
            if isinstance(proven, Genuine):
                proven = self._ignored(known[proven.id], message.ref.folder, headers) or proven
            if isinstance(proven, Genuine):
                ours.append((message, proven.id))
            elif isinstance(proven, _Copy):
                found.copies.append(FoundCopy(canary=proven.id, ref=message.ref))
            elif proven is not None:
                found.ignore(message, proven)
        await self._take_sightings(found, ours, known, seen_at=seen_at, after_at=after_at)
        for message, headers in parsed:
            if _may_be_bounce(message, headers):
                await self._take_bounce(found, message, seen_at)
        self._fetches.forget(message.ref for message in messages)
        return found

    async def canaries_at(self, refs: Sequence[MessageRef]) -> Mapping[MessageRef, str]:
        """Name the canaries of ours that lie at *refs*, by a fresh look; the other places are left out."""
        blocks = await self._fetches.headers_now(refs)
        claimed = {ref: _claims(_unharmed(parse_headers, block, _NO_HEADERS)) for ref, block in blocks.items()}
        sent = self._sent(await self._known(claim for claims in claimed.values() for claim in claims))
        proven = {ref: recognise.prove(claims, sent, self.secrets) for ref, claims in claimed.items()}
        return {ref: one.id for ref, one in proven.items() if isinstance(one, Genuine)}

    async def bounced_at(self, ref: MessageRef) -> str | None:
        """Name the canary of ours that the message at *ref* is a bounce of, by a fresh look; None if it is none."""
        content = None if self._fetches.given_up(ref) else await self._fetches.content(ref, _BOUNCE_BYTES)
        notice = None if content is None else _unharmed(notices.classify, content, None)
        canary = None if notice is None else await self._bounced(notice)
        return None if canary is None else canary.id

    def given_up(self, ref: MessageRef) -> bool:
        """Tell whether the message at *ref* cannot be fetched, so that nobody knows what it is."""
        return self._fetches.given_up(ref)

    def _prove(self, claims: Sequence[Token], known: Mapping[str, KnownCanary], now: float) -> Genuine | Ignored | None:
        proven = recognise.prove(claims, self._sent(known), self.secrets)
        if not isinstance(proven, Genuine):
            return proven
        canary = known.get(proven.id)
        if canary is None:
            return Ignored.FORGOTTEN if self._may_be_forgotten(now) else Ignored.FOREIGN
        # One that is still awaited counts however long it took: it would be called lost while it lies here.
        return Ignored.EXPIRED if canary.concluded and now - canary.started_at > self.keep else proven

    def _may_be_forgotten(self, now: float) -> bool:
        """Tell whether a canary of ours may lie here that the ledger, which began anew, has never known."""
        began = self.ledger.began_anew
        return began is not None and now - began.at <= self.keep

    def _ignored(self, canary: KnownCanary, folder: str, headers: Headers) -> _Copy | Ignored | None:
        """Say why a message with the token of *canary* shows nothing about its arrival; None if it does."""
        quoted = recognise.quoted(headers, canary.sender)
        if self.clears_sent and self.reader.is_sent(folder) and not quoted:
            return _Copy(canary.id)
        if not self._awaits(canary) or self.reader.is_sent(folder):
            return Ignored.COPY
        return Ignored.QUOTED if quoted else None

    def _awaits(self, canary: KnownCanary) -> bool:
        """Tell whether *canary* was to arrive here: in this mailbox, or in the one that it was before a renaming."""
        renamed = not canary.watched and canary.recipient.lower() in {address.lower() for address in self.addresses}
        return canary.mailbox == self.mailbox or renamed

    def _sent(self, known: Mapping[str, KnownCanary]) -> Callable[[str], Sent]:
        def of(canary: str) -> Sent:
            if canary not in known:
                return Sent(self.addresses)
            return Sent((known[canary].recipient,), known[canary].signature)

        return of

    async def _known(self, claims: Iterable[Token]) -> Mapping[str, KnownCanary]:
        ids = sorted({claim.id for claim in claims})
        return await self.ledger.known(ids) if ids else {}

    async def _take_sightings(
        self,
        found: Found,
        ours: Sequence[tuple[RawMessage, str]],
        known: Mapping[str, KnownCanary],
        *,
        seen_at: float,
        after_at: float | None,
    ) -> None:
        if not ours:
            return
        blocks = await self._fetches.headers([message.ref for message, _ in ours if not message.bare])
        for message, canary in ours:
            # None: it has no header to show, fetching that was given up, or another client took the message away.
            block = blocks.get(message.ref)
            if block is not None:
                found.headers[canary] = block
            found.sightings.append(
                Sighting(
                    canary=canary,
                    ref=message.ref,
                    seen_at=seen_at,
                    after_at=after_at,
                    junk=self.reader.is_junk(message.ref.folder),
                    stored=message.stored,
                    findings=None if block is None else _unharmed(_finder(known[canary]), block, None),
                )
            )

    async def _take_bounce(self, found: Found, message: RawMessage, seen_at: float) -> None:
        if self._fetches.given_up(message.ref):
            found.ignore(message, Ignored.UNREADABLE)
            return
        content = await self._fetches.content(message.ref, _BOUNCE_BYTES)
        if content is None:
            return
        notice = _unharmed(notices.classify, content, None)
        canary = None if notice is None else await self._bounced(notice)
        if notice is None or canary is None:
            return
        kind, recipient = notices.fate_of(notice, canary.recipient)
        bounce = Bounce(
            canary=canary.id,
            seen_at=seen_at,
            final=kind is notices.Kind.BOUNCE,
            action=recipient.action if recipient else kind.value,
            status=recipient.status if recipient else None,
            diagnostic=_diagnostic(notice, recipient)[:_LONGEST_DIAGNOSTIC],
        )
        found.bounces.append(FoundBounce(bounce=bounce, ref=message.ref))

    async def _bounced(self, notice: notices.Notification) -> KnownCanary | None:
        """Name the canary that a notice is about, proven by the signature; None for other people's bounces."""
        claims = recognise.claims(notice.returned())
        if notice.kind in {notices.Kind.BOUNCE, notices.Kind.DELAYED}:
            fields = (("In-Reply-To", notice.in_reply_to or ""), ("Subject", notice.subject))
            claims += recognise.mentions(Headers((*fields, *(("References", one) for one in notice.references))))
        elif notice.suspected is None:
            return None
        known = await self._known(claims)
        proven = recognise.prove(claims, self._sent(known), self.secrets)
        return known.get(proven.id) if isinstance(proven, Genuine) else None


def _may_be_bounce(message: RawMessage, headers: Headers) -> bool:
    """Tell whether a message is worth a fetch of its own.

    A canary says that a machine sent it, as a bounce does; the field of its own tells it apart, whosever it is. A
    bounce that copies this field from what it returns still has the marks of an answer.
    """
    return recognise.answers(headers) or (HEADER not in headers and notices.may_be_bounce(message.headers))


def _claims(headers: Headers) -> Sequence[Token]:
    return _unharmed(recognise.claims, headers, ())


def _unharmed(read: Callable[[_Content], _Meaning], content: _Content, otherwise: _Meaning) -> _Meaning:
    """Read what strangers wrote. A defect that one message brings to light must not hide all the others from us."""
    try:
        return read(content)
    except Exception:  # noqa: BLE001 - whatever it is: anybody may send us mail
        _log.exception("message.not_understood", by=read.__name__)
        return otherwise


def _finder(canary: KnownCanary) -> Callable[[bytes], Findings]:
    """Read findings as the check of *canary* trusts the servers that made them."""

    def find(block: bytes) -> Findings:
        return findings.find(block, canary.authserv_ids)

    return find


def _diagnostic(notice: notices.Notification, recipient: notices.Recipient | None) -> str:
    """What the refusing server said, with its codes in front where its words leave them out."""
    if recipient is None:
        return notice.subject
    words = recipient.diagnostic or notice.subject
    codes = [str(code) for code in (recipient.code, recipient.status) if code and str(code) not in words]
    return " ".join([*codes, words])
