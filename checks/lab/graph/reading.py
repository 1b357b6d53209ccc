"""Folders and messages, as they lie there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from checks.lab.graph.errors import malformed_id, not_found
from checks.lab.graph.gate import Call
from checks.lab.graph.ids import ROOT, MessageId, folder_id, read_folder, read_message_id
from checks.lab.graph.items import Item, resource
from checks.lab.graph.query import PAGE, Query, read_query
from checks.lab.imap_folders import DurableFolder
from checks.lab.store import MailStore, Place
from checks.lab.tenant import FOLDERS, INBOX

ODATA_JSON = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
_SEEN = "\\Seen"


class Reading:
    """The requests that change nothing."""

    def __init__(self, store: MailStore) -> None:
        self._store = store

    async def folders(self, call: Call) -> Response:
        """List the folders; the root holds them all, and they hold no others."""
        parent = call.request.path_params.get("folder")
        inside = parent is None or _folder_name(call, str(parent)) == ROOT
        query = read_query({"$top": str(PAGE), **_paging(call)})
        shown = [_folder(call, name) for name in FOLDERS] if inside else []
        return answer(call, "mailFolders", _page(call, shown, query), count=len(shown))

    async def folder(self, call: Call) -> Response:
        """Show one folder."""
        return odata({"@odata.context": context(call, "mailFolders/$entity"), **_folder(call, _folder_name(call))})

    async def messages(self, call: Call) -> Response:
        """List messages of a folder, or of all."""
        query = read_query({**({"$top": str(call.page_size)} if call.page_size else {}), **call.request.query_params})
        found = query.sorted([item for item in self._items(call) if query.keep(item)])
        shown = [resource(item, query.select) for item in found[query.skip : query.skip + query.top]]
        page: dict[str, Any] = {"value": shown}
        if len(found) > query.skip + query.top:
            page["@odata.nextLink"] = link(call, {"$top": str(query.top), "$skip": str(query.skip + query.top)})
        return answer(call, "messages", page, count=len(found))

    async def message(self, call: Call) -> Response:
        """Show one message."""
        query = read_query(call.request.query_params)
        item = self.find(call)
        return odata({"@odata.context": context(call, "messages/$entity"), **resource(item, query.select)})

    async def mime(self, call: Call) -> Response:
        """Hand out the message as it is stored."""
        return Response(self.find(call).mail.content, media_type="text/plain")

    def find(self, call: Call) -> Item:
        """Find the message of a request, by either id.

        Raises:
            GraphError: it is not there, or not in the folder that the path names.
        """
        known = read_message_id(str(call.request.path_params["message"]), call.account.mailbox)
        where = self._locate(known, call.account.mailbox)
        within = call.request.path_params.get("folder")
        if where is None or (within is not None and _folder_name(call, str(within)) not in {where[0].folder, ROOT}):
            raise not_found()
        place, uid = where
        mail = self._store.folders[place].mails.get(uid)
        if mail is None:
            raise not_found()
        return Item(place, uid, mail, call.immutable)

    def _locate(self, known: MessageId | None, mailbox: str) -> tuple[Place, int] | None:
        if known is None:
            return None
        return self._store.find(mailbox, known.ident) if known.place is None else (known.place, known.uid)

    def _items(self, call: Call) -> Iterator[Item]:
        within = call.request.path_params.get("folder")
        names = FOLDERS if within is None else [folder_of(call).place.folder]
        for name in names:
            place = Place(call.account.mailbox, name)
            for uid, mail in self._store.folders[place].mails.items():
                yield Item(place, uid, mail, call.immutable)


def folder_of(call: Call, name: str | None = None) -> DurableFolder:
    """Return the folder that the path names, or *name*.

    Raises:
        GraphError: there is none.
    """
    folder = _folder_name(call, name)
    if folder == ROOT:
        raise malformed_id()  # the root holds no messages
    return call.folders.by_place[Place(call.account.mailbox, folder)]


def _folder_name(call: Call, name: str | None = None) -> str:
    text = str(call.request.path_params["folder"]) if name is None else name
    folder = read_folder(text, call.account.mailbox)
    if folder is None:
        raise not_found()
    return folder


def _folder(call: Call, name: str) -> dict[str, Any]:
    mailbox = call.account.mailbox
    if name == ROOT:
        total, unread, children = 0, 0, len(FOLDERS)
    else:
        mails = call.folders.by_place[Place(mailbox, name)].mails
        total, unread, children = len(mails), sum(_SEEN not in mail.flags for mail in mails.values()), 0
    return {
        "id": folder_id(mailbox, name),
        "displayName": {ROOT: "Top of Information Store", INBOX: "Inbox"}.get(name, name),
        "parentFolderId": folder_id(mailbox, ROOT),
        "childFolderCount": children,
        "unreadItemCount": unread,
        "totalItemCount": total,
        "isHidden": False,
    }


def _paging(call: Call) -> dict[str, str]:
    return {name: value for name, value in call.request.query_params.items() if name in {"$top", "$skip"}}


def _page(call: Call, shown: list[dict[str, Any]], query: Query) -> dict[str, Any]:
    page: dict[str, Any] = {"value": shown[query.skip : query.skip + query.top]}
    if len(shown) > query.skip + query.top:
        page["@odata.nextLink"] = link(call, {"$top": str(query.top), "$skip": str(query.skip + query.top)})
    return page


def context(call: Call, what: str) -> str:
    """Return the URL of the metadata."""
    return f"{_base(call)}/v1.0/$metadata#users('{call.account.user_id}')/{what}"


def link(call: Call, changes: Mapping[str, str], *, keep: bool = True) -> str:
    """Return the URL of the request with other options."""
    options = {**(call.request.query_params if keep else {}), **changes}
    return f"{_base(call)}{call.request.url.path}?{urlencode(options)}"


def _base(call: Call) -> str:
    return f"https://{call.request.url.netloc}"


def answer(call: Call, what: str, page: Mapping[str, Any], *, count: int | None = None) -> Response:
    """Return a collection."""
    body = {"@odata.context": context(call, what), **page}
    if count is not None and call.request.query_params.get("$count") == "true":
        body["@odata.count"] = count
    return odata(body)


def odata(body: Mapping[str, Any], status: int = 200) -> Response:
    """Return JSON as OData has it."""
    return JSONResponse(body, status, media_type=ODATA_JSON)
