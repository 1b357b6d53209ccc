"""The token that whatever changes something demands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from agent.web.guard import bears
from agent.web.limits import client_of
from agent.web.login import Failures
from checks.errors import LocalFault

_log = structlog.get_logger("web")


@dataclass(frozen=True, slots=True)
class Bearer:
    """Reads the token of ``web.token`` anew for each request; without one, nothing is changed over HTTP."""

    token: Callable[[], str] | None
    failures: Failures

    async def refusal(self, request: Request, doing: str, instead: str = "") -> Response | None:
        """Answer what is wrong with a request for *doing* something; None if it bears the token."""
        if self.token is None:
            return PlainTextResponse(f"{doing} is off: set web.token{instead}\n", 403)
        try:
            token = await asyncio.to_thread(self.token)
        except LocalFault as fault:
            _log.error("web.token_unreadable", why=str(fault))
            return PlainTextResponse("the agent cannot read web.token: its log says why\n", 503)
        if (refusal := self.failures.refusal(request.scope)) is not None:
            return refusal
        if not bears(shown := request.headers.get("authorization", ""), token):
            if shown:
                self.failures.suspect(request.scope)
                _log.warning("web.token_refused", client=client_of(request.scope))
            challenge = {"WWW-Authenticate": 'Bearer realm="relaycanary"'}
            return PlainTextResponse("this demands the token of web.token\n", 401, challenge)
        return None
