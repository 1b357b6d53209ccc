"""The application: which request is answered by whom, and what every answer carries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from checks.lab.faults import FaultBoard
from checks.lab.graph.batch import batch
from checks.lab.graph.changing import Changing
from checks.lab.graph.delta import Delta
from checks.lab.graph.errors import GraphError, bad_request, request_ids
from checks.lab.graph.gate import CHANGE, READ, READ_ALL, SEND, Call, Gate
from checks.lab.graph.reading import Reading
from checks.lab.graph.sending import Sending
from checks.lab.post import PostOffice
from checks.lab.store import MailStore

_DIAGNOSTIC = (
    '{"ServerInfo":{"DataCenter":"West Europe","Slice":"E","Ring":"5","ScaleUnit":"002","RoleInstance":"LAB"}}'
)
_Handler = Callable[[Call], Awaitable[Response]]


def microsoft_graph(gate: Gate, store: MailStore, office: PostOffice, faults: FaultBoard) -> ASGIApp:
    """Return the application."""
    reading = Reading(store)
    changing = Changing(reading)
    user, folder = "/v1.0/users/{user}", "/v1.0/users/{user}/mailFolders/{folder}"

    def route(path: str, roles: frozenset[str], handler: _Handler, method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            async with gate.admit(request, roles) as call:
                answer = await handler(call)
                if call.immutable:
                    answer.headers["preference-applied"] = 'IdType="ImmutableId"'
                return answer

        return Route(path, endpoint, methods=[method])

    delta = Delta(faults)
    routes = [
        route(f"{user}/sendMail", SEND, Sending(faults, office).send, "POST"),
        route(f"{user}/mailFolders", READ, reading.folders),
        route(folder, READ, reading.folder),
        route(f"{folder}/childFolders", READ, reading.folders),
        route(f"{folder}/messages/delta", READ, delta.messages),
        route(f"{folder}/messages/delta()", READ, delta.messages),
        route(f"{folder}/messages/microsoft.graph.delta()", READ, delta.messages),
    ]
    for base in (user, folder):
        message = f"{base}/messages/{{message}}"
        routes += [
            route(f"{base}/messages", READ, reading.messages),
            route(f"{message}/$value", READ_ALL, reading.mime),
            route(message, READ, reading.message),
            route(message, CHANGE, changing.delete, "DELETE"),
            route(message, CHANGE, changing.update, "PATCH"),
            route(f"{message}/move", CHANGE, changing.move, "POST"),
            route(f"{message}/copy", CHANGE, changing.copy, "POST"),
            route(f"{message}/permanentDelete", CHANGE, changing.permanent_delete, "POST"),
        ]

    async def batched(request: Request) -> Response:
        return await batch(request, enveloped)

    routes.append(Route("/v1.0/$batch", batched, methods=["POST"]))
    app = Starlette(routes=routes, exception_handlers={GraphError: _refuse, HTTPException: _no_such_resource})
    enveloped = _Envelope(app)
    return enveloped


class _Envelope:
    """Adds to every answer what support asks for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ids = request_ids(Request(scope))

        async def addressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(ids)
                headers["x-ms-ags-diagnostic"] = _DIAGNOSTIC
                headers["strict-transport-security"] = "max-age=31536000"
                headers.setdefault("cache-control", "private")
            await send(message)

        await self._app(scope, receive, addressed)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, GraphError)  # noqa: S101  what it is registered for
    return error.answer(request)


async def _no_such_resource(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    segment = request.url.path.rpartition("/")[2][:60]
    if status == 405:  # noqa: PLR2004  Method Not Allowed
        return GraphError(405, "Request_BadRequest", f"{request.method} is not allowed here.").answer(request)
    return bad_request(f"Resource not found for the segment '{segment}'.").answer(request)
