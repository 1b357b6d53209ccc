"""Reading a mailbox over Graph: what is shown, what is not, and what becomes of an answer that is none."""

from __future__ import annotations

import asyncio
import logging
import ssl
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from support.credential import HandCredential
from support.graph import ADDRESS, USER, Mailbox, Message, error
from support.https import HOST, Response, ScriptedHttps

from agent.clock import SystemClock
from checks.core.model import Cause, MessageRef, Reply
from checks.errors import LocalFault, MailboxUnreadable, TokenRefused
from checks.mailboxes.graph import Graph
from checks.ports import GraphService, Tools
from checks.wire.credentials import Password
from checks.wire.graph import GraphRequest

pytestmark = pytest.mark.anyio

SINCE = datetime(2026, 11, 18, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
CANARY = [("X-Relaycanary", "rc1.x"), ("Subject", "Mail flow canary"), ("To", ADDRESS), ("Received", "from a by b")]
OTHER = [("Subject", "lunch"), ("To", "you@contoso.example"), ("X-Private", "yes")]


@pytest.fixture
def graph_tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    return context


@pytest.fixture
async def mailbox(graph_tls):
    answers = Mailbox()
    server = ScriptedHttps(graph_tls, answers)
    await server.start()
    answers.url, answers.server = server.url, server
    yield answers
    await server.stop()


@pytest.fixture
async def reader_of(mailbox, ca_file):
    """Make readers of the mailbox; the credential of one is its `hand`."""
    async with AsyncExitStack() as stack:

        def make(clock=None, **changes):
            hand = HandCredential(graph=GraphService(mailbox.url, ca_file))
            mailbox.token = lambda: hand.token
            settings = {"credential": "app", "address": ADDRESS, "timeout": "5s", **changes}
            tools = Tools(clock=clock or SystemClock(), credentials={"app": hand})
            made = Graph("test", Graph.Settings.model_validate(settings), tools)
            made.hand = hand
            stack.push_async_callback(made.close)
            return made

        yield make


@pytest.fixture
def reader(reader_of):
    """A reader of the mailbox as it is by default."""
    return reader_of()


async def looks(reader, folder="inbox", cursor=None):
    """Look until the look is complete; return the ids of each page, and the last cursor."""
    pages, complete = [], False
    while not complete:
        look = await reader.look(folder, cursor, since=SINCE)
        pages.append([found.ref.uid for found in look.messages])
        cursor, complete = look.cursor, look.complete
    return pages, cursor


async def failure(awaitable):
    with pytest.raises(MailboxUnreadable) as caught:
        await awaitable
    return caught.value


def ref(name, folder="inbox"):
    return MessageRef(folder=folder, validity="immutable", uid=name)


# What a look shows


async def test_a_look_follows_every_link_and_is_complete_only_with_the_last(reader, mailbox):
    ids = mailbox.put(*(Message(f"m{number}", OTHER) for number in range(5)))
    mailbox.rounds["inbox"] = [[ids[:2], ids[2:4], ids[4:]], [[]], [mailbox.put(Message("later", CANARY))]]
    pages, cursor = await looks(reader)
    assert pages == [["m0", "m1"], ["m2", "m3"], ["m4"]]
    pages, cursor = await looks(reader, cursor=cursor)
    assert pages == [[]]
    pages, cursor = await looks(reader, cursor=cursor)
    assert pages == [["later"]]
    assert (await looks(reader, cursor=cursor))[0] == [[]]


async def test_the_same_cursor_shows_the_same_again(reader, mailbox):
    mailbox.rounds["inbox"] = [[[]], [mailbox.put(Message("m", OTHER))]]
    _, cursor = await looks(reader)
    assert (await looks(reader, cursor=cursor))[0] == (await looks(reader, cursor=cursor))[0] == [["m"]]


async def test_every_request_asks_for_immutable_ids_and_the_first_one_for_headers_since_a_time(reader, mailbox):
    mailbox.rounds["inbox"] = [[mailbox.put(Message("m", CANARY)), []]]
    await looks(reader)
    await reader.headers([ref("m")])
    await reader.content(ref("m"), 10)
    await reader.delete([ref("m")])
    requests = mailbox.server.requests
    assert all('IdType="ImmutableId"' in request.headers["prefer"] for request in requests)
    first, second = requests[:2]
    assert first.path == f"{USER}/mailFolders/inbox/messages/delta"
    assert "internetMessageHeaders" in first.query["$select"].split(",")
    assert first.query["$filter"] == "receivedDateTime ge 2026-11-18T11:00:00Z"
    assert "odata.maxpagesize=50" in first.headers["prefer"]
    assert list(second.query) == ["$skiptoken"]


@pytest.mark.parametrize(
    ("told", "filters"),
    [
        (timedelta(0), ["2026-11-18T11:00:00Z"]),
        (timedelta(minutes=50), ["2026-11-18T11:00:00Z"]),
        (timedelta(days=-10), ["2026-11-18T11:00:00Z"]),
        (timedelta(days=10), ["2026-11-18T11:00:00Z", "2026-11-08T11:00:00Z"]),
        (timedelta(days=300_000), ["2026-11-18T11:00:00Z", "1926-11-18T11:00:00Z"]),
        (None, ["2026-11-18T11:00:00Z"]),
    ],
)
async def test_a_clock_that_is_ahead_of_the_services_hides_no_mail(reader_of, mailbox, told, filters):
    """What the first look asks for holds for all later ones, also when our clock has been set right."""

    class Clock(SystemClock):
        def now(self):
            return NOW

    def dated(request):
        written = "yesterday" if told is None else format_datetime(NOW - told, usegmt=True)
        page = {"value": [], "@odata.deltaLink": f"{mailbox.url}{request.path}?$deltatoken=1.0"}
        return Response(body=page, headers={"Date": written})

    mailbox.override = dated
    await reader_of(Clock()).look("inbox", None, since=SINCE)
    assert [request.query["$filter"].split()[-1] for request in mailbox.server.requests] == filters


@pytest.mark.parametrize("folders", [["inbox"], ["inbox", "AAMkAD" + "O" * 40]], ids=["names", "ids"])
@pytest.mark.parametrize("cursor", [None, "?$deltatoken=forgotten"])
async def test_a_clock_that_is_set_right_while_the_first_answer_is_awaited_hides_no_mail(
    reader_of, mailbox, folders, cursor
):
    """The agent starts with the network, as NTP does. Folders' ids, and a cursor from before, are tried first."""

    class Clock(SystemClock):
        at = NOW + timedelta(days=400)

        def now(self):
            return self.at

    clock = Clock()

    def answer(request):
        clock.at = NOW
        if "forgotten" in request.query.values():
            return error(410, "SyncStateNotFound")
        page = {"id": "x", "value": [], "@odata.deltaLink": f"{mailbox.url}{request.path}?$deltatoken=1.0"}
        return Response(body=page, headers={"Date": format_datetime(NOW, usegmt=True)})

    mailbox.override = answer
    link = cursor and f"{mailbox.url}{USER}/mailFolders/inbox/messages/delta{cursor}"
    await reader_of(clock, folders=folders).look("inbox", link, since=clock.now() - timedelta(days=3))
    assert mailbox.server.requests[-1].query["$filter"] == "receivedDateTime ge 2026-11-23T11:00:00Z"


async def test_a_look_does_not_begin_after_the_services_own_time(reader_of, mailbox):
    class Clock(SystemClock):
        def now(self):
            return NOW

    page = {"value": [], "@odata.deltaLink": f"{mailbox.url}{USER}/mailFolders/inbox/messages/delta?$deltatoken=1.0"}
    mailbox.override = lambda _: Response(body=page, headers={"Date": format_datetime(NOW, usegmt=True)})
    await reader_of(Clock()).look("inbox", None, since=NOW + timedelta(days=400))
    assert mailbox.server.requests[-1].query["$filter"] == "receivedDateTime ge 2026-11-26T11:00:00Z"


async def test_of_a_message_recognition_gets_its_fields_and_nothing_more(reader, mailbox):
    mailbox.rounds["inbox"] = [[mailbox.put(Message("ours", CANARY), Message("other", OTHER))]]
    look = await reader.look("inbox", None, since=SINCE)
    assert [found.headers for found in look.messages] == [
        b"X-Relaycanary: rc1.x\r\nSubject: Mail flow canary\r\n",
        b"Subject: lunch\r\n",
    ]
    assert look.messages[0].stored == datetime(2026, 11, 26, 3, tzinfo=UTC)
    assert look.messages[0].ref == ref("ours")


async def test_what_was_removed_is_not_shown(reader, mailbox):
    mailbox.put(Message("m", OTHER))
    mailbox.rounds["inbox"] = [[[{"id": "gone", "@removed": {"reason": "deleted"}}, "m"]]]
    assert (await looks(reader))[0] == [["m"]]


async def test_a_row_without_its_header_is_completed_and_one_that_is_gone_left_out(reader, mailbox):
    mailbox.put(*(Message(f"m{number}", CANARY) for number in range(5)))
    bare = [{"id": f"m{number}", "isRead": True} for number in range(5)] + [{"id": "gone", "isRead": True}]
    mailbox.rounds["inbox"] = [[bare]]
    look = await reader.look("inbox", None, since=SINCE)
    assert [found.ref.uid for found in look.messages] == [f"m{number}" for number in range(5)]
    assert {found.headers for found in look.messages} == {b"X-Relaycanary: rc1.x\r\nSubject: Mail flow canary\r\n"}
    assert [request.path for request in mailbox.server.requests[1:]] == ["/v1.0/$batch", "/v1.0/$batch"]
    assert [len(request.json["requests"]) for request in mailbox.server.requests[1:]] == [4, 2]


async def test_a_delta_without_headers_at_all_is_completed(reader, mailbox):
    row = Message("m", CANARY).shown("internetMessageId,subject,receivedDateTime")
    mailbox.put(Message("m", CANARY))
    mailbox.rounds["inbox"] = [[[row]]]
    look = await reader.look("inbox", None, since=SINCE)
    assert look.messages[0].headers.startswith(b"X-Relaycanary: rc1.x")


async def test_a_copy_in_sent_items_has_no_header_and_is_known_by_its_subject_and_message_id(reader, mailbox):
    copy = Message("c", None, subject="Mail flow canary rc1.x", internet_id="<rc1.x@contoso.example>")
    mailbox.rounds["sentitems"] = [[mailbox.put(copy)]]
    look = await reader.look("sentitems", None, since=SINCE)
    assert look.messages[0].headers == (
        b"Message-ID: <rc1.x@contoso.example>\r\nSubject: Mail flow canary rc1.x\r\nFrom: sender@contoso.example\r\n"
    )
    assert len(mailbox.server.requests) == 1
    assert reader.is_sent("sentitems")
    assert reader.is_junk("junkemail")
    assert not reader.is_junk("inbox")
    assert not reader.is_sent("inbox")


JUNK_ID, SENT_ID, OTHER_ID = (f"AAMkAD{letter * 40}_-A=" for letter in "JSO")


async def test_the_junk_folder_is_known_by_its_id_too(reader_of, mailbox):
    ids = {f"{USER}/mailFolders/junkemail": JUNK_ID, f"{USER}/mailFolders/sentitems": SENT_ID}
    mailbox.override = lambda request: Response(body={"id": ids[request.path]}) if request.path in ids else None
    written = JUNK_ID.replace("_", "+").replace("-", "/")
    reader = reader_of(folders=["inbox", written, SENT_ID, OTHER_ID])
    for _ in range(2):
        await reader.look("inbox", None, since=SINCE)
    assert [name for name in reader.folders if reader.is_junk(name)] == [written]
    assert [name for name in reader.folders if reader.is_sent(name)] == [SENT_ID]
    assert len(mailbox.server.requests) == 4, "the ids are asked for once"


async def test_a_mailbox_without_a_junk_folder_can_be_read_by_ids(reader_of, mailbox):
    def missing(request):
        there = "messages" in request.path
        return None if there else error(404, "ErrorItemNotFound", "The specified object was not found in the store.")

    mailbox.override = missing
    reader = reader_of(folders=["inbox", OTHER_ID])
    await reader.look("inbox", None, since=SINCE)
    assert not any(map(reader.is_junk, reader.folders))


async def test_a_junk_folder_that_is_made_later_is_known_before_mail_in_it_is_taken_for_anything(reader_of, mailbox):
    junk, there = "AAMkAD" + "J" * 40, {}

    def answer(request):
        asks_for_id = request.path in {f"{USER}/mailFolders/junkemail", f"{USER}/mailFolders/sentitems"}
        if asks_for_id and request.path not in there:
            return error(404, "ErrorFolderNotFound", "The specified folder could not be found in the store.")
        return Response(body={"id": there[request.path]}) if asks_for_id else None

    mailbox.override = answer
    reader = reader_of(folders=["inbox", junk])
    mailbox.rounds[junk] = [[[]]]
    await reader.look(junk, None, since=SINCE)
    asked = len(mailbox.server.requests)
    await reader.look(junk, None, since=SINCE)
    assert len(mailbox.server.requests) == asked + 1, "while nothing lies in it nobody asks"
    there[f"{USER}/mailFolders/junkemail"] = junk
    mailbox.rounds[junk] = [[mailbox.put(Message("m", CANARY))]]
    look = await reader.look(junk, None, since=SINCE)
    assert look.messages
    assert reader.is_junk(junk)
    asked = len(mailbox.server.requests)
    await reader.look(junk, None, since=SINCE)
    assert len(mailbox.server.requests) == asked + 1, "nothing is left to ask"


@pytest.mark.parametrize(
    "answer",
    [
        error(410, "SyncStateNotFound", "The sync state generation is not found."),
        error(410, "resyncRequired"),
        error(400, "SyncStateInvalid", "Badly formed token."),
        error(404, "ErrorItemNotFound"),
    ],
)
async def test_a_cursor_that_graph_does_not_know_any_more_begins_anew(reader, mailbox, answer):
    mailbox.rounds["inbox"] = [[mailbox.put(Message("m", CANARY))]]
    _, cursor = await looks(reader)
    mailbox.override = lambda request: answer if "$deltatoken" in request.query else None
    pages, again = await looks(reader, cursor=cursor)
    assert pages == [["m"]]
    assert mailbox.server.requests[-1].query["$filter"].startswith("receivedDateTime ge ")
    assert again == cursor


@pytest.mark.parametrize("cursor", ["https://elsewhere.example/v1.0/x", "7:12", "", "https://127.0.0.1.evil.example/"])
async def test_a_cursor_of_another_place_begins_anew_and_no_token_goes_there(reader, mailbox, cursor):
    mailbox.rounds["inbox"] = [[mailbox.put(Message("m", CANARY))]]
    assert (await looks(reader, cursor=cursor))[0] == [["m"]]


async def test_a_link_to_another_host_is_not_followed(reader, mailbox):
    body = {"value": [], "@odata.nextLink": "https://elsewhere.example/v1.0/next"}
    mailbox.override = lambda _: Response(body=body)
    found = await failure(reader.look("inbox", None, since=SINCE))
    assert (found.reason, found.detail) == ("protocol", "could not look into inbox: the answer is no page of messages")


# What is no look


@pytest.mark.parametrize(
    ("answer", "reason", "wish"),
    [
        (error(429, "ApplicationThrottled", Retry_After="17"), "throttled", 17.0),
        (error(429, "TooManyRequests"), "throttled", None),
        (error(429, "ApplicationThrottled", Retry_After="Thu, 26 Nov 2099 03:00:00 GMT"), "throttled", 3600.0),
        (Response(429, "<html>slow down</html>"), "throttled", None),
        (error(503, "serviceNotAvailable", Retry_After="30"), "throttled", 30.0),
        (error(503, "serviceNotAvailable"), "throttled", None),
        (error(504, "UnknownError"), "unavailable", None),
        (error(500, "InternalServerError"), "unavailable", None),
        (error(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again."), "login", None),
        (error(404, "ErrorInvalidUser"), "login", None),
        (error(404, "MailboxNotEnabledForRESTAPI"), "login", None),
        (error(404, "ErrorFolderNotFound"), "folder", None),
        (error(400, "ErrorInvalidIdMalformed"), "protocol", None),
        (Response(302, headers={"Location": "https://elsewhere.example/"}), "protocol", None),
        (Response(body="no JSON"), "protocol", None),
        (Response(body={"value": []}), "protocol", None),
        (Response(fault="close"), "closed", None),
        (Response(body={"value": []}, fault="stop"), "closed", None),
        (Response(fault="garbage"), "protocol", None),
    ],
)
async def test_an_answer_that_is_no_page_leaves_the_mailbox_unreadable(reader, mailbox, answer, reason, wish):
    mailbox.override = lambda _: answer
    found = await failure(reader.look("inbox", None, since=SINCE))
    assert (found.reason, found.retry_after) == (reason, wish)
    assert found.detail.startswith("could not look into inbox: ")
    mailbox.override = lambda _: None
    assert (await looks(reader))[0] == [[]]


@pytest.mark.parametrize("fault", ["silence", "drip"])
async def test_an_answer_that_does_not_come_is_given_up(mailbox, ca_file, fault):
    hand = HandCredential(graph=GraphService(mailbox.url, ca_file))
    settings = Graph.Settings.model_validate({"credential": "app", "address": ADDRESS, "timeout": "300ms"})
    reader = Graph("test", settings, Tools(clock=SystemClock(), credentials={"app": hand}))
    mailbox.override = lambda _: Response(body=b" " * 1_000_000, fault=fault)
    assert (await failure(reader.look("inbox", None, since=SINCE))).reason == "timeout"
    await reader.close()


async def test_an_answer_without_end_is_not_read(reader, mailbox, monkeypatch):
    monkeypatch.setattr("checks.wire.graph.reading.GraphRequest", _small)
    mailbox.override = lambda _: Response(body=b" " * 3000)
    assert (await failure(reader.look("inbox", None, since=SINCE))).reason == "protocol"


def _small(**known):
    return replace(GraphRequest(**known), most=1000)


async def test_after_a_gateway_timeout_fewer_messages_are_asked_for_at_a_time(reader, mailbox):
    mailbox.override = lambda _: error(504, "UnknownError")
    for _ in range(5):
        await failure(reader.look("inbox", None, since=SINCE))
    mailbox.override = lambda _: None
    await looks(reader)
    await looks(reader)
    sizes = [request.headers["prefer"].rpartition("=")[2] for request in mailbox.server.requests]
    assert sizes == ["50", "25", "12", "6", "5", "5", "6"]


async def test_where_nobody_listens_there_is_no_connection(reader, mailbox):
    await mailbox.server.stop()
    found = await failure(reader.look("inbox", None, since=SINCE))
    assert found.reason == "connect"
    assert "no TCP connection to 127.0.0.1: Connection refused" in found.detail


async def test_a_certificate_that_is_not_trusted_is_a_failure_of_tls(mailbox):
    hand = HandCredential(graph=GraphService(mailbox.url))
    settings = Graph.Settings.model_validate({"credential": "app", "address": ADDRESS})
    reader = Graph("test", settings, Tools(clock=SystemClock(), credentials={"app": hand}))
    assert (await failure(reader.look("inbox", None, since=SINCE))).reason == "tls"
    await reader.close()


# Tokens


async def test_a_token_that_ends_in_the_middle_of_a_look_is_replaced_and_the_look_goes_on(reader, mailbox):
    ids = mailbox.put(Message("m0", OTHER), Message("m1", CANARY))
    mailbox.rounds["inbox"] = [[ids[:1], ids[1:]]]
    first = await reader.look("inbox", None, since=SINCE)
    mailbox.token = lambda: "handed-out-token-2"
    second = await reader.look("inbox", first.cursor, since=SINCE)
    assert [found.ref.uid for found in second.messages] == ["m1"]
    assert reader.hand.rejected == ["handed-out-token-1"]


async def test_a_token_that_is_never_taken_is_tried_twice_and_told(reader, mailbox):
    mailbox.token = lambda: "another"
    found = await failure(reader.look("inbox", None, since=SINCE))
    assert found.reason == "login"
    assert "401 InvalidAuthenticationToken Access token has expired" in found.detail
    assert len(mailbox.server.requests) == 2


@pytest.mark.parametrize(
    ("roles", "lacking"),
    [(frozenset({"Mail.Send"}), "the token has no role Mail.Read or Mail.ReadWrite"), (frozenset({"Mail.Read"}), "")],
)
async def test_an_access_that_is_denied_names_the_role_and_the_fix(reader, mailbox, roles, lacking):
    reader.hand.roles = roles
    mailbox.override = lambda _: error(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
    found = await failure(reader.look("inbox", None, since=SINCE))
    assert lacking in found.detail
    assert ("the token has no role" in found.detail) is bool(lacking)
    assert "Test-ServicePrincipalAuthorization" in found.detail
    assert reader.hand.rejected == ["handed-out-token-1"]


async def test_without_a_token_the_mailbox_is_unreadable_and_graph_is_not_asked(reader, mailbox):
    reply = Reply(code=401, enhanced="AADSTS7000215", text="Invalid client secret provided.")
    reader.hand.failure = TokenRefused(Cause.REPLY, "login.example:443", reply=reply, retry_after=5.0)
    found = await failure(reader.look("inbox", None, since=SINCE))
    assert (found.reason, found.retry_after) == ("token", 5.0)
    assert "AADSTS7000215 Invalid client secret provided." in found.detail
    assert mailbox.server.requests == []


async def test_no_token_shows_in_a_repr_a_log_or_an_error(reader, mailbox, caplog):
    caplog.set_level(logging.DEBUG)
    await looks(reader)
    mailbox.override = lambda request: error(403, "ErrorAccessDenied", f"you sent {request.headers['authorization']}")
    told = [repr(reader._client), repr(reader._reading), repr(vars(reader))]
    found = await failure(reader.look("inbox", None, since=SINCE))
    told += [found.detail, repr(found), caplog.text]
    assert not [text for text in told if "handed-out-token" in text]


# Evidence and bounces


async def test_evidence_that_the_page_brought_is_not_asked_for_again(reader, mailbox):
    mailbox.rounds["inbox"] = [[mailbox.put(Message("ours", CANARY), Message("other", OTHER))]]
    await looks(reader)
    found = await reader.headers([ref("ours")])
    assert found[ref("ours")].count(b"\r\n") == len(CANARY)
    assert len(mailbox.server.requests) == 1
    await reader.headers([ref("ours")])  # later it is: a message may be verified only by a fresh look
    assert len(mailbox.server.requests) == 2


async def test_headers_of_many_messages_come_in_batches_and_those_that_are_gone_are_left_out(reader, mailbox):
    mailbox.put(*(Message(f"m{number}", CANARY) for number in range(9)))
    refs = [ref(f"m{number}") for number in range(10)]
    assert list(await reader.headers(refs)) == refs[:9]
    assert [request.path for request in mailbox.server.requests] == ["/v1.0/$batch"] * 3


@pytest.mark.parametrize("header", [None, [], [("not a name", "x")]])
async def test_a_message_that_is_shown_without_its_header_says_so(reader, mailbox, header):
    mailbox.rounds["inbox"] = [[mailbox.put(Message("bare", header), Message("whole", CANARY))]]
    look = await reader.look("inbox", None, since=SINCE)
    assert [(found.ref.uid, found.bare) for found in look.messages] == [("bare", True), ("whole", False)]


@pytest.mark.parametrize("folder", ["inbox", "sentitems", SENT_ID])
async def test_what_has_no_header_can_be_proven_wherever_it_lies(reader, mailbox, folder):
    """The folder may have been watched by its id once; what nobody can prove the cleaner would take for gone."""
    mailbox.put(Message("c", None, subject="Mail flow canary rc1.x", internet_id="<rc1.x@contoso.example>"))
    assert await reader.headers([ref("c", folder)]) == {
        ref("c", folder): b"Message-ID: <rc1.x@contoso.example>\r\nSubject: Mail flow canary rc1.x\r\n"
        b"From: sender@contoso.example\r\n"
    }


async def test_a_batch_that_is_throttled_in_part_is_told(reader, mailbox):
    mailbox.put(*(Message(f"m{number}", CANARY) for number in range(3)))
    slow = error(429, "ApplicationThrottled", "Application is over its MailboxConcurrency limit.", Retry_After="3")
    mailbox.override = lambda request: slow if request.path.endswith("/m1") else None
    found = await failure(reader.headers([ref(f"m{number}") for number in range(3)]))
    assert (found.reason, found.retry_after) == ("throttled", 3.0)


@pytest.mark.parametrize(
    "body", [{}, {"responses": 5}, {"responses": [{"id": "0", "status": 200}, None, {"id": 1, "status": "x"}]}]
)
async def test_a_batch_with_answers_missing_is_told(reader, mailbox, body):
    mailbox.override = lambda _: Response(body=body)
    assert (await failure(reader.headers([ref("a"), ref("b")]))).reason == "protocol"


async def test_no_more_than_four_requests_are_under_way_for_one_app_and_mailbox(reader, mailbox):
    mailbox.put(*(Message(f"m{number}", CANARY) for number in range(12)))
    settings = Graph.Settings.model_validate({"credential": "app", "address": ADDRESS.title()})
    other = Graph("other", settings, Tools(clock=SystemClock(), credentials={"app": reader.hand}))
    mailbox.server.gate = asyncio.Event()
    asking = [asyncio.ensure_future(one.content(ref(f"m{n}"), 9)) for n in range(6) for one in (reader, other)]
    asking.append(asyncio.ensure_future(reader.headers([ref(f"m{number}") for number in range(4)])))
    while mailbox.server.at_once < 4:
        await asyncio.sleep(0.001)
    mailbox.server.gate.set()
    await asyncio.gather(*asking)
    assert mailbox.server.most_at_once == 4
    await other.close()


async def test_a_message_is_read_up_to_a_limit(reader, mailbox):
    mailbox.put(Message("bounce", OTHER, mime=b"Subject: x\r\n\r\n" + b"y" * 100_000))
    assert await reader.content(ref("bounce"), 20) == b"Subject: x\r\n\r\nyyyyyy"
    assert len(await reader.content(ref("bounce"), 1_000_000)) == 100_014
    assert await reader.content(ref("gone"), 20) is None


# Deleting


async def test_messages_are_deleted_for_good_and_those_gone_before_count(reader, mailbox):
    mailbox.put(Message("a", CANARY), Message("b", CANARY), Message("others", OTHER))
    refs = [ref("a"), ref("gone"), ref("b")]
    assert list(await reader.delete(refs)) == refs
    assert list(mailbox.messages) == ["others"]
    assert {one["url"].rpartition("/")[2] for one in mailbox.server.requests[0].json["requests"]} == {"permanentDelete"}


async def test_without_permanent_deletion_a_message_goes_to_deleted_items_and_then_for_good(reader, mailbox):
    mailbox.permanent = False
    mailbox.put(Message("a", CANARY), Message("others", OTHER))
    assert list(await reader.delete([ref("a")])) == [ref("a")]
    assert mailbox.deleted == ["a", "a"]
    assert list(mailbox.messages) == ["others"]


async def test_what_may_not_be_deleted_stays_and_the_role_is_named(reader, mailbox):
    reader.hand.roles = frozenset({"Mail.Read"})
    mailbox.put(Message("a", CANARY))
    mailbox.override = lambda _: error(403, "ErrorAccessDenied", "Access is denied.")
    found = await failure(reader.delete([ref("a")]))
    assert found.reason == "login"
    assert "the token has no role Mail.ReadWrite" in found.detail
    assert list(mailbox.messages) == ["a"]


async def test_of_several_those_that_are_gone_are_told_although_another_failed(reader, mailbox):
    mailbox.put(Message("a", CANARY), Message("b", CANARY))
    mailbox.override = lambda request: error(503, "busy") if "/b/" in request.path else None
    assert list(await reader.delete([ref("a"), ref("b")])) == [ref("a")]


# Waiting, and what it is made of


async def test_a_wait_ends_with_a_wake_even_one_from_before(reader):
    reader.wake()
    assert await reader.wait(60.0) is False
    waiting = asyncio.ensure_future(reader.wait(60.0))
    await asyncio.sleep(0)
    reader.wake()
    assert await waiting is False
    assert await reader.wait(0.001) is False


def test_it_says_where_it_connects_to_and_how_often_it_looks():
    hand = HandCredential(graph=GraphService("https://graph.microsoft.com"))
    settings = Graph.Settings.model_validate({"credential": "app", "address": ADDRESS, "poll": "10s"})
    reader = Graph("test", settings, Tools(clock=SystemClock(), credentials={"app": hand}))
    assert (reader.endpoint().host, reader.endpoint().port, reader.poll) == ("graph.microsoft.com", 443, 10.0)
    assert list(reader.folders) == ["inbox", "junkemail"]


def test_a_credential_that_is_no_apps_cannot_read_over_graph():
    settings = Graph.Settings.model_validate({"credential": "app", "address": ADDRESS})
    tools = Tools(clock=SystemClock(), credentials={"app": Password("a", lambda: "b")})
    with pytest.raises(LocalFault, match="the credential app cannot be used with Graph: it must be of kind entra"):
        Graph("inbox", settings, tools)
    with pytest.raises(LocalFault, match="there is no credential 'app'"):
        Graph("inbox", settings, Tools(clock=SystemClock(), credentials={}))


@pytest.mark.parametrize(
    ("name", "words"),
    [("Junk Email", "did you mean 'junkemail'?"), ("Posteingang", "use an id, or a well-known name"), ("a/b", "")],
)
def test_a_folder_is_a_well_known_name_or_an_id(name, words):
    with pytest.raises(ValueError, match="is not a folder of Graph") as caught:
        Graph.Settings.model_validate({"credential": "app", "address": ADDRESS, "folders": [name]})
    assert words in str(caught.value)
    known = Graph.Settings.model_validate({"credential": "a", "address": ADDRESS, "folders": ["Inbox", "A" * 64]})
    assert known.folders == ("inbox", "A" * 64)
