"""Graph's mail endpoints by hand, in their documented shapes: delta, messages, $value, deletion, $batch, sendMail."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from support.https import Request, Response

ADDRESS = "canary@contoso.example"
USER = f"/v1.0/users/{ADDRESS}"


def error(status: int, code: str, message: str = "It was refused.", **headers: str) -> Response:
    inner = {"date": "2026-11-26T03:00:00", "request-id": "11-22", "client-request-id": "33-44"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, {"error": {"code": code, "message": message, "innerError": inner}}, named)


@dataclass
class Message:
    """One message of the mailbox. `headers` None: it never was on its way, as a copy in Sent Items."""

    id: str
    headers: list[tuple[str, str]] | None = None
    mime: bytes = b"Subject: x\r\n\r\nbody\r\n"
    subject: str = "a subject"
    internet_id: str = "<1@contoso.example>"
    received: str = "2026-11-26T03:00:00Z"

    def shown(self, select: str) -> dict[str, Any]:
        named = None if self.headers is None else [{"name": name, "value": value} for name, value in self.headers]
        known = {
            "internetMessageHeaders": named,
            "internetMessageId": self.internet_id,
            "subject": self.subject,
            "receivedDateTime": self.received,
            "from": {"emailAddress": {"name": "", "address": "sender@contoso.example"}},
        }
        wanted = {name: known[name] for name in select.split(",") if known.get(name) is not None}
        return {"@odata.etag": 'W/"1"', "id": self.id, **wanted}


@dataclass
class Mailbox:
    """Answers for one mailbox.

    `rounds` are the pages of each folder's delta, round after round; what is given as a str is a message's id, a dict
    goes as it is. `override` may answer a request before anything else does.
    """

    messages: dict[str, Message] = field(default_factory=dict)
    rounds: dict[str, list[list[list[Any]]]] = field(default_factory=dict)
    override: Callable[[Request], Response | None] = lambda _: None
    token: Callable[[], str] = lambda: "handed-out-token-1"
    url: str = ""
    selects: dict[str, str] = field(default_factory=dict)
    permanent: bool = True
    deleted: list[str] = field(default_factory=list)
    outbox: list[Any] = field(default_factory=list)

    def put(self, *messages: Message) -> list[str]:
        self.messages |= {one.id: one for one in messages}
        return [one.id for one in messages]

    def __call__(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {self.token()}":
            return error(401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid.")
        if (found := self.override(request)) is not None:
            return found
        if request.path == "/v1.0/$batch":
            return self._batch(request)
        if match := re.fullmatch(rf"{USER}/mailFolders/(\w+)/messages/delta", request.path, re.IGNORECASE):
            return self._delta(match[1], request.query)
        path = unquote(request.path)
        if match := re.fullmatch(rf"{USER}/messages/([^/]+)(/\$value|/permanentDelete)?", path, re.IGNORECASE):
            return self._message(request, match[1], match[2] or "")
        if request.path == f"{USER}/sendMail" and request.method == "POST":
            self.outbox.append(request.json)
            return Response(202, headers={"request-id": "55-66"})
        return error(400, "BadRequest", "Resource not found for the segment.")

    def _delta(self, folder: str, query: Mapping[str, str]) -> Response:
        self.selects.setdefault(folder, query.get("$select", ""))
        round_, page = (int(part) for part in query.get("$deltatoken", query.get("$skiptoken", "0.0")).split("."))
        rounds = self.rounds.setdefault(folder, [])
        pages = rounds[round_] if round_ < len(rounds) else [[]]
        base = f"{self.url}{USER}/mailFolders/{folder}/messages/delta"
        if page + 1 < len(pages):
            link = {"@odata.nextLink": f"{base}?$skiptoken={round_}.{page + 1}"}
        else:
            link = {"@odata.deltaLink": f"{base}?$deltatoken={min(round_ + 1, len(rounds))}.0"}
        select = self.selects[folder]
        rows = [self.messages[one].shown(select) if isinstance(one, str) else one for one in pages[page]]
        return Response(body={"@odata.context": "x", **link, "value": rows})

    def _message(self, request: Request, name: str, action: str) -> Response:
        if action == "/permanentDelete" and not self.permanent:
            return error(400, "BadRequest", "Resource not found for the segment 'permanentDelete'.")
        if name not in self.messages:
            return error(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        if action == "/$value":
            return Response(body=self.messages[name].mime, headers={"Content-Type": "text/plain"})
        if request.method == "GET":
            return Response(body=self.messages[name].shown(request.query.get("$select", "")))
        self.deleted.append(name)
        if action or self.deleted.count(name) > 1:
            del self.messages[name]
        return Response(204)

    def _batch(self, request: Request) -> Response:
        responses = []
        for one in reversed(request.json["requests"]):  # in any order, as the documentation says
            path, _, query = one["url"].partition("?")
            asked = dict(part.split("=", 1) for part in query.split("&") if part)
            headers = {**request.headers, **{name.lower(): value for name, value in one["headers"].items()}}
            answer = self(Request(one["method"], f"/v1.0{path}", asked, headers, b""))
            body = json.loads(answer.encoded() or b"null")
            headers = {name.title(): value for name, value in answer.headers.items()}
            responses.append({"id": one["id"], "status": answer.status, "headers": headers, "body": body})
        return Response(body={"responses": responses})
