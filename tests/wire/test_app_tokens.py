"""An app's token on SMTP: for which mailbox it is shown, what it lacks, and what becomes of there being none."""

from __future__ import annotations

import base64

import pytest
from support.credential import HandCredential

from checks.core.model import Accepted, Cause, Outcome, Protocol, Reply, Stage
from checks.core.refusal import outcome_of, reasons_of
from checks.errors import LocalFault, TokenRefused
from checks.knowledge import diagnose_refusal

pytestmark = pytest.mark.anyio

REFUSAL = b"535 5.7.3 Authentication unsuccessful [SN2PR00CA0018.namprd00.prod.outlook.com]\r\n"
LOGON_FAILED = b"430 4.2.0 STOREDRV; mailbox logon failure; MapiExceptionLogonFailed: Unable to open the store.\r\n"
ENDPOINT = "login.example:443"
EXPIRED = Reply(code=401, enhanced="AADSTS7000222", text="The provided client secret keys are expired.")


@pytest.fixture
def submit(serve, path_to, send, ca_file):
    async def go(credential, answers=None):
        server = await serve(answers)
        path = path_to(server, credentials={"app": credential}, credential="app", tls="required", ca_file=ca_file)
        return server, await send(path)

    return go


async def test_the_token_is_shown_for_the_mailbox_of_the_sender(submit):
    credential = HandCredential()
    server, attempt = await submit(credential)
    assert isinstance(attempt, Accepted)
    shown = next(line for line in server.commands if line.startswith("AUTH XOAUTH2 ")).split(" ")[2]
    assert base64.b64decode(shown).decode() == "user=canary@tenant.example\1auth=Bearer handed-out-token-1\1\1"
    assert credential.audiences == ["smtp"]
    assert credential.rejected == []


async def test_the_token_is_shown_for_another_mailbox_where_the_sender_has_none(serve, path_to, send, ca_file):
    server = await serve()
    known = {"credential": "app", "tls": "required", "ca_file": ca_file, "mailbox": "scanner@tenant.example"}
    await send(path_to(server, credentials={"app": HandCredential()}, **known))
    shown = next(line for line in server.commands if line.startswith("AUTH XOAUTH2 ")).split(" ")[2]
    assert base64.b64decode(shown).startswith(b"user=scanner@tenant.example\1")


async def test_a_mailbox_to_show_a_token_for_needs_a_token(path_to):
    with pytest.raises(ValueError, match="there is no credential"):
        path_to(mailbox="scanner@tenant.example")


@pytest.mark.parametrize(
    ("roles", "named"),
    [
        (frozenset({"IMAP.AccessAsApp"}), True),
        (frozenset(), True),
        (frozenset({"SMTP.SendAsApp"}), False),
        (None, False),
    ],
)
async def test_a_refused_login_names_the_role_that_its_token_lacks(submit, roles, named):
    credential = HandCredential(roles=roles)
    _, refused = await submit(credential, {"AUTH": REFUSAL})
    assert outcome_of(refused, online=True) is Outcome.AUTH_FAILED
    assert ("the token has no role SMTP.SendAsApp" in refused.detail) is named
    assert (refused.detail in reasons_of(refused)) is named
    assert str(refused.reply) in reasons_of(refused)
    assert credential.rejected == ["handed-out-token-1"]


async def test_a_login_that_cannot_be_judged_now_keeps_its_token(submit):
    credential = HandCredential(roles=frozenset())
    _, refused = await submit(credential, {"AUTH": b"454 4.7.0 Temporary authentication failure\r\n"})
    assert outcome_of(refused, online=True) is Outcome.DEFERRED
    assert refused.detail == ""
    assert credential.rejected == []


async def test_a_mailbox_that_the_app_may_not_open_is_deferred_after_data_and_says_what_is_missing(submit):
    _, refused = await submit(HandCredential(), {"dot": LOGON_FAILED})
    assert (refused.stage, refused.cause, refused.sent) == (Stage.DATA, Cause.REPLY, True)
    assert outcome_of(refused, online=True) is Outcome.DEFERRED
    diagnosis = diagnose_refusal(refused, method="submission")
    assert "FullAccess is missing" in diagnosis.meaning
    assert "Add-MailboxPermission" in diagnosis.fix


@pytest.mark.parametrize(
    ("failure", "online", "outcome"),
    [
        (TokenRefused(Cause.REPLY, ENDPOINT, reply=EXPIRED, connected=True), True, Outcome.AUTH_FAILED),
        (TokenRefused(Cause.REPLY, ENDPOINT, reply=Reply(code=429, enhanced=None, text="")), True, Outcome.DEFERRED),
        (TokenRefused(Cause.REPLY, ENDPOINT, reply=Reply(code=503, enhanced=None, text="")), True, Outcome.DEFERRED),
        (TokenRefused(Cause.CONNECT, ENDPOINT, detail="no TCP connection"), True, Outcome.DEFERRED),
        (TokenRefused(Cause.CONNECT, ENDPOINT, detail="no TCP connection"), False, Outcome.LOCAL_FAULT),
        (TokenRefused(Cause.NAME, ENDPOINT, detail="could not be resolved"), True, Outcome.DEFERRED),
        (TokenRefused(Cause.NAME, ENDPOINT, detail="could not be resolved"), False, Outcome.LOCAL_FAULT),
        (TokenRefused(Cause.TIMEOUT, ENDPOINT, detail="no answer in time"), True, Outcome.DEFERRED),
        (TokenRefused(Cause.GARBAGE, ENDPOINT, detail="no token"), True, Outcome.DEFERRED),
        (TokenRefused(Cause.TLS, ENDPOINT, detail="certificate refused"), True, Outcome.TLS_FAILED),
    ],
)
async def test_without_a_token_nothing_is_sent_and_the_refusal_is_that_of_the_identity_provider(
    submit, failure, online, outcome
):
    server, refused = await submit(HandCredential(failure=failure))
    assert server.connections == 0
    assert (refused.stage, refused.protocol, refused.sent) == (Stage.TOKEN, Protocol.ENTRA, False)
    assert (refused.cause, refused.reply, refused.detail) == (failure.cause, failure.reply, failure.detail)
    assert (refused.transcript.endpoint, refused.transcript.connected) == (ENDPOINT, failure.connected)
    assert outcome_of(refused, online=online) is outcome


async def test_the_fix_for_an_expired_secret_is_that_of_the_catalogue(submit):
    _, refused = await submit(HandCredential(failure=TokenRefused(Cause.REPLY, ENDPOINT, reply=EXPIRED)))
    assert diagnose_refusal(refused, method="submission").row == "entra-secret-expired"


async def test_a_secret_that_cannot_be_read_is_our_own_fault(submit):
    with pytest.raises(LocalFault, match="cannot be read"):
        await submit(HandCredential(failure=LocalFault("the secret file cannot be read")))
