"""An app's token on IMAP: for which mailbox it is shown, what it lacks, and what becomes of there being none."""

from __future__ import annotations

import base64

import pytest
from support.credential import HandCredential

from agent.clock import SystemClock
from checks.core.model import Cause, Reply
from checks.errors import MailboxUnreadable, TokenRefused
from checks.mailboxes.imap import Imap
from checks.ports import Tools

pytestmark = pytest.mark.anyio

REFUSAL = b"NO AUTHENTICATE failed."


@pytest.fixture
async def app_reader(kit):
    """Make a reader that logs in with an app's token."""
    made = []

    def make(port, credential):
        known = {"host": "localhost", "tls": "none", "folders": ["INBOX"], "timeout": "5s"}
        settings = Imap.Settings.model_validate({**known, "port": port, "credential": "app", "address": kit.ADDRESS})
        made.append(Imap("test", settings, Tools(clock=SystemClock(), credentials={"app": credential})))
        return made[-1]

    yield make
    for reader in made:
        await reader.close()


async def failure(reader, kit):
    with pytest.raises(MailboxUnreadable) as caught:
        await reader.look("INBOX", None, since=kit.LONG_AGO)
    return caught.value


def shown(number, kit):
    text = f"user={kit.ADDRESS}\1auth=Bearer handed-out-token-{number}\1\1"
    return rb"AUTHENTICATE XOAUTH2 " + base64.b64encode(text.encode()) + rb"$"


async def test_a_token_that_is_refused_is_not_shown_again(scripted, app_reader, kit):
    async def refusing(peer):
        await peer.greet()
        await peer.answer(shown(1, kit), done=REFUSAL)

    async def taking(peer):
        await peer.greet()
        await peer.answer(shown(2, kit), b"CAPABILITY IMAP4rev1")
        await peer.open()
        await peer.answer(rb"UID SEARCH SINCE 31-Dec-2019$", b"SEARCH")
        await peer.answer(rb"UID FETCH")

    credential = HandCredential(roles=frozenset({"IMAP.AccessAsApp"}))
    reader = app_reader(await scripted(refusing, taking), credential)
    assert (await failure(reader, kit)).detail.endswith("NO AUTHENTICATE failed.")
    assert credential.rejected == ["handed-out-token-1"]
    assert (await reader.look("INBOX", None, since=kit.LONG_AGO)).complete


async def test_a_refused_login_names_the_role_that_its_token_lacks(scripted, app_reader, kit):
    async def server(peer):
        await peer.greet()
        await peer.answer(rb"AUTHENTICATE XOAUTH2", done=REFUSAL)

    error = await failure(app_reader(await scripted(server), HandCredential(roles=frozenset({"SMTP.SendAsApp"}))), kit)
    assert error.reason == "login"
    assert "NO AUTHENTICATE failed.; the token has no role IMAP.AccessAsApp" in error.detail


async def test_without_a_token_the_mailbox_is_unreadable_and_the_fix_is_told(app_reader, kit):
    reply = Reply(code=401, enhanced="AADSTS7000222", text="The provided client secret keys are expired.")
    refused = TokenRefused(Cause.REPLY, "login.example:443", reply=reply, retry_after=7.0)
    error = await failure(app_reader(1, HandCredential(failure=refused)), kit)
    assert (error.reason, error.retry_after) == ("token", 7.0)
    assert error.detail.startswith("no token from login.example:443: 401 AADSTS7000222 The provided")
    assert "Make a new client secret" in error.detail


async def test_an_identity_provider_that_does_not_answer_leaves_the_mailbox_unreadable(app_reader, kit):
    refused = TokenRefused(Cause.CONNECT, "login.example:443", detail="no TCP connection to login.example")
    error = await failure(app_reader(1, HandCredential(failure=refused)), kit)
    assert (error.reason, error.detail) == (
        "token",
        "no token from login.example:443: no TCP connection to login.example",
    )
