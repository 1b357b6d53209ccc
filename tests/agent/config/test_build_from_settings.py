import asyncio
from datetime import UTC, datetime

import pytest

from agent.clock import SystemClock
from agent.commands.parts import accounts
from agent.config.build import build_credentials, build_mailboxes, build_paths
from agent.config.load import load
from checks.errors import LocalFault, TokenRefused
from checks.ports import GraphService, Tools


@pytest.fixture
def settings(workspace):
    return load(workspace.copy("good/minimal.yaml"))


def test_a_password_is_shown_as_it_is_at_that_moment(workspace, settings):
    credential = build_credentials(settings, SystemClock())["outside"]
    workspace.secret("outside", "renewed\n")
    login = asyncio.run(credential.login("imap"))
    assert (login.username, login.secret, login.bearer) == ("canary@outside.example", "renewed", False)


def test_a_token_is_a_bearer_login(settings):
    credential = build_credentials(settings, SystemClock())["noreply"]
    login = asyncio.run(credential.login("smtp"))
    assert (login.username, login.secret, login.bearer) == ("noreply@contoso.example", "eyJ0eXAiOiJKV1Qi", True)
    assert credential.bearer


def test_a_secret_that_is_gone_is_our_own_fault(workspace, settings):
    credential = build_credentials(settings, SystemClock())["outside"]
    (workspace.folder / "outside").unlink()
    with pytest.raises(LocalFault, match="outside cannot be read"):
        asyncio.run(credential.login("imap"))


APP = "{kind: entra, tenant: contoso.example, client_id: 4b1c, client_secret: {file: token}}"
TOKEN = "{kind: token, username: noreply@contoso.example, token: {file: token}}"


def test_an_app_registration_is_that_of_its_cloud(workspace, edited):
    section = APP.replace("}}", "}, cloud: gcc-high, client_secret_expires: 2027-06-30}")
    credential = build_credentials(workspace.load(edited((TOKEN, section))), SystemClock())["noreply"]
    assert credential.bearer
    assert credential.graph == GraphService("https://graph.microsoft.us")
    assert credential.facts().not_after == datetime(2027, 6, 30, tzinfo=UTC)
    assert "eyJ0" not in repr(credential)


def test_hosts_of_ones_own_stand_in_for_those_of_the_cloud(workspace, edited):
    hosts = "graph_url: 'https://graph.example:8443/', authority: 'https://login.nothing.invalid'"
    section = APP.replace("}}", f"}}, {hosts}, ca_file: authority.pem}}")
    credential = build_credentials(workspace.load(edited((TOKEN, section))), SystemClock())["noreply"]
    assert credential.graph == GraphService("https://graph.example:8443", workspace.folder / "authority.pem")
    with pytest.raises(TokenRefused, match=r"no token from login\.nothing\.invalid:443"):
        asyncio.run(credential.login("smtp"))


def test_a_certificate_of_an_app_tells_when_it_ends(workspace, edited):
    section = "{kind: entra, tenant: contoso.example, client_id: 4b1c, certificate: {file: relay.pem}}"
    credential = build_credentials(workspace.load(edited((TOKEN, section))), SystemClock())["noreply"]
    assert credential.facts().not_after is not None


def test_no_credential_shows_its_secret(settings):
    assert not [secret for secret in ("hunter2", "eyJ0") if secret in repr(build_credentials(settings, SystemClock()))]


def test_paths_and_mailboxes_are_built_by_name_and_connect_to_where_the_settings_say(settings):
    async def endpoints():
        tools = Tools(clock=SystemClock(), credentials=build_credentials(settings, SystemClock()))
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


@pytest.mark.parametrize(
    ("change", "another"),
    [
        (("host: imap.outside.example", "host: imap.elsewhere.example"), True),
        (("address: canary@outside.example", "address: other@outside.example"), True),
        (("username: canary@outside.example", "username: other@outside.example"), True),
        (("every: 60s", "every: 90s"), False),
    ],
)
def test_a_mailbox_is_another_one_if_its_server_its_address_or_its_user_is(
    workspace, settings, edited, change, another
):
    changed = workspace.load(edited(change))
    assert (accounts(changed)["outside"] != accounts(settings)["outside"]) is another
