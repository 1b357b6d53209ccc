"""Good settings: what they amount to, what is filled in, and what plug-ins of others may get wrong."""

from pathlib import Path

import pytest
from pydantic import model_validator
from support.passwords import a_hash

from agent.config.load import load
from agent.config.problems import SettingsError
from checks import registry
from checks.core.model import Check, Expectations, Limits
from checks.settings import Section, Text


def messages(workspace, text, **options):
    with pytest.raises(SettingsError) as refused:
        load(workspace.write(text), **options)
    return [f"{problem.key}: {problem.message}" for problem in refused.value.problems]


def test_the_smallest_settings_have_a_default_for_everything_else(workspace):
    settings = load(workspace.copy("good/minimal.yaml"))
    assert settings.warnings == ()
    assert settings.agent.site == "default"
    assert settings.agent.ledger == f"sqlite:///{workspace.folder}/relaycanary.db"
    assert (settings.agent.keep, settings.agent.ledger_keep) == (7 * 86400, 400 * 86400)
    assert (settings.web.host, settings.web.port, settings.web.token) == ("127.0.0.1", 9825, None)
    assert settings.checks["relay"] == Check(
        name="relay",
        path="relay",
        method="relay",
        mailbox="outside",
        sender="canary@contoso.example",
        recipient="canary@outside.example",
        limits=Limits(every=60, late_after=60, lost_after=600, observe_within=86400),
        expect=Expectations(),
        severity="critical",
        bounces="outside",
    )


@pytest.fixture
def documented(workspace, monkeypatch):
    for name in ("APP_SECRET", "OUTSIDE_PASSWORD", "PAGER_URL", "HEARTBEAT_URL", "SENTRY_DSN"):
        monkeypatch.setenv(name, "of-the-environment")
    return load(workspace.copy("good/design.yaml"))


def test_the_example_of_the_documentation_can_be_used(documented):
    assert documented.agent.ledger == "sqlite:////var/lib/relaycanary/ledger.db"
    assert list(documented.checks) == ["relay", "submission", "direct", "direct-refuses-external"]
    assert documented.checks["relay"].expect == Expectations(results={"spf": "pass"}, tls="1.2")
    assert documented.checks["relay"].severity == "critical"
    refusing = documented.checks["direct-refuses-external"]
    assert (refusing.recipient, refusing.expect.refused) == ("canary@outside.example", "5.4.1|5.7.*")
    assert (refusing.method, refusing.limits.every) == ("direct_send", 3600)


def test_bounces_go_to_the_mailbox_of_the_sender_unless_the_path_says_otherwise(documented):
    assert {name: check.bounces for name, check in documented.checks.items()} == {
        "relay": "inbox",
        "submission": "noreply",
        "direct": "inbox",
        "direct-refuses-external": "inbox",
    }


def test_all_signing_keys_are_known_and_the_first_one_signs(workspace, edited):
    workspace.secret("k2", "fedcba9876543210fedcba9876543210")
    keys = "[{id: k2, secret: {file: k2}}, {id: k1, secret: {file: k1}}]"
    settings = workspace.load(edited(("[{id: k1, secret: {file: k1}}]", keys)))
    assert [(name, source()[:8]) for name, source in settings.signing_keys.items()] == [
        ("k2", "fedcba98"),
        ("k1", "01234567"),
    ]


def test_file_names_are_relative_to_the_settings_and_not_to_where_the_agent_was_started(
    workspace, edited, tmp_path_factory, monkeypatch
):
    file = workspace.write(edited(("host: mx.contoso.example", "host: mx.contoso.example, ca_file: authority.pem")))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    settings = load(file)
    assert settings.paths["relay"].settings.ca_file == workspace.folder / "authority.pem"
    assert settings.agent.signing_keys[0].secret.file == workspace.folder / "k1"


@pytest.mark.parametrize(
    ("written", "place"),
    [("sqlite:///ledger.db", "{folder}/ledger.db"), ("sqlite:///records/ledger.db", "{folder}/records/ledger.db")],
)
def test_a_relative_ledger_lies_beside_the_settings(written, place, workspace, edited):
    settings = workspace.load(edited(("agent:\n", f"agent:\n  ledger: {written}\n")))
    assert settings.agent.ledger == f"sqlite:///{place.format(folder=workspace.folder)}"
    assert settings.warnings == ()


def test_an_absolute_file_name_stays_as_it_is(workspace, edited, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "k1"
    elsewhere.write_text("0123456789abcdef")
    elsewhere.chmod(0o600)
    settings = workspace.load(edited(("{file: k1}", f"{{file: {elsewhere}}}")))
    assert settings.agent.signing_keys[0].secret.file == elsewhere


@pytest.mark.parametrize("name", ["relay.pem", "relay-leaf-first.pem"])
def test_key_and_certificate_may_come_in_any_order(name, workspace, edited):
    client = f"host: mx.contoso.example, client_certificate: {{file: {name}}}"
    assert workspace.load(edited(("host: mx.contoso.example", client))).paths["relay"].settings.client_certificate


def test_every_expectation_reaches_the_judge(workspace, edited):
    expect = (
        "{placement: any, spf: softfail, dkim: pass, dmarc: bestguesspass, compauth: pass, tls: 1.3, attributed: true,"
        " tls_hops: every, authserv_ids: ['', mx.microsoft.com], scl_max: 4, max_hop_delay: 90s,"
        " headers: [X-MS-Exchange-Organization-AuthAs]}"
    )
    settings = workspace.load(edited(("    every: 60s\n", f"    every: 60s\n    expect: {expect}\n")))
    assert settings.checks["relay"].expect == Expectations(
        placement="any",
        results={"spf": "softfail", "dkim": "pass", "dmarc": "bestguesspass", "compauth": "pass"},
        authserv_ids=("", "mx.microsoft.com"),
        tls="1.3",
        tls_every_hop=True,
        attributed=True,
        scl_max=4,
        max_hop_delay=90,
        headers=("X-MS-Exchange-Organization-AuthAs",),
    )


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ("{tls_hops: every}", "tls_hops says where tls is demanded, and tls is not"),
        (
            "{authserv_ids: [mx.contoso.example], tls: 1.2}",
            "authserv_ids says whose results count, and none is expected",
        ),
        ("{spf: pass, authserv_ids: ['mx contoso']}", "expect.authserv_ids"),
    ],
)
def test_an_expectation_that_means_nothing_is_refused(expect, words, workspace, edited):
    (message,) = messages(workspace, edited(("    every: 60s\n", f"    every: 60s\n    expect: {expect}\n")))
    assert words in message


