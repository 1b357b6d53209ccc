"""Who may come in: the token, its roles, the permission on the mailbox, the faults of the moment, and the limits.

Sources: "Microsoft Graph permissions reference", "Limiting application permissions to specific mailboxes", and
"Microsoft Graph service-specific throttling limits" (Outlook: four concurrent requests per app and mailbox).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from starlette.requests import Request

from checks.lab.entra import Claims, Directory, Resource, TokenAuthority, TokenRefused, Wrong
from checks.lab.faults import FaultBoard
from checks.lab.graph.errors import GraphError, access_denied, token_invalid
from checks.lab.https import cut
from checks.lab.imap_folders import DurableFolders
from checks.lab.tenant import ACCOUNTS, Account, PathName, account_of

CONCURRENT_REQUESTS = 4
"""Of one app in one mailbox."""
READ = frozenset({"Mail.ReadBasic.All", "Mail.Read", "Mail.ReadWrite"})
READ_ALL = frozenset({"Mail.Read", "Mail.ReadWrite"})
CHANGE = frozenset({"Mail.ReadWrite"})
SEND = frozenset({"Mail.Send"})
"""Any role of a set is enough."""
_BEARER = re.compile(r"Bearer\s+(\S+)\s*", re.IGNORECASE)
_SAID: Mapping[Wrong, str] = {
    Wrong.MALFORMED: "CompactToken parsing failed with error code: 80049217",
    Wrong.SIGNATURE: "Access token validation failure. Invalid signature.",
    Wrong.AUDIENCE: "Access token validation failure. Invalid audience.",
    Wrong.EXPIRED: "Lifetime validation failed, the token is expired.",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A request that has come in."""

    request: Request
    account: Account
    folders: DurableFolders
    immutable: bool
    """The client asks for immutable ids."""
    page_size: int | None
    """As the header Prefer has it."""

    def has(self, faults: FaultBoard, name: str) -> bool:
        """Tell whether a fault of the mailbox is on."""
        return faults.is_on(self.account.mailbox, name)


class Gate:
    """Lets requests in, one by one."""

    def __init__(
        self,
        directory: Directory,
        authority: TokenAuthority,
        faults: FaultBoard,
        trees: Mapping[Account, DurableFolders],
    ) -> None:
        self._directory = directory
        self._authority = authority
        self._faults = faults
        self._trees = trees
        self._under_way: Counter[tuple[str, str]] = Counter()

    @contextlib.asynccontextmanager
    async def admit(self, request: Request, roles: frozenset[str]) -> AsyncIterator[Call]:
        """Let a request in for as long as it takes.

        Args:
            request: whose path has a `user`.
            roles: of which the app needs one.

        Raises:
            GraphError: it stays out.
        """
        claims = self._claims(request)
        account = _account(str(request.path_params["user"]))
        target = PathName.GRAPH if roles is SEND else account.mailbox
        if not claims.roles & roles or not self._directory.may_use(target):
            raise access_denied()
        await self._suffer(request, target)
        place = claims.app, account.mailbox
        if self._under_way[place] >= CONCURRENT_REQUESTS:
            message = "Application is over its MailboxConcurrency limit."
            raise GraphError(429, "ApplicationThrottled", message, {"retry-after": "1"})
        self._under_way[place] += 1
        try:
            # Even without a delay the others get their turn here, so that requests at the same time are just that.
            await asyncio.sleep(self._faults.seconds(target, "graph_slow"))
            immutable, page_size = _preferences(request)
            yield Call(request, account, self._trees[account], immutable, page_size)
        finally:
            self._under_way[place] -= 1

    def _claims(self, request: Request) -> Claims:
        header = request.headers.get("authorization", "")
        token = _BEARER.fullmatch(header)
        if token is None:
            raise token_invalid("Access token is empty.")
        try:
            claims = self._authority.verify(token[1], Resource.GRAPH)
        except TokenRefused as refused:
            raise token_invalid(_SAID[refused.wrong]) from None
        if not claims.roles:
            message = "The token contains no permissions, or permissions can not be understood."
            raise GraphError(401, "NoPermissionsInAccessToken", message)
        return claims

    async def _suffer(self, request: Request, target: str) -> None:
        """Do what the faults of the target want."""
        is_on, seconds = self._faults.is_on, self._faults.seconds
        if is_on(target, "graph_silent"):
            await self._faults.outlast(target, "graph_silent")
            cut(request)
            raise GraphError(503, "serviceNotAvailable", "Nobody hears this.")
        if is_on(target, "throttled"):
            message = "Application is over its RequestRate limit."
            raise GraphError(429, "ApplicationThrottled", message, _hint(seconds(target, "throttled")))
        if is_on(target, "graph_unavailable"):
            message = "The service is temporarily unavailable. Please try again later."
            raise GraphError(503, "serviceNotAvailable", message, _hint(seconds(target, "graph_unavailable")))
        if is_on(target, "graph_gateway_timeout"):
            raise GraphError(504, "UnknownError", "The request timed out at the gateway.")


def _hint(seconds: float) -> dict[str, str]:
    return {"retry-after": f"{seconds:.0f}"} if seconds else {}


def _account(user: str) -> Account:
    account = account_of(user) or next((one for one in ACCOUNTS if one.user_id == user.lower()), None)
    if account is None or not account.hosted:
        raise GraphError(404, "ErrorInvalidUser", f"The requested user '{user[:100]}' is invalid.")
    return account


def _preferences(request: Request) -> tuple[bool, int | None]:
    """Read the header Prefer (RFC 7240), which may come several times."""
    wishes = ",".join(request.headers.getlist("prefer"))
    size = re.search(r"odata\.maxpagesize\s*=\s*(\d{1,4})", wishes, re.IGNORECASE)
    immutable = re.search(r'IdType\s*=\s*"?ImmutableId"?', wishes, re.IGNORECASE)
    return immutable is not None, max(1, int(size[1])) if size else None
