"""How Graph says no: "Microsoft Graph error responses and resource types", and answers that users have published."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse

JSON_TYPE = "application/json"


class GraphError(Exception):
    """The request is answered by an error."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    def answer(self, request: Request) -> JSONResponse:
        """Return the answer."""
        ids = request_ids(request)
        inner = {"date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}", **ids}
        body = {"error": {"code": self.code, "message": self.message, "innerError": inner}}
        return JSONResponse(body, self.status, dict(self.headers), JSON_TYPE)


def request_ids(request: Request) -> dict[str, str]:
    """Return the name of a request, ours and the client's own, for support."""
    if not hasattr(request.state, "request_id"):
        request.state.request_id = str(uuid.uuid4())
    ours: str = request.state.request_id
    return {"request-id": ours, "client-request-id": request.headers.get("client-request-id", ours)[:100]}


def bad_request(message: str, code: str = "BadRequest") -> GraphError:
    """The request makes no sense."""
    return GraphError(400, code, message)


def malformed_id() -> GraphError:
    """No id looks like this."""
    return GraphError(400, "ErrorInvalidIdMalformed", "Id is malformed.")


def not_found() -> GraphError:
    """There is no such thing, or no longer."""
    return GraphError(404, "ErrorItemNotFound", "The specified object was not found in the store.")


def access_denied() -> GraphError:
    """The role or the permission on the mailbox is missing; Graph does not say which."""
    return GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")


def token_invalid(message: str) -> GraphError:
    """The token is missing or no good."""
    challenge = (
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
        'client_id="00000003-0000-0000-c000-000000000000"'
    )
    return GraphError(401, "InvalidAuthenticationToken", message, {"www-authenticate": challenge})


def sync_state_lost() -> GraphError:
    """The delta token is too old."""
    return GraphError(410, "SyncStateNotFound", "The sync state generation is not found; a full sync is needed.")
