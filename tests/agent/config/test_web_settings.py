"""Who may read over HTTP, and how the server proves itself: what is taken, and what is said about the rest."""

import subprocess
import sys

import pytest
import yaml

from agent.config.load import load
from agent.config.problems import SettingsError
from agent.config.render import effective

SECRET = "hunter2-hunter2"
HASH = "$2b$10$LNlGMEz5wfVessivQZAJYO1tK0rpiICCPdmwTJ4RGiSBnrraBzNOq"  # of nobody's password


def errors(workspace, text):
    with pytest.raises(SettingsError) as refused:
        load(workspace.write(text))
    return [str(problem).removeprefix(f"{workspace.folder}/relaycanary.yaml:") for problem in refused.value.problems]


@pytest.fixture
def with_web(workspace, edited):
    """Return good settings with this section; a hash is in the file `hash`, a password in `password`."""
    workspace.secret("hash", HASH + "\n")
    workspace.secret("password", SECRET)
    return lambda web: edited(("paths:\n", f"web: {web}\npaths:\n"))


def test_a_user_is_a_name_and_a_hash_here_or_in_a_file(workspace, with_web):
    settings = workspace.load(with_web(f"{{users: {{noc: {HASH}, prometheus: {{file: hash}}}}}}"))
    assert settings.web.users["noc"] == HASH
    assert settings.web.users["prometheus"].file == workspace.folder / "hash"


@pytest.mark.parametrize("variant", ["$2a$", "$2y$"])
def test_hashes_of_other_tools_are_taken(variant, workspace, with_web):
    workspace.load(with_web(f"{{users: {{noc: {variant}{HASH[4:]}}}}}"))


@pytest.mark.parametrize(
    ("web", "said"),
    [
        (f"{{users: {{noc: {SECRET}}}}}", "web.users.noc: is not a bcrypt hash: make one with `relaycanary hash-"),
        ("{users: {noc: 7}}", "web.users.noc: is not a bcrypt hash"),
        ("{users: {noc: {file: password}}}", "web.users.noc: what {folder}/password holds is not a bcrypt hash"),
        ("{users: {noc: {file: nothing}}}", "web.users.noc: the file {folder}/nothing cannot be read"),
        ("{users: {noc: {fiel: hash}}}", "web.users.noc: say where the hash is kept by exactly one of env and file"),
        (f"{{users: {SECRET}}}", "web.users: must be a mapping of names to bcrypt hashes"),
        (f"{{users: {{'a:b': {HASH}}}}}", "web.users.a:b: 'a:b' cannot be a user name: it must not have a"),
        (f"{{users: {{noc: $2b$04{HASH[6:]}}}}}", "is a bcrypt hash of cost 4, and 10 to 14 are taken: passwords"),
        (f"{{users: {{noc: $2b$20{HASH[6:]}}}}}", "is a bcrypt hash of cost 20, and 10 to 14 are taken: a login"),
        ("{auth: {username: noc}}", "unknown key 'auth': who may read is said by users: {NAME: HASH}"),
        ("{basic_auth_users: {noc: x}}", "unknown key 'basic_auth_users': who may read is said by users"),
        ("{tls_server_config: {cert_file: x}}", "unknown key 'tls_server_config': say it by tls: {certificate: {file"),
        ("{tls: relay.pem}", "web.tls: 'relay.pem' is not a mapping of certificate, key"),
        ("{tls: {certificate: relay.pem}}", "web.tls.certificate: must be a reference to a file: {file: PATH}"),
        ("{tls: {certificate: {file: nothing}}}", "web.tls: the file {folder}/nothing cannot be read: No such file"),
        ("{tls: {certificate: {file: password}}}", "web.tls.certificate: the file {folder}/password has no readable"),
        ("{tls: {certificate: {file: certificate.pem}}}", "web.tls.certificate: the file {folder}/certificate.pem has"),
        (
            "{tls: {certificate: {file: certificate.pem}, key: {file: expired.pem}}}",
            "web.tls.key: the file {folder}/expired.pem has a private key that does not belong to the certificate",
        ),
        (
            "{tls: {certificate: {file: certificate.pem}, key: {file: password}}}",
            "web.tls.key: the file {folder}/password has no private key in PEM (-----BEGIN PRIVATE KEY-----)",
        ),
        (
            "{tls: {certificate: {file: encrypted.pem}}}",
            "web.tls.certificate: the file {folder}/encrypted.pem has an encrypted private key: store it without a",
        ),
        ("{tls: {certificate: {file: expired.pem}}}", "has a certificate that expired on 2020-01-01"),
        ("{hosts: ['a b']}", "web.hosts[0]: 'a b' is not a host name or an IP address"),
    ],
)
def test_what_is_wrong_is_said_by_line_and_key_and_never_repeats_a_password(web, said, workspace, with_web):
    (message,) = errors(workspace, with_web(web))
    assert message.startswith("6: web")
    assert said.replace("{folder}", str(workspace.folder)) in message
    assert SECRET not in message


@pytest.mark.parametrize(
    "tls",
    [
        "{certificate: {file: relay.pem}}",
        "{certificate: {file: relay-leaf-first.pem}}",
        "{certificate: {file: certificate.pem}, key: {file: relay.pem}}",
    ],
)
def test_certificate_and_key_may_be_in_one_file_or_in_two(tls, workspace, with_web):
    assert workspace.load(with_web(f"{{tls: {tls}}}")).warnings == ()


def test_a_key_that_others_can_read_is_warned_of(workspace, with_web):
    (workspace.folder / "relay.pem").chmod(0o644)
    (warning,) = workspace.warnings(with_web("{tls: {certificate: {file: certificate.pem}, key: {file: relay.pem}}}"))
    assert "web.tls.key: " in warning
    assert "can be read by others: chmod 600 it" in warning


def test_passwords_that_tls_protects_are_not_warned_of(workspace, with_web):
    tls = "listen: '0.0.0.0:9825', tls: {certificate: {file: relay.pem}}"
    assert workspace.warnings(with_web(f"{{{tls}, users: {{noc: {{file: hash}}}}}}")) == []


def test_a_hash_is_not_printed_and_where_one_is_kept_is(workspace, with_web):
    settings = workspace.load(with_web(f"{{users: {{noc: {HASH}, prometheus: {{file: hash}}}}}}"))
    shown = yaml.safe_load(effective(settings))["web"]["users"]
    assert shown == {"noc": "***", "prometheus": {"file": str(workspace.folder / "hash")}}


def hash_of(text):
    command = [sys.executable, "-m", "agent", "hash-password"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def test_hash_password_makes_what_the_settings_take(workspace, with_web):
    made = hash_of("correct horse battery\n")
    assert (made.returncode, made.stderr) == (0, "")
    workspace.secret("hash", made.stdout)
    workspace.load(with_web("{users: {noc: {file: hash}}}"))


@pytest.mark.parametrize(("typed", "said"), [("hunter2\n", "fewer than 12"), ("", "fewer"), ("ä" * 40, "more than 72")])
def test_hash_password_refuses_what_is_soon_guessed_or_would_be_cut_off(typed, said):
    made = hash_of(typed)
    assert (made.returncode, made.stdout) == (1, "")
    assert said in made.stderr
    assert "hunter2" not in made.stderr
