"""Microsoft Graph sendMail: as an application sends that speaks no SMTP."""

from __future__ import annotations

from collections.abc import Sequence

from checks.core.graph_mail import send_mail
from checks.core.model import Accepted, Cause, Certificate, Protocol, Refused, Stage
from checks.core.reply import clean_text
from checks.core.roles import Use, doubt
from checks.errors import TokenRefused
from checks.ports import Endpoint, Login, Tools
from checks.settings import Address, Duration, Section, Text
from checks.wire.graph import GraphAnswer, GraphClient, GraphRequest, NoAnswer, graph_target
from checks.wire.handover import Handover, HandoverEnded
from checks.wire.smtp_settings import Timeouts

_DENIED = frozenset({401, 403})
_ERROR = 400
_TOKEN_LIMIT = 30.0
_ROOM_LIMIT = 60.0  # no part of the hand-over; our reader of the same mailbox may be waiting for slow answers


class GraphSendSettings(Section):
    """Who sends, and with which app."""

    credential: Text
    """The app, one of `credentials`, of kind `entra`; it also says where Graph is. Example: `app`"""
    sender: Address
    """The address canaries are sent from. Example: `canary@contoso.com`"""
    mailbox: Address | None = None
    """Whose sendMail is asked, where that is not the sender: one that has another address, or SendAs for it.

    Example: `shared@contoso.com`
    """
    timeout: Duration = 60.0
    """How long Graph may take to answer. Example: `30s`"""
    bounces: Text | None = None
    """The mailbox where bounces of this path land, one of `mailboxes`. Example: `noreply`"""


class GraphSend:
    """Hands messages over by ``POST /users/{mailbox}/sendMail``.

    In JSON, because only that form can say ``saveToSentItems: false``. Each message has a connection of its own, so
    that every canary tests name, connection and TLS too. Source: Microsoft Graph, "user: sendMail".
    """

    Settings = GraphSendSettings
    credential_kinds = ("entra",)

    def __init__(self, name: str, settings: GraphSendSettings, tools: Tools) -> None:
        mailbox = settings.mailbox or settings.sender
        self._target = graph_target(f"path {name}", settings.credential, mailbox, tools)
        self._client = GraphClient(self._target, settings.timeout, fresh=True)
        self._settings = settings
        self._clock = tools.clock
        self._observe = tools.observe

    def endpoint(self) -> Endpoint:
        """Tell where it connects to."""
        return self._target.endpoint()

    def certificates(self) -> Sequence[tuple[str, Certificate]]:
        """List no certificate: what proves the app is its credential's."""
        return []

    async def send(self, sender: str, recipient: str, message: bytes) -> Accepted | Refused:
        """Hand *message* over for one recipient; whatever Graph or Entra say or do is a value.

        Raises:
            LocalFault: we could not try; nothing was handed over.
        """
        where = self.endpoint()
        record = Handover(self._clock, Timeouts(), f"{where.host}:{where.port}", self._observe)
        try:
            login = await self._token(record)
            async with self._client.place(limit=_ROOM_LIMIT):
                record.begin(keep={Stage.TOKEN})
                answer = await self._request(record, login, send_mail(message, sender, recipient))
        except HandoverEnded as end:
            end.protocol = Protocol.ENTRA if end.stage is Stage.TOKEN else Protocol.GRAPH
            return record.refused(end)
        return record.accepted(answer.reply)

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def _token(self, record: Handover) -> Login:
        async with record.timed(Stage.TOKEN, _TOKEN_LIMIT):
            try:
                login = await self._target.credential.login("graph")
            except TokenRefused as refused:
                raise record.no_token(refused) from refused
        record.conceal([login.secret.encode()])
        return login

    async def _request(self, record: Handover, login: Login, body: object) -> GraphAnswer:
        def tell(sent: bool) -> None:
            record.sent = sent

        request = GraphRequest(method="POST", url=f"{self._target.user}/sendMail", content=body)
        record.we(f"POST {request.url}")
        # The client has the same limit for each try; here it is one for both, and a second for what is around them.
        async with record.timed(Stage.REQUEST, self._settings.timeout + 1):
            try:
                answer = await self._client.ask_in_place(request, login, tell=tell)
            except TokenRefused as refused:  # there was no second token, after Graph had turned the first away
                record.sent = False
                raise record.no_token(refused) from refused
            except NoAnswer as failed:
                record.connected = failed.failure.connected
                raise HandoverEnded(Stage.REQUEST, failed.failure.cause, failed.failure.detail) from None
            return self._understood(record, answer)

    def _understood(self, record: Handover, answer: GraphAnswer) -> GraphAnswer:
        record.connected = True
        record.tls = answer.tls
        reply = answer.reply
        record.they(str(reply).encode())
        if request_id := answer.headers.get("request-id"):
            record.remark(f"request-id {clean_text(request_id, 100)}")  # Microsoft's support asks for it
        if answer.well:
            return answer
        if answer.status < _ERROR:
            raise HandoverEnded(Stage.REQUEST, Cause.GARBAGE, f"the answer makes no sense here: {reply}"[:400])
        lacking = ""
        if answer.status in _DENIED and answer.login is not None:
            self._target.credential.reject(answer.login)
            lacking = doubt(answer.login.roles, Use.GRAPH_SEND)
        raise HandoverEnded(Stage.REQUEST, Cause.REPLY, lacking, reply)
