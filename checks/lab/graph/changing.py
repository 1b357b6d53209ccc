"""Messages moved, marked and deleted: what is done here shows over IMAP, and the other way round."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from checks.lab.graph.errors import GraphError, bad_request, not_found
from checks.lab.graph.gate import Call
from checks.lab.graph.items import Item, resource
from checks.lab.graph.reading import Reading, context, folder_of, odata
from checks.lab.imap_folders import DurableFolder
from checks.lab.store import Place
from checks.lab.tenant import DELETED

BODY_LIMIT = 4 * 1024 * 1024
"""Bytes of a request."""
_CHANGEABLE = {"isRead"}


class Changing:
    """The requests that change a message."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def delete(self, call: Call) -> Response:
        """Move a message to Deleted Items; from there it goes for good."""
        item = self._reading.find(call)
        if item.place.folder == DELETED:
            await _folder(call, item).delete([item.uid])
        else:
            await _folder(call, item).move(item.uid, _folder(call, item, DELETED))
        return Response(status_code=204)

    async def permanent_delete(self, call: Call) -> Response:
        """Remove a message for good."""
        item = self._reading.find(call)
        await _folder(call, item).delete([item.uid])
        return Response(status_code=204)

    async def move(self, call: Call) -> Response:
        """Move a message; its ordinary id changes."""
        return await self._transfer(call, copy=False)

    async def copy(self, call: Call) -> Response:
        """Copy a message."""
        return await self._transfer(call, copy=True)

    async def update(self, call: Call) -> Response:
        """Mark a message as read or unread; the lab changes nothing else."""
        item = self._reading.find(call)
        body = await json_body(call.request)
        if not body or set(body) - _CHANGEABLE or not isinstance(body["isRead"], bool):
            raise bad_request("Of a message, the lab changes isRead only.", "ErrorInvalidPropertySet")
        await _folder(call, item).set_read(item.uid, read=body["isRead"])
        return self._shown(call, item.place, item.uid, 200)

    async def _transfer(self, call: Call, *, copy: bool) -> Response:
        item = self._reading.find(call)
        body = await json_body(call.request)
        wanted = next((value for name, value in body.items() if name.lower() == "destinationid"), None)
        if not isinstance(wanted, str):
            raise bad_request("The request names no destinationId.", "ErrorInvalidRequest")
        target = folder_of(call, wanted)
        source = _folder(call, item)
        uid = await (source.copy(item.uid, target) if copy else source.move(item.uid, target))
        if uid is None:
            raise not_found()
        return self._shown(call, target.place, uid, 201)

    def _shown(self, call: Call, place: Place, uid: int, status: int) -> Response:
        mail = call.folders.by_place[place].mails.get(uid)
        if mail is None:
            raise not_found()
        body = resource(Item(place, uid, mail, call.immutable), None)
        return odata({"@odata.context": context(call, "messages/$entity"), **body}, status)


def _folder(call: Call, item: Item, name: str | None = None) -> DurableFolder:
    return call.folders.by_place[Place(item.place.mailbox, name or item.place.folder)]


async def body_of(request: Request) -> bytes:
    """Read the body of a request.

    Raises:
        GraphError: it is too long.
    """
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > BODY_LIMIT:
            raise GraphError(413, "ErrorMessageSizeExceeded", "The maximum request length is exceeded.")
    return bytes(data)


async def json_body(request: Request) -> dict[str, Any]:
    """Read the body of a request as a JSON object.

    Raises:
        GraphError: it is too long, or no such thing.
    """
    try:
        body = json.loads(await body_of(request))
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise bad_request("Unable to read JSON request payload.")
    return body
