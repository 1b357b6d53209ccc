"""Looking into a folder, reading messages as evidence, and deleting our own, over Graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

from checks.core.graph_mail import SELECTED, Page, Row, read_page, read_row, recognisable
from checks.core.http import http_date
from checks.core.message import HEADER
from checks.core.model import MessageRef, RawMessage
from checks.core.roles import Use
from checks.errors import MailboxUnreadable
from checks.ports import Look
from checks.wire.graph.batch import ask_all
from checks.wire.graph.client import GraphAnswer, GraphClient, GraphRequest
from checks.wire.graph.unreadable import ask, refusal

VALIDITY = "immutable"
"""What stands for IMAP's UIDVALIDITY in references: immutable ids hold as long as the message is in the mailbox."""

_PAGE = 50
_SMALLEST_PAGE = 5
_CLOCKS = timedelta(hours=1)  # how far the service's clock may be behind ours: the filter holds for all later rounds
_FURTHEST = timedelta(days=36_525)  # that a clock is believed to be off; more leads to years that no filter can have
_GATEWAY_TIMEOUT = 504
_GONE = frozenset({404, 410})
_VOID = frozenset({400, 404, 410})
_DELETED = frozenset({200, 202, 204})
_NO_ACTION = frozenset({400, 404, 405, 501})
_ITEM_GONE = "ErrorItemNotFound"
_MARK = f"\n{HEADER}:".casefold().encode()


