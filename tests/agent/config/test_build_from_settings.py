import asyncio

import pytest

from agent.clock import SystemClock
from agent.config.build import build_credentials, build_mailboxes, build_paths
from agent.config.load import load
from checks.errors import LocalFault
from checks.ports import Tools


@pytest.fixture
def settings(workspace):
    return load(workspace.copy("good/minimal.yaml"))


def test_a_password_is_shown_as_it_is_at_that_moment(workspace, settings):
    credential = build_credentials(settings)["outside"]
    workspace.secret("outside", "renewed\n")
    login = asyncio.run(credential.login("imap"))
    assert (login.username, login.secret, login.bearer) == ("canary@outside.example", "renewed", False)


def test_a_token_is_a_bearer_login(settings):
    credential = build_credentials(settings)["noreply"]
    login = asyncio.run(credential.login("smtp"))
    assert (login.username, login.secret, login.bearer) == ("noreply@contoso.example", "eyJ0eXAiOiJKV1Qi", True)
    assert credential.bearer


def test_a_secret_that_is_gone_is_our_own_fault(workspace, settings):
    credential = build_credentials(settings)["outside"]
    (workspace.folder / "outside").unlink()
    with pytest.raises(LocalFault, match="outside cannot be read"):
        asyncio.run(credential.login("imap"))


def test_an_app_registration_is_our_own_fault_and_not_the_tenants(workspace, edited):
    entra = "{kind: entra, tenant: contoso.example, client_id: 4b1c, client_secret: {file: token}}"
    token = "{kind: token, username: noreply@contoso.example, token: {file: token}}"
    credential = build_credentials(workspace.load(edited((token, entra))))["noreply"]
    assert credential.bearer
    with pytest.raises(LocalFault) as fault:
        asyncio.run(credential.login("smtp"))
    assert str(fault.value) == "the credential noreply is of kind entra: this version cannot log in to smtp"


def test_no_credential_shows_its_secret(settings):
    assert not [secret for secret in ("hunter2", "eyJ0") if secret in repr(build_credentials(settings))]


def test_paths_and_mailboxes_are_built_by_name_and_connect_to_where_the_settings_say(settings):
    async def endpoints():
        tools = Tools(clock=SystemClock(), credentials=build_credentials(settings))
        built = {**build_paths(settings, tools), **build_mailboxes(settings, tools)}
        try:
            return {name: (one.endpoint().host, one.endpoint().port) for name, one in built.items()}
        finally:
            for one in built.values():
                await one.close()

    assert asyncio.run(endpoints()) == {
        "relay": ("mx.contoso.example", 25),
        "submission": ("smtp.contoso.example", 587),
        "outside": ("imap.outside.example", 993),
    }
