"""What is new, changed or gone in a folder since the client looked last.

A delta token is a place in the folder's order of changes; the lab keeps nothing for its clients. The first round tells
what is there when it begins; what changes while it lasts is told by the next. Tokens of an earlier run of the lab, and
those that are too far behind, are answered 410.

Source: "message: delta", "Use delta query to track changes in Microsoft Graph data".
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from starlette.responses import Response

from checks.lab.faults import FaultBoard
from checks.lab.graph.errors import GraphError, bad_request, sync_state_lost
from checks.lab.graph.gate import Call
from checks.lab.graph.ids import folder_id, message_id
from checks.lab.graph.items import Item, resource
from checks.lab.graph.query import PAGE, read_filter, read_query, read_select
from checks.lab.graph.reading import answer, folder_of, link
from checks.lab.imap_folders import DurableFolder

_KNOWN = {"$select", "$filter", "$orderby", "$top", "$deltatoken", "$skiptoken"}
_REPLAYED = 5
"""Changes that the fault delta_replays tells again."""
_AFTER_ALL = 2**62  # no UID is larger


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a client is."""

    run: str
    """Of the lab: orders of change begin anew with each."""
    folder: str
    sequence: int
    """Of the last change that was told, ..."""
    uid: int
    """... and of several with the same number, its message."""
    until: int | None
    """The number at which the first round ends; None in later ones."""
    select: str
    filter: str
    size: int

    def text(self) -> str:
        """Return the token."""
        return base64.urlsafe_b64encode(json.dumps(asdict(self)).encode()).decode().rstrip("=")


class Delta:
    """Answers delta requests."""

    def __init__(self, faults: FaultBoard) -> None:
        self._run = secrets.token_hex(4)
        self._faults = faults

    async def messages(self, call: Call) -> Response:
        """Tell the next page of changes of a folder."""
        folder = folder_of(call)
        cursor = self._cursor(call, folder)
        keep, _ = read_filter(cursor.filter)
        select = read_select(cursor.select)
        told: list[dict[str, Any]] = []
        for sequence, uid in _pending(folder, cursor):
            if len(told) == cursor.size:
                token = cursor.text()
                page = {"@odata.nextLink": link(call, {"$skiptoken": token}, keep=False), "value": told}
                return answer(call, "messages", page)
            cursor = replace(cursor, sequence=sequence, uid=uid)
            mail = folder.mails.get(uid)
            if mail is not None:
                item = Item(folder.place, uid, mail, call.immutable)
                if keep(item):
                    told.append({"@odata.type": "#microsoft.graph.message", **resource(item, select)})
            elif cursor.until is None:
                told.append(_removed(call, folder, uid))
        if cursor.until is not None:
            cursor = replace(cursor, sequence=cursor.until, uid=_AFTER_ALL, until=None)
        page = {"@odata.deltaLink": link(call, {"$deltatoken": cursor.text()}, keep=False), "value": told}
        return answer(call, "messages", page)

    def _cursor(self, call: Call, folder: DurableFolder) -> Cursor:
        options = call.request.query_params
        if odd := [name for name in options if name not in _KNOWN]:
            raise bad_request(f"The query parameter '{odd[0][:40]}' is not supported by delta.", "ErrorInvalidUrlQuery")
        folder_name = folder_id(call.account.mailbox, folder.place.folder)
        token = options.get("$deltatoken") or options.get("$skiptoken")
        if token is None:
            select, wanted = options.get("$select", ""), options.get("$filter", "")
            size = call.page_size or read_query({"$top": options.get("$top", str(PAGE))}).top
            return Cursor(self._run, folder_name, 0, 0, folder.changes.highest, select, wanted, size)
        cursor = _read(token)
        if cursor.folder != folder_name:
            raise _badly_formed()
        begun = "$deltatoken" in options
        expired = begun and call.has(self._faults, "delta_expired")
        if expired or cursor.run != self._run or cursor.sequence < folder.changes.forgotten:
            raise sync_state_lost()
        if begun and call.has(self._faults, "delta_replays"):
            told = [change for change in folder.changes.after(0) if change <= (cursor.sequence, cursor.uid)]
            sequence, uid = told[-_REPLAYED - 1] if len(told) > _REPLAYED else (0, 0)
            cursor = replace(cursor, sequence=sequence, uid=uid)
        return replace(cursor, size=call.page_size or cursor.size)


def _pending(folder: DurableFolder, cursor: Cursor) -> Iterator[tuple[int, int]]:
    for sequence, uid in folder.changes.after(cursor.sequence - 1):
        if (sequence, uid) > (cursor.sequence, cursor.uid) and (cursor.until is None or sequence <= cursor.until):
            yield sequence, uid


def _removed(call: Call, folder: DurableFolder, uid: int) -> dict[str, Any]:
    ident = folder.ident_of(uid) or ""
    gone = message_id(folder.place, uid, ident, immutable=call.immutable and bool(ident))
    return {"@odata.type": "#microsoft.graph.message", "id": gone, "@removed": {"reason": "deleted"}}


def _read(token: str) -> Cursor:
    try:
        known = json.loads(base64.urlsafe_b64decode(token + "=="))
        cursor = Cursor(**known)
        numbers = (cursor.sequence, cursor.uid, cursor.size, cursor.until or 0)
        texts = (cursor.run, cursor.folder, cursor.select, cursor.filter)
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise _badly_formed() from None
    if not all(type(one) is int for one in numbers) or not all(isinstance(one, str) for one in texts):
        raise _badly_formed()
    return cursor


def _badly_formed() -> GraphError:
    return bad_request("Badly formed token.", "SyncStateInvalid")
