"""An app's token: whether there is one, which roles it has, and whether the server takes it."""

from __future__ import annotations

import json

import pytest
from doctor.conftest import finding, statuses
from support.entra import CLIENT, SECRET, TENANT, Entra, refusal
from support.https import ScriptedHttps

pytestmark = pytest.mark.anyio

APP, WAY, BOX = "credential app", "path way", "mailbox box"


@pytest.fixture
async def entra(context_for):
    answers = Entra()
    server = ScriptedHttps(context_for(), answers)
    await server.start()
    answers.url = server.url
    yield answers
    await server.stop()


@pytest.fixture
def examined(entra, serve, report, ca_file, tmp_path):
    """Examine submission with a token to a server that answers as told."""
    file = tmp_path / "app-secret"
    file.write_text(SECRET)
    file.chmod(0o600)

    async def examine(answers=None, **changes):
        server = await serve({"EHLO over TLS": b"250-x\r\n250 AUTH XOAUTH2\r\n"} | (answers or {}))
        app = {
            "kind": "entra",
            "tenant": TENANT,
            "client_id": CLIENT,
            "client_secret": {"file": str(file)},
            "authority": entra.url,
            "ca_file": str(ca_file),
        }
        return await report(server.port, path={"kind": "submission", "credential": "app"}, credential=app, **changes)

    return examine


async def test_a_token_with_its_roles_is_ok_and_shown_nowhere(examined, entra):
    seen = await examined()

    assert statuses(seen, APP) == {"token": "ok", "token.roles": "ok"}
    assert statuses(seen, WAY)["smtp.login"] == "ok"
    shown = repr(seen)
    assert not any(token in shown for token in entra.tokens)
    assert SECRET not in shown
    json.dumps([one.found for one in seen.findings])


async def test_a_role_that_is_missing_is_named_with_who_needs_it(examined, entra):
    entra.roles = ("IMAP.AccessAsApp",)

    seen = await examined({"AUTH": b"535 5.7.3 Authentication unsuccessful\r\n"})

    missing = finding(seen, APP, "token.roles")
    assert missing.status == "warning"
    assert "no SMTP.SendAsApp, which path way needs" in missing.found
    assert statuses(seen, WAY)["smtp.login"] == "failure"


async def test_a_role_that_no_token_shows_is_no_fault_where_the_login_works(examined, entra):
    entra.roles = ()

    seen = await examined()

    smtp = [one for one in seen.findings if one.id == "token.roles" and "SMTP" in one.found]
    assert [one.status for one in smtp] == ["ok"]
    assert "RBAC for Applications" in smtp[0].found
    assert finding(seen, APP, "token.roles").status == "warning"  # of IMAP, whose server is not there


async def test_a_token_without_readable_roles_is_not_judged(examined, entra):
    entra.roles = None
    entra.lifetime = 3600

    assert statuses(await examined(), APP)["token"] == "ok"


async def test_no_token_is_a_failure_with_the_fix_and_the_server_is_tested_up_to_the_login(examined, entra):
    entra.refuse = refusal(401, "AADSTS7000222", words="The provided client secret keys are expired.")

    seen = await examined()

    refused = finding(seen, APP, "token")
    assert refused.status == "failure"
    assert "AADSTS7000222" in refused.found
    assert "secret" in refused.fix
    way = statuses(seen, WAY)
    assert (way["smtp.port"], way["smtp.tls"], way["smtp.token"]) == ("ok", "ok", "failure")
    assert way["smtp.envelope"] == "not_tested"
    assert statuses(seen, BOX) == {"mailbox.token": "failure"}
