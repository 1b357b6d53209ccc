"""Sending over Graph: what is asked, and what each way to fail amounts to."""

from __future__ import annotations

import asyncio
import logging
import ssl

import pytest
import trustme
from support.credential import HandCredential
from support.graph import ADDRESS, USER, Mailbox, error
from support.https import HOST, Response, ScriptedHttps

from agent.clock import SystemClock
from checks.core.model import Accepted, Cause, Outcome, Protocol, Refused, Reply, Stage
from checks.core.refusal import in_doubt, outcome_of, reasons_of
from checks.errors import LocalFault, TokenRefused
from checks.knowledge import diagnose_refusal
from checks.paths import graph_send
from checks.paths.graph_send import GraphSend
from checks.ports import GraphService, Tools
from checks.wire.credentials import Password
from checks.wire.graph.places import AT_ONCE, places_of

pytestmark = pytest.mark.anyio

RECIPIENT = "inbox@outside.example"
CANARY = (
    b"From: <canary@contoso.example>\r\nTo: <inbox@outside.example>\r\nSubject: Mail flow canary rc1.x\r\n"
    b"Message-ID: <rc1.x@contoso.example>\r\nX-Relaycanary: rc1.x\r\nAuto-Submitted: auto-generated\r\n"
    b"X-Auto-Response-Suppress: All\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nHello,\r\nthere.\r\n"
)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
async def graph(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    answers = Mailbox()
    server = ScriptedHttps(context, answers)
    await server.start()
    answers.url, answers.server = server.url, server
    yield answers
    await server.stop()


@pytest.fixture
def path_to(graph, ca_file):
    """Make the path; its credential is `path.hand`, the stages that were told of are `path.stages`."""

    def make(*, trusted=ca_file, failure=None, roles=None, **settings):
        hand = HandCredential(graph=GraphService(graph.url, trusted), failure=failure, roles=roles)
        graph.token = lambda: hand.token
        known = {"credential": "app", "sender": ADDRESS, "timeout": "5s", **settings}
        stages = []
        tools = Tools(
            clock=SystemClock(), credentials={"app": hand}, observe=lambda timing, _: stages.append(timing.stage)
        )
        path = GraphSend("test", GraphSend.Settings.model_validate(known), tools)
        path.hand, path.stages = hand, stages
        return path

    return make


async def send(path):
    return await path.send(ADDRESS, RECIPIENT, CANARY)


async def test_a_message_is_handed_over_without_a_copy_in_sent_items(graph, path_to):
    path = path_to()
    attempt = await send(path)
    assert isinstance(attempt, Accepted)
    assert str(attempt.reply) == "202 Accepted"
    (body,) = graph.outbox
    assert body["saveToSentItems"] is False
    assert body["message"]["internetMessageHeaders"][0] == {"name": "X-Relaycanary", "value": "rc1.x"}
    assert body["message"]["subject"] == "Mail flow canary rc1.x"
    assert body["message"]["body"] == {"contentType": "text", "content": "Hello,\r\nthere.\r\n"}
    (request,) = graph.server.requests
    assert (request.path, request.headers["content-type"]) == (f"{USER}/sendMail", "application/json")
    assert [timing.stage for timing in attempt.transcript.stages] == path.stages == [Stage.TOKEN, Stage.REQUEST]
    assert attempt.transcript.endpoint == f"{HOST}:{graph.server.port}"
    assert attempt.transcript.tls.version == "TLSv1.3"
    assert attempt.transcript.tls.chain[0].names == (HOST,)
    assert "request-id 55-66" in [line.text for line in attempt.transcript.dialogue]


async def test_each_canary_has_a_connection_of_its_own(graph, path_to):
    path = path_to()
    for _ in range(2):
        assert isinstance(await send(path), Accepted)
        assert graph.server.connections == len(graph.outbox)
    await path.close()


async def test_a_sender_that_has_no_mailbox_is_sent_from_the_one_that_has(graph, path_to):
    path = path_to(sender="alias@contoso.example", mailbox=ADDRESS)
    assert isinstance(await path.send("alias@contoso.example", RECIPIENT, CANARY), Accepted)
    assert graph.outbox[0]["message"]["from"] == {"emailAddress": {"address": "alias@contoso.example"}}


async def test_the_time_for_a_token_is_told_and_no_part_of_the_hand_over(path_to, monkeypatch):
    path, clock, granted = path_to(), SystemClock(), []
    login = path.hand.login

    async def granting(audience):
        shown = await login(audience)
        granted.append(clock.steady())
        return shown

    monkeypatch.setattr(path.hand, "login", granting)
    attempt = await send(path)
    assert attempt.transcript.began_at >= granted[-1]
    assert [timing.stage for timing in attempt.transcript.stages] == [Stage.TOKEN, Stage.REQUEST]


async def test_waiting_for_requests_of_our_own_is_no_part_of_the_hand_over(graph, path_to):
    path, clock = path_to(), SystemClock()
    places = places_of(path.hand, ADDRESS)
    async with places.taken(AT_ONCE):  # as a batch of the reader of the same mailbox
        sending = asyncio.ensure_future(send(path))
        while not places._waiting:
            await asyncio.sleep(0.001)
        assert graph.server.requests == []
        made_room = clock.steady()
    attempt = await sending
    assert isinstance(attempt, Accepted)
    assert attempt.transcript.began_at >= made_room
    took = {timing.stage: timing.seconds for timing in attempt.transcript.stages}
    assert took[Stage.REQUEST] <= attempt.transcript.ended_at - attempt.transcript.began_at


async def test_where_requests_of_our_own_leave_no_room_it_is_our_fault(graph, path_to, monkeypatch):
    monkeypatch.setattr(graph_send, "_ROOM_LIMIT", 0.05)
    path = path_to()
    async with places_of(path.hand, ADDRESS).taken(1):
        assert isinstance(await send(path), Accepted)
        async with places_of(path.hand, ADDRESS).taken(AT_ONCE - 1):
            with pytest.raises(LocalFault, match=r"Graph was not asked: .* this agent's own requests for canary@"):
                await send(path)
    assert len(graph.server.requests) == 1
    assert isinstance(await send(path), Accepted)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (error(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again."), Outcome.AUTH_FAILED),
        (error(403, "ErrorSendAsDenied"), Outcome.AUTH_FAILED),
        (error(401, "InvalidAuthenticationToken"), Outcome.AUTH_FAILED),
        (error(429, "ApplicationThrottled", Retry_After="17"), Outcome.DEFERRED),
        (error(500, "InternalServerError"), Outcome.DEFERRED),
        (error(503, "serviceNotAvailable"), Outcome.DEFERRED),
        (error(504, "UnknownError"), Outcome.DEFERRED),
        (error(400, "ErrorInvalidRecipients"), Outcome.REJECTED),
        (error(404, "ErrorInvalidUser"), Outcome.REJECTED),
        (error(413, "ErrorMessageSizeExceeded"), Outcome.REJECTED),
        (Response(403, "<html>proxy</html>"), Outcome.AUTH_FAILED),
    ],
)
async def test_what_graph_says_is_a_refusal_with_its_code(graph, path_to, answer, outcome):
    graph.override = lambda _: answer
    refused = await send(path_to())
    assert isinstance(refused, Refused)
    assert (refused.stage, refused.cause, refused.protocol) == (Stage.REQUEST, Cause.REPLY, Protocol.GRAPH)
    assert refused.reply.code == answer.status
    assert not in_doubt(refused)
    assert outcome_of(refused, online=True) is outcome
    assert diagnose_refusal(refused, method="graph_send") is not None


async def test_a_token_that_is_not_taken_is_replaced_once_and_the_message_sent_once(graph, path_to):
    path = path_to()
    graph.token = lambda: "handed-out-token-2"
    assert isinstance(await send(path), Accepted)
    assert path.hand.rejected == ["handed-out-token-1"]
    assert len(graph.outbox) == 1


async def test_a_token_that_is_not_taken_and_cannot_be_replaced_is_a_refusal_and_no_doubt(graph, path_to):
    path = path_to()

    def turn_away(_):
        path.hand.failure = TokenRefused(Cause.CONNECT, "login.example:443", detail="no TCP connection")
        return error(401, "InvalidAuthenticationToken")

    graph.override = turn_away
    refused = await send(path)
    assert (refused.stage, refused.protocol, refused.sent) == (Stage.TOKEN, Protocol.ENTRA, False)
    assert outcome_of(refused, online=True) is Outcome.DEFERRED


@pytest.mark.parametrize(("roles", "named"), [(frozenset({"Mail.ReadWrite"}), True), (frozenset({"Mail.Send"}), False)])
async def test_an_access_that_is_denied_names_the_role_that_the_token_lacks(graph, path_to, roles, named):
    graph.override = lambda _: error(403, "ErrorAccessDenied", "Access is denied.")
    path = path_to(roles=roles)
    refused = await send(path)
    assert ("the token has no role Mail.Send" in " ".join(reasons_of(refused))) is named
    assert path.hand.rejected == ["handed-out-token-1"]


@pytest.mark.parametrize(
    ("fault", "cause"),
    [("close", Cause.DROPPED), ("garbage", Cause.GARBAGE), ("silence", Cause.TIMEOUT), ("drip", Cause.TIMEOUT)],
)
async def test_without_an_answer_to_a_message_that_has_left_us_it_is_in_doubt(graph, path_to, fault, cause):
    graph.override = lambda _: Response(body=b" " * 1000, fault=fault)
    refused = await send(path_to(timeout="300ms"))
    assert (refused.stage, refused.cause, refused.sent) == (Stage.REQUEST, cause, True)
    assert outcome_of(refused, online=True) is Outcome.INDETERMINATE


async def test_an_answer_that_makes_no_sense_leaves_it_in_doubt(graph, path_to):
    graph.override = lambda _: Response(302, headers={"Location": "https://elsewhere.example/"})
    refused = await send(path_to())
    assert (refused.cause, outcome_of(refused, online=True)) == (Cause.GARBAGE, Outcome.INDETERMINATE)


async def test_where_nobody_listens_graph_is_unreachable_or_we_are_offline(graph, path_to):
    path = path_to()
    await graph.server.stop()
    refused = await send(path)
    assert (refused.cause, refused.sent, refused.transcript.connected) == (Cause.CONNECT, False, False)
    assert outcome_of(refused, online=True) is Outcome.UNREACHABLE
    assert outcome_of(refused, online=False) is Outcome.LOCAL_FAULT


async def test_a_certificate_that_is_not_trusted_is_a_failure_of_tls(graph, path_to):
    refused = await send(path_to(trusted=None))
    assert (refused.cause, outcome_of(refused, online=True)) == (Cause.TLS, Outcome.TLS_FAILED)
    assert graph.server.requests == []


async def test_without_a_token_nothing_is_sent_and_the_refusal_is_that_of_the_identity_provider(graph, path_to):
    reply = Reply(code=401, enhanced="AADSTS7000222", text="The provided client secret keys are expired.")
    failure = TokenRefused(Cause.REPLY, "login.example:443", reply=reply, connected=True)
    refused = await send(path_to(failure=failure))
    assert (refused.stage, refused.protocol, refused.reply) == (Stage.TOKEN, Protocol.ENTRA, reply)
    assert refused.transcript.endpoint == "login.example:443"
    assert outcome_of(refused, online=True) is Outcome.AUTH_FAILED
    assert diagnose_refusal(refused, method="graph_send").row == "entra-secret-expired"
    assert graph.server.requests == []


async def test_a_secret_that_cannot_be_read_is_our_own_fault(path_to):
    with pytest.raises(LocalFault, match="cannot be read"):
        await send(path_to(failure=LocalFault("the secret file cannot be read")))


async def test_a_cancelled_hand_over_closes_its_connection(graph, path_to):
    graph.server.gate = asyncio.Event()
    sending = asyncio.ensure_future(send(path_to()))
    await graph.server.asked.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    graph.server.gate.set()
    while graph.server.open_connections:
        await asyncio.sleep(0.001)


async def test_no_token_is_left_anywhere(graph, path_to, caplog):
    caplog.set_level(logging.DEBUG)
    graph.override = lambda request: error(403, "ErrorAccessDenied", f"you sent {request.headers['authorization']}")
    path = path_to()
    refused = await send(path)
    told = [repr(refused), repr(path), repr(vars(path)), caplog.text]
    assert "***" in refused.reply.text
    assert not [text for text in told if "handed-out-token" in text]


def test_a_credential_that_is_no_apps_cannot_send_over_graph():
    settings = GraphSend.Settings.model_validate({"credential": "app", "sender": ADDRESS})
    tools = Tools(clock=SystemClock(), credentials={"app": Password("a", lambda: "b")})
    with pytest.raises(LocalFault, match="path out: the credential app cannot be used with Graph"):
        GraphSend("out", settings, tools)


def test_it_says_where_it_connects_to_and_has_no_certificate_of_its_own():
    hand = HandCredential(graph=GraphService("https://graph.microsoft.us"))
    settings = GraphSend.Settings.model_validate({"credential": "app", "sender": ADDRESS})
    path = GraphSend("out", settings, Tools(clock=SystemClock(), credentials={"app": hand}))
    assert (path.endpoint().host, path.endpoint().port, path.endpoint().tls) == ("graph.microsoft.us", 443, "implicit")
    assert path.certificates() == []
