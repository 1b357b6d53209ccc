"""AUTH: the mechanism fits the credential and the server, and no secret is left anywhere."""

from __future__ import annotations

import base64
import json

import pytest

from checks.core.model import Accepted, Cause, Stage
from checks.errors import LocalFault
from checks.ports import Login
from checks.wire.credentials import BearerToken, Password
from checks.wire.sasl import choose_mechanism, encode_plain, encode_xoauth2, oauth_status

pytestmark = pytest.mark.anyio

SECRET = "correct horse battery staple"
TOKEN = "eyJ0eXAiOiJKV1QifQ.c2VjcmV0.c2lnbmF0dXJl"
USER = "noreply@tenant.example"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def submit(serve, path_to, send, ca_file):
    """Send over TLS with a credential to a server with the given answers."""

    async def go(credential, answers=None):
        server = await serve(answers)
        path = path_to(server, credentials={"c": credential}, credential="c", tls="required", ca_file=ca_file)
        return server, await send(path)

    return go


def offering(*mechanisms: str) -> bytes:
    return b"250-scripted\r\n250 AUTH " + " ".join(mechanisms).encode() + b"\r\n"


def test_xoauth2_is_encoded_as_microsoft_documents_it():
    login = Login("test@contoso.onmicrosoft.com", "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA", bearer=True)

    assert encode_xoauth2(login) == (
        "dXNlcj10ZXN0QGNvbnRvc28ub25taWNyb3NvZnQuY29tAWF1dGg9QmVhcmVyIEV3QkFBbDNCQUFVRkZwVUFvN0ozVmUwYmpMQldaV0Nj"
        "bFJDM0VvQUEBAQ=="
    )


def test_plain_is_encoded_as_rfc_4616_says():
    assert encode_plain(Login("tim", "tanstaaftanstaaf", bearer=False)) == "AHRpbQB0YW5zdGFhZnRhbnN0YWFm"


@pytest.mark.parametrize(
    ("offered", "bearer", "chosen"),
    [
        (["login", "xoauth2"], True, "xoauth2"),
        (["login", "xoauth2"], False, "login"),
        (["login", "plain"], False, "plain"),
        (["login", "plain"], True, None),
        (["xoauth2", "ntlm"], False, None),
        ([], False, None),
    ],
)
def test_the_mechanism_fits_the_credential_and_the_offer(offered, bearer, chosen):
    assert choose_mechanism(offered, bearer=bearer) == chosen


@pytest.mark.parametrize("challenge", ["", "!!!", b64("not JSON"), b64("[1]"), b64("{}"), b64("[" * 100_000)])
def test_a_challenge_without_an_oauth_error_is_not_taken_for_one(challenge):
    assert oauth_status(challenge) is None


async def test_plain_is_one_command(submit):
    server, accepted = await submit(Password(USER, lambda: SECRET), {"EHLO over TLS": offering("LOGIN", "PLAIN")})

    assert isinstance(accepted, Accepted)
    assert "AUTH PLAIN " + b64(f"\0{USER}\0{SECRET}") in server.commands


