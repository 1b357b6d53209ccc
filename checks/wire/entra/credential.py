"""The credential of an app registration: one token for each resource, kept, and renewed ahead of its end."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from checks.core.http import LONGEST_WISH
from checks.core.model import Cause
from checks.errors import LocalFault, TokenRefused
from checks.ports import Clock, CredentialFacts, GraphService, Login
from checks.wire.entra.proof import Proof, Shown
from checks.wire.entra.request import Issued, Question, ask
from checks.wire.threads import in_own_thread
from checks.wire.tls import TlsClient

RESULTS = ("ok", "refused", "throttled", "unavailable")
"""What can come of a token request: a token, a refusal (4xx), a wish to be left alone (429), no answer or 5xx."""

_AHEAD = 600.0  # a token is renewed so many seconds before it ends, but not before 4/5 of its life
_SHARE = 0.2
_SHORTEST = 1.0  # seconds that a token must last yet to be handed out
_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 60.0
_THROTTLED = 429
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Which app, in which tenant, of which cloud.

    `authority` and `graph_url` are where to ask, base URLs; `graph` and `outlook` the resources that tokens are for, by
    the names that the cloud has for them. `ca_file` are the CAs to trust at both instead of the system's.
    """

    tenant: str
    client_id: str
    authority: str
    graph_url: str
    graph: str
    outlook: str
    ca_file: Path | None = None

    def scope(self, audience: str) -> str:
        """Name the scope of a token for *audience*; client credentials take a resource with /.default only."""
        return f"{self.graph if audience == 'graph' else self.outlook}/.default"


@dataclass(frozen=True, slots=True)
class _Token:
    issued: Issued
    renew_at: float
    ends_at: float


@dataclass(slots=True)
class _Slot:
    """What there is for one scope: the token, the request under way, and the last failure and until when it holds."""

    token: _Token | None = None
    asking: asyncio.Future[Issued | None] | None = None
    failure: TokenRefused | LocalFault | None = None
    failed_with: Shown | None = None
    failed_at: float = 0.0
    again_at: float = 0.0
    pause: float = 0.0


class EntraApp:
    """An app registration as a credential.

    Its tokens open many mailboxes, so a login has no user name: whoever logs in says which mailbox is meant.
    """

    bearer = True

    def __init__(self, name: str, registration: Registration, proof: Proof, clock: Clock) -> None:
        self._name = name
        self._registration = registration
        self._proof = proof
        self._clock = clock
        self._tls = TlsClient(registration.ca_file)
        self._slots: dict[str, _Slot] = {}
        self._requests: Counter[str] = Counter(dict.fromkeys(RESULTS, 0))

    def __repr__(self) -> str:
        """Name the app only."""
        return f"EntraApp({self._name!r}, client_id={self._registration.client_id!r})"

    @property
    def graph(self) -> GraphService:
        """Where Graph is."""
        return GraphService(self._registration.graph_url, self._registration.ca_file)

    async def login(self, audience: str) -> Login:
        """Return a token for *audience*: the one there is, else a new one.

        One that nears its end is renewed in the background, so that nobody waits, and an identity provider that is
        down for some minutes harms nobody. After a failure nothing is asked for a while, unless the secret or
        certificate has changed; the failure is told again.

        Raises:
            TokenRefused: there is none to be had.
            LocalFault: the secret or certificate cannot be read, or this machine cannot connect.
        """
        scope = self._registration.scope(audience)
        slot = self._slots.setdefault(scope, _Slot())
        token, now = slot.token, self._clock.steady()
        if token is None or now >= token.ends_at - _SHORTEST:
            issued = await self._obtain(slot, scope)
        else:
            issued = token.issued
            if now >= token.renew_at and now >= slot.again_at:
                slot.asking = self._request_of(slot, scope)
        return Login("", issued.value, bearer=True, roles=issued.roles)

    def reject(self, login: Login) -> None:
        """Forget the token of *login*, which a server did not take: the next one is new."""
        for slot in self._slots.values():
            if slot.token is not None and slot.token.issued.value == login.secret:
                slot.token = None

    def facts(self) -> CredentialFacts:
        """Tell when secret or certificate end, and what came of the token requests."""
        return CredentialFacts(not_after=self._proof.not_after(), ends=True, token_requests=dict(self._requests))

    async def _obtain(self, slot: _Slot, scope: str) -> Issued:
        now = self._clock.steady()
        if now < slot.again_at and isinstance(slot.failure, TokenRefused) and self._same_proof(slot):
            raise _again(slot.failure, now - slot.failed_at)
        slot.asking = self._request_of(slot, scope)
        issued = await asyncio.shield(slot.asking)
        if issued is None:
            raise slot.failure or LocalFault(f"no token was asked for with the credential {self._name}")
        return issued

    def _same_proof(self, slot: _Slot) -> bool:
        try:
            return self._proof.read() == slot.failed_with
        except LocalFault:
            return False

    def _request_of(self, slot: _Slot, scope: str) -> asyncio.Future[Issued | None]:
        """Return the request that is under way, or start one."""
        under_way = slot.asking is not None and not slot.asking.done()
        return slot.asking if under_way and slot.asking else asyncio.ensure_future(self._request(slot, scope))

    async def _request(self, slot: _Slot, scope: str) -> Issued | None:
        """Make one request, and keep what came of it in *slot*: None, and why, if there is no token."""
        proof: Shown | None = None
        try:
            proof = await asyncio.to_thread(self._proof.read)
            context = await self._tls.context()
            question = Question(
                client_id=self._registration.client_id,
                authority=f"{self._registration.authority}/{self._registration.tenant}",
                scope=scope,
                proof=proof,
            )
            began = self._clock.steady()
            issued = await in_own_thread(ask, question, context, self._clock.steady, self._clock.now())
        except TokenRefused as refused:
            self._requests[_result(refused)] += 1
            self._failed(slot, refused, proof)
        except LocalFault as fault:
            slot.failure, slot.again_at = fault, 0.0
        else:
            self._requests["ok"] += 1
            ahead = min(_AHEAD, issued.lifetime * _SHARE)
            slot.token = _Token(issued, began + issued.lifetime - ahead, began + issued.lifetime)
            slot.failure, slot.pause, slot.again_at = None, 0.0, 0.0
            return issued
        return None

    def _failed(self, slot: _Slot, refused: TokenRefused, proof: Shown | None) -> None:
        slot.pause = min(_LONGEST_PAUSE, max(_FIRST_PAUSE, slot.pause * 2))
        wish = min(refused.retry_after or 0.0, LONGEST_WISH)
        slot.failure, slot.failed_with, slot.failed_at = refused, proof, self._clock.steady()
        slot.again_at = slot.failed_at + max(slot.pause, wish)


def _result(refused: TokenRefused) -> str:
    if refused.cause is not Cause.REPLY or refused.reply is None or refused.reply.code >= _SERVER_ERROR:
        return "unavailable"
    return "throttled" if refused.reply.code == _THROTTLED else "refused"


def _again(failure: TokenRefused, age: float) -> TokenRefused:
    """Tell a failure again that is *age* seconds old; nothing was connected to this time."""
    note = f"asked {age:.0f} s ago"
    detail = f"{failure.detail} ({note})" if failure.detail else note
    return TokenRefused(failure.cause, failure.endpoint, reply=failure.reply, detail=detail)