@dataclass(slots=True)
class GraphReading:
    """The requests of one reader. `page` is how many messages are asked for at a time: fewer after a 504."""

    client: GraphClient
    now: Callable[[], datetime]
    page: int = _PAGE
    # Evidence of canaries comes with the page that shows them; it is asked for right after, and not kept for long.
    _blocks: dict[MessageRef, bytes] = field(default_factory=dict)

    async def look(self, folder: str, cursor: str | None, since: datetime, *, by: datetime, sent: bool) -> Look:
        """Return one page of what is new after *cursor*, a link of Graph's; without one, of what came since *since*.

        *by* is what our clock said when *since* was reckoned. A cursor that Graph does not know any more begins anew.
        In Sent Items (*sent*) messages have no header, as they never were on their way.
        """
        aim = f"look into {folder}"
        answer = await self._page(self._link(cursor), aim) if self._link(cursor) else None
        if answer is None or answer.status in _VOID:
            answer = await self._begin(folder, since, by, aim)
        if not answer.well:
            raise refusal(self.client, answer, aim, Use.GRAPH_READ, self.now)
        found = read_page(answer.document)
        if found is None or self._link(found.again or found.following) is None:
            raise MailboxUnreadable("protocol", f"could not {aim}: the answer is no page of messages")
        rows = await self._completed(found, aim, sent=sent)
        self._blocks = {
            _ref(folder, row): row.header for row in rows if row.header and _MARK in b"\n" + row.header.lower()
        }
        messages = [_raw(folder, row) for row in rows]
        return Look(messages=messages, cursor=found.again or found.following or "", complete=found.again is not None)

    async def headers(self, refs: Sequence[MessageRef]) -> Mapping[MessageRef, bytes]:
        """Fetch whole header blocks, or what stands in for them; those that are gone are left out."""
        known = {ref: self._blocks.pop(ref) for ref in refs if ref in self._blocks}
        missing = [ref for ref in refs if ref not in known]
        rows = await self._rows([ref.uid for ref in missing], "read headers")
        return known | {ref: rows[ref.uid].block() for ref in missing if ref.uid in rows}

    async def content(self, ref: MessageRef, limit: int) -> bytes | None:
        """Fetch the first *limit* bytes of a message; None if it is gone."""
        request = GraphRequest(method="GET", url=f"{self._message(ref.uid)}/$value", most=limit, cut=True)
        answer = await ask(self.client, request, "read a message")
        if answer.status in _GONE:
            return None
        if not answer.well:
            raise refusal(self.client, answer, "read a message", Use.GRAPH_READ, self.now)
        return answer.body

    async def delete(self, refs: Sequence[MessageRef]) -> Sequence[MessageRef]:
        """Delete exactly these messages for good; return those that are gone."""
        urls = [f"{self._message(ref.uid)}/permanentDelete" for ref in refs]
        requests = [GraphRequest(method="POST", url=url) for url in urls]
        answers = await ask_all(self.client, requests, "delete messages")
        gone: list[MessageRef] = []
        failed: GraphAnswer | None = None
        for ref, first in zip(refs, answers, strict=True):
            answer = await self._recycle(ref) if _unknown_action(first) else first
            if answer.status in _DELETED or answer.status in _GONE:
                gone.append(ref)
            else:
                failed = answer
        if failed is not None and not gone:
            raise refusal(self.client, failed, "delete messages", Use.GRAPH_DELETE, self.now)
        return gone

    async def _recycle(self, ref: MessageRef) -> GraphAnswer:
        """Delete where there is no permanentDelete (national clouds): to Deleted Items, and once more from there."""
        request = GraphRequest(method="DELETE", url=self._message(ref.uid))
        answer = await ask(self.client, request, "delete messages")
        return await ask(self.client, request, "delete messages") if answer.status in _DELETED else answer

    async def _begin(self, folder: str, since: datetime, by: datetime, aim: str) -> GraphAnswer:
        """Ask for what came since *since*, by the service's clock where ours was ahead of it, as before NTP sets it.

        A filter in the future would hide all mail, and holds for as long as the tokens that come of it. What our clock
        says now tells nothing about *since*: it may have been set while the answer was awaited.
        """
        answer = await self._page(self._first(folder, since), aim)
        theirs = http_date(answer.headers.get("date", ""))
        ahead = timedelta(0) if theirs is None else max(by, since) - theirs
        if not answer.well or ahead <= _CLOCKS:
            return answer
        return await self._page(self._first(folder, since - min(ahead, _FURTHEST)), aim)

    async def _page(self, url: str | None, aim: str) -> GraphAnswer:
        request = GraphRequest(method="GET", url=url or "", prefer=(f"odata.maxpagesize={self.page}",))
        answer = await ask(self.client, request, aim)
        if answer.status == _GATEWAY_TIMEOUT:
            self.page = max(_SMALLEST_PAGE, self.page // 2)
        elif answer.well:
            self.page = min(_PAGE, self.page + 1)
        return answer

    async def _completed(self, page: Page, aim: str, *, sent: bool) -> list[Row]:
        """Fetch what a page does not say of its messages: one that was only changed comes without its header."""
        rows = [row for row in page.rows if not row.removed]
        bare = [row.id for row in rows if not row.whole or (row.header is None and not sent)]
        fetched = await self._rows(bare, aim)
        asked = set(bare)
        return [fetched.get(row.id, row) for row in rows if row.id in fetched or row.id not in asked]

    async def _rows(self, ids: Sequence[str], aim: str) -> dict[str, Row]:
        if not ids:
            return {}
        select = f"?$select={','.join(SELECTED)}"
        requests = [GraphRequest(method="GET", url=f"{self._message(one)}{select}") for one in ids]
        found: dict[str, Row] = {}
        for name, answer in zip(ids, await ask_all(self.client, requests, aim), strict=True):
            row = read_row({**answer.document, "id": name}) if answer.well else None
            if row is not None:
                found[name] = row
            elif answer.status not in _GONE:
                raise refusal(self.client, answer, aim, Use.GRAPH_READ, self.now)
        return found

    def _first(self, folder: str, since: datetime) -> str:
        begin = f"{since.astimezone(UTC) - _CLOCKS:%Y-%m-%dT%H:%M:%SZ}"
        query = {"$select": ",".join(SELECTED), "$filter": f"receivedDateTime ge {begin}"}
        target = self.client.target
        return f"{target.user}/mailFolders/{quote(folder, safe='')}/messages/delta?{urlencode(query, quote_via=quote)}"

    def _link(self, link: str | None) -> str | None:
        """Return a link if it leads to this Graph: a token goes to no other host."""
        return link if link is not None and link.startswith(f"{self.client.target.service.url}/") else None

    def _message(self, name: str) -> str:
        return f"{self.client.target.user}/messages/{quote(name, safe='')}"


def _ref(folder: str, row: Row) -> MessageRef:
    return MessageRef(folder=folder, validity=VALIDITY, uid=row.id)


def _raw(folder: str, row: Row) -> RawMessage:
    return RawMessage(
        ref=_ref(folder, row), headers=recognisable(row.block()), stored=row.received, bare=row.header is None
    )


def _unknown_action(answer: GraphAnswer) -> bool:
    return answer.status in _NO_ACTION and _ITEM_GONE not in answer.codes
