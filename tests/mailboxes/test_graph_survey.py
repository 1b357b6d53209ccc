"""Looking around in a mailbox over Graph: folders, the clock, and what stands in the way."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

import pytest
from support.credential import HandCredential
from support.graph import ADDRESS, USER, Mailbox, error
from support.https import HOST, Response, ScriptedHttps

from agent.clock import SystemClock
from checks.errors import MailboxUnreadable
from checks.mailboxes.graph import Graph
from checks.ports import GraphService, Tools

pytestmark = pytest.mark.anyio

DATE = "Thu, 26 Nov 2026 03:00:00 GMT"


@pytest.fixture
async def survey(authority, ca_file):
    """Look around in a mailbox that answers as told."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    answers = Mailbox()
    server = ScriptedHttps(context, answers)
    await server.start()
    hand = HandCredential(graph=GraphService(server.url, ca_file))
    answers.token = lambda: hand.token
    settings = Graph.Settings.model_validate({"credential": "app", "address": ADDRESS, "timeout": "5s"})
    reader = Graph("test", settings, Tools(clock=SystemClock(), credentials={"app": hand}))

    async def go(answer):
        answers.override = answer
        found = await reader.survey()
        return found, [(one.method, one.path) for one in server.requests]

    yield go
    await reader.close()
    await server.stop()


async def test_the_watched_folders_are_asked_for_and_nothing_else(survey):
    def there(_):
        return Response(body={"id": "x", "displayName": "Posteingang"}, headers={"Date": DATE})

    found, requests = await survey(there)

    assert [one.name for one in found.folders] == ["Posteingang", "Posteingang"]
    assert found.unopened == {}
    assert found.time.theirs == datetime(2026, 11, 26, 3, tzinfo=UTC)
    assert requests == [("GET", f"{USER}/mailFolders/inbox"), ("GET", f"{USER}/mailFolders/junkemail")]


async def test_a_folder_that_is_not_there_is_told_beside_those_that_are(survey):
    def one_is_missing(request):
        if "junkemail" in request.path:
            return error(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        return Response(body={"id": "x", "displayName": "Inbox"})

    found, _ = await survey(one_is_missing)

    assert [one.name for one in found.folders] == ["Inbox"]
    assert list(found.unopened) == ["junkemail"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (error(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again."), "login"),
        (error(404, "ErrorInvalidUser", "The requested user is invalid."), "login"),
        (error(429, "ApplicationThrottled", "Too many.", Retry_After="7"), "throttled"),
        (error(503, "serviceNotAvailable"), "throttled"),
        (Response(fault="close"), "closed"),
    ],
)
async def test_a_mailbox_that_may_not_be_read_is_unreadable(answer, reason, survey):
    with pytest.raises(MailboxUnreadable) as failed:
        await survey(lambda _: answer)

    assert failed.value.reason == reason


@pytest.mark.parametrize("date", ["yesterday", "", "Thu, 99 Nov 2026 03:00:00 GMT"])
async def test_a_date_that_is_none_tells_no_time(date, survey):
    found, _ = await survey(lambda _: Response(body={"displayName": "Inbox"}, headers={"Date": date}))

    assert found.time is None