async def test_login_is_two_steps(submit):
    answers = {
        "EHLO over TLS": offering("LOGIN", "XOAUTH2"),
        "AUTH": [b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n", b"235 2.7.0 welcome\r\n"],
    }
    server, accepted = await submit(Password(USER, lambda: SECRET), answers)

    assert isinstance(accepted, Accepted)
    at = server.commands.index("AUTH LOGIN")
    assert server.commands[at + 1 : at + 3] == [b64(USER), b64(SECRET)]


async def test_a_bearer_token_is_shown_by_xoauth2(submit):
    server, accepted = await submit(BearerToken(USER, lambda: TOKEN))

    assert isinstance(accepted, Accepted)
    assert "AUTH XOAUTH2 " + b64(f"user={USER}\1auth=Bearer {TOKEN}\1\1") in server.commands
    assert [timing.stage for timing in accepted.transcript.stages][4] == "auth"


async def test_after_an_oauth_error_the_empty_line_brings_the_real_refusal(submit):
    error = b64(json.dumps({"status": "401", "schemes": "Bearer", "scope": "https://outlook.office.com/"}))
    answers = {"AUTH": [f"334 {error}\r\n".encode(), b"535 5.7.3 Authentication unsuccessful\r\n"]}
    server, refused = await submit(BearerToken(USER, lambda: TOKEN), answers)

    assert (refused.stage, refused.cause) == (Stage.AUTH, Cause.REPLY)
    assert (refused.reply.code, refused.reply.enhanced) == (535, "5.7.3")
    assert refused.reply.text.startswith("Authentication unsuccessful (OAuth: status 401, schemes Bearer")
    assert "" in server.commands


@pytest.mark.parametrize(
    ("credential", "offer", "wanted"),
    [
        (Password(USER, lambda: SECRET), offering("XOAUTH2", "NTLM"), "PLAIN or LOGIN"),
        (BearerToken(USER, lambda: TOKEN), offering("PLAIN"), "XOAUTH2"),
        (Password(USER, lambda: SECRET), b"250 scripted\r\n", "no AUTH at all"),
    ],
)
async def test_a_mechanism_that_is_not_offered_is_not_tried(credential, offer, wanted, submit):
    server, refused = await submit(credential, {"EHLO over TLS": offer})

    assert (refused.stage, refused.cause, refused.reply) == (Stage.AUTH, Cause.NOT_OFFERED, None)
    assert wanted in refused.detail
    assert not any(command.startswith("AUTH") for command in server.commands)


async def test_auth_offered_in_plain_text_only_is_not_used(submit):
    """What was offered before the handshake may be an attacker's (RFC 3207 4.2)."""
    answers = {
        "EHLO": b"250-scripted\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n",
        "EHLO over TLS": b"250 scripted\r\n",
    }
    _, refused = await submit(Password(USER, lambda: SECRET), answers)

    assert (refused.stage, refused.cause) == (Stage.AUTH, Cause.NOT_OFFERED)


@pytest.mark.parametrize("credential", [Password(USER, lambda: SECRET), BearerToken(USER, lambda: TOKEN)])
async def test_no_secret_is_in_the_result_even_if_the_server_echoes_it(credential, submit):
    async def echo(talk):
        said = talk.server.commands[-1].encode()
        talk.writer.write(
            b"535-5.7.8 bad: " + said + b"\r\n535 5.7.8 " + f"{SECRET} {TOKEN} {b64(SECRET)}\r\n".encode()
        )

    login = await credential.login("smtp")
    _, refused = await submit(credential, {"AUTH": echo})

    assert refused.reply.code == 535
    shown = repr(refused) + repr(credential) + repr(login)
    for secret in (login.secret, b64(login.secret), encode_plain(login), encode_xoauth2(login)):
        assert secret not in shown
    assert any(line.text.endswith("***") and line.who == "C" for line in refused.transcript.dialogue)


async def test_a_kept_session_keeps_its_secret_out_of_later_records(serve, path_to, send, ca_file):
    server = await serve()
    path = path_to(
        server, credentials={"c": Password(USER, lambda: SECRET)}, credential="c", tls="required", ca_file=ca_file,
        session="kept",
    )  # fmt: skip
    await send(path)
    server.answers["RCPT"] = f"550 5.1.1 your password is {SECRET}\r\n".encode()

    refused = await send(path)

    assert server.connections == 1
    assert SECRET not in repr(refused)


@pytest.mark.parametrize("secret", ["unreadable", ""])
async def test_a_secret_that_cannot_be_had_is_our_fault_before_anything_is_sent(secret, serve, path_to, send, ca_file):
    def read():
        if secret:
            raise LocalFault("cannot read /run/secrets/noreply")
        return ""

    server = await serve()
    path = path_to(server, credentials={"c": Password(USER, read)}, credential="c", tls="required", ca_file=ca_file)

    with pytest.raises(LocalFault):
        await send(path)
    assert server.connections == 0


async def test_the_secret_is_read_for_every_login_so_that_rotation_needs_no_restart():
    secrets = iter(["first", "second"])
    credential = Password(USER, lambda: next(secrets))

    assert [(await credential.login("smtp")).secret for _ in range(2)] == ["first", "second"]


async def test_a_credential_that_is_not_defined_is_named(path_to):
    with pytest.raises(LocalFault, match="no credential 'missing'; there are: other"):
        path_to(credentials={"other": Password(USER, lambda: SECRET)}, credential="missing", tls="required")