def test_everybody_may_be_let_in_after_a_login(workspace, edited):
    workspace.secret("hash", a_hash())
    web = "web: {listen: '[::]:9825', users: {noc: {file: hash}}, token: {file: token}}\npaths:\n"
    settings = workspace.load(edited(("paths:\n", web)))
    assert (settings.web.host, settings.web.port) == ("::", 9825)


@pytest.mark.parametrize("listen", ["localhost:1", "127.0.0.8:65535", "'[::1]:9825'"])
def test_this_machine_needs_no_login(listen, workspace, edited):
    assert workspace.load(edited(("paths:\n", f"web: {{listen: {listen}}}\npaths:\n"))).web.users == {}


@pytest.mark.parametrize("listen", ["127.0.0.1:65536", "'::1:9825'", "http://127.0.0.1:9825", "':9825'"])
def test_an_address_to_listen_on_has_address_and_port(listen, workspace, edited):
    assert "is not ADDRESS:PORT" in messages(workspace, edited(("paths:\n", f"web: {{listen: {listen}}}\npaths:\n")))[0]


def test_a_path_that_is_wrong_in_itself_is_not_called_unknown_as_well(workspace, edited):
    assert messages(workspace, edited(("host: smtp.contoso.example", "host: 'smtp contoso'"))) == [
        "paths.submission.host: 'smtp contoso' is not a host name or an IP address (no scheme, no port, no path)"
    ]


def test_a_kind_that_is_not_registered_names_those_that_are(workspace, edited):
    said = messages(
        workspace, edited(("{kind: imap, host: imap.outside.example, credential", "{kind: carrier, credential"))
    )
    assert said == [f"mailboxes.outside.kind: 'carrier' is not one of {', '.join(registry.kinds(registry.MAILBOXES))}"]


def test_of_very_many_names_only_some_are_listed_and_the_nearest_one(workspace, edited):
    paths = "".join(f"  spare{n}: {{kind: relay, host: mx.contoso.example, sender: a@b.example}}\n" for n in range(40))
    text = edited(("mailboxes:\n", f"{paths}mailboxes:\n"), ("    path: relay\n", "    path: spare_39\n"))
    names = ", ".join(["relay", "submission", *(f"spare{n}" for n in range(18))])
    assert messages(workspace, text) == [
        f"checks.relay.path: 'spare_39' is not one of the paths {names} and 22 more; did you mean 'spare39'?"
    ]


class Strange:
    """A plug-in that somebody else wrote; it knows neither sender nor address."""

    class Settings(Section):
        kind: Text
        words: tuple[Text, ...] = ()


class Crashing:
    """A plug-in with a fault in its own validation."""

    class Settings(Section):
        @model_validator(mode="before")
        @classmethod
        def _broken(cls, value):
            return value["hunter2"]


def stranger(cls):
    return lambda group, kind: cls if kind == "strange" else registry.load(group, kind)


STRANGE = (
    "{kind: relay, host: mx.contoso.example, sender: canary@contoso.example, bounces: outside}",
    "{kind: strange}",
)


def test_a_path_without_a_sender_cannot_be_checked(workspace, edited):
    said = messages(workspace, edited(STRANGE), plugins=stranger(Strange))
    assert said == ["paths.relay.sender: is missing: every canary has a sender"]


def test_a_mailbox_without_an_address_needs_a_recipient(workspace, edited):
    mailbox = "{kind: imap, host: imap.outside.example, credential: outside, address: canary@outside.example}"
    said = messages(workspace, edited((mailbox, "{kind: strange}")), plugins=stranger(Strange))
    assert said == [
        "checks.relay.to: is missing, and the mailbox outside has no address",
        "checks.submission.to: is missing, and the mailbox outside has no address",
    ]


def test_a_plug_in_that_breaks_is_a_problem_and_no_traceback(workspace, edited):
    said = messages(workspace, edited(STRANGE), plugins=stranger(Crashing))
    assert said == ["paths.relay: cannot be checked: the plug-in failed with KeyError"]


def test_a_plug_in_that_cannot_be_imported_is_a_problem_and_no_traceback(workspace, edited):
    def failing(group, kind):
        if kind == "strange":
            raise ModuleNotFoundError(name="strange_protocol")
        return registry.load(group, kind)

    said = messages(workspace, edited(STRANGE), plugins=failing)
    assert said == ["paths.relay.kind: the plug-in of kind 'strange' cannot be loaded: ModuleNotFoundError"]


def test_a_plug_in_without_settings_is_a_problem_and_no_traceback(workspace, edited):
    said = messages(workspace, edited(STRANGE), plugins=stranger(Path))
    assert said == ["paths.relay.kind: the plug-in of kind 'strange' cannot be loaded: AttributeError"]


def test_settings_hold_no_secret(documented):
    text = repr(documented)
    assert not [secret for secret in ("hunter2", "of-the-environment", "0123456789abcdef") if secret in text]
