"""The login of readers (HTTP Basic, RFC 7617), and a limit on wrong ones."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.web.guard import credentials
from agent.web.limits import Limit, client_of
from agent.web.passwords import Passwords
from checks.errors import LocalFault

_log = structlog.get_logger("web")
_WRONG_AT_ONCE, _BETWEEN_WRONG = 10, 6.0


@dataclass(frozen=True, slots=True)
class Failures:
    """Counts wrong logins and tokens by the address that they come from. `now` tells the time in seconds."""

    now: Callable[[], float]
    limit: Limit = field(default_factory=lambda: Limit(_WRONG_AT_ONCE, _BETWEEN_WRONG))

    def refusal(self, scope: Scope) -> Response | None:
        """Answer 429 to an address that was wrong too often; None if it may try."""
        wait = self.limit.wait(client_of(scope), self.now())
        return too_many("too many wrong logins from this address", wait) if wait else None

    def suspect(self, scope: Scope) -> None:
        """Count a try as wrong, before it is known: many at once must not slip through."""
        self.limit.spend(client_of(scope), self.now())

    def clear(self, scope: Scope) -> None:
        """Take it back: the try was right."""
        self.limit.give_back(client_of(scope))


class LoginCheck:
    """Demands a login of web.users for everything that is not *exempt*."""

    def __init__(self, app: ASGIApp, passwords: Passwords, failures: Failures, exempt: Callable[[Scope], bool]) -> None:
        self._app = app
        self._passwords = passwords
        self._failures = failures
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401; 429 after too many, 503 if a hash cannot be read."""
        refusal = None if self._exempt(scope) else await self._refusal(scope)
        await (refusal or self._app)(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        shown = _shown(Headers(scope=scope).get("authorization", ""))
        if shown is None:
            return _challenge()
        try:
            right = await self._passwords.remembered(*shown)
            if right is None:
                if (refusal := self._failures.refusal(scope)) is not None:
                    return refusal
                self._failures.suspect(scope)
                right = await self._passwords.right(*shown)
                if right:
                    self._failures.clear(scope)
                else:  # the name is not told: people type their password there
                    _log.warning("web.login_refused", client=client_of(scope))
        except LocalFault as fault:
            _log.error("web.users_unreadable", why=str(fault))
            return PlainTextResponse("the agent cannot read a hash of web.users: its log says why\n", 503)
        return None if right else _challenge()


def too_many(what: str, wait: float) -> Response:
    """Answer 429 (RFC 6585 4) and say after how many seconds to come again."""
    seconds = int(wait) + 1
    return PlainTextResponse(f"{what}: try again in {seconds} s\n", 429, {"Retry-After": str(seconds)})


def _challenge() -> Response:
    challenge = {"WWW-Authenticate": 'Basic realm="relaycanary", charset="UTF-8"'}
    return PlainTextResponse("this demands a login of web.users\n", 401, challenge)


def _shown(authorization: str) -> tuple[str, bytes] | None:
    """Return user name and password of a field Authorization; None where it has none."""
    try:
        shown = base64.b64decode(credentials(authorization, "basic"), validate=True)
    except binascii.Error:
        return None
    name, colon, password = shown.partition(b":")
    return (name.decode("utf-8", "replace"), password) if colon else None
