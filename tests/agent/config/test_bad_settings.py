"""Every file in tests/data/settings/bad, with all that is said about it."""

import traceback
from pathlib import Path

import pytest

from agent.config.load import load
from agent.config.problems import SettingsError

BAD = Path(__file__).parents[2] / "data" / "settings" / "bad"
SECRETS = ("Tr0ub4dor", "hunter2", "eyJ0eXAiOiJKV1Qi", "0123456789abcdef", "open-sesame")

NAME = "use up to 40 letters, digits, '-' and '_', beginning with a letter or digit"
DURATION = "is not a duration: write a number and a unit, like 500ms, 30s, 10m, 1h or 1d"
GONE = "cannot be read: No such file or directory"

# Without the name of the settings file; FOLDER is where it lies.
EXPECTED = {
    "a_flood": [
        "20: checks.relay.every: 200ms is shorter than 1s: a check is no load test",
    ],
    "a_list_for_a_mapping": [
        "21: checks.submission: a list is not a mapping of settings",
    ],
    "app_without_proof": [
        "4: credentials.outside: the app proves itself by exactly one of client_secret and certificate",
    ],
    "bad_check_name": [
        f"21: checks.sub mission: 'sub mission' is not a name: {NAME}",
    ],
    "bad_key_id": [
        "2: agent.signing_keys[0].id: 'k-1' is not the id of a key: use 1 to 16 letters and digits",
    ],
    "bad_regular_expression": [
        (
            "21: checks.relay.expect.refused: '5.7.(1' is not a regular expression: missing ), unterminated "
            "subpattern at position 4"
        ),
    ],
    "billion_laughs": [
        "1: holds more, aliases unfolded, than any settings need",
    ],
    "certificate_with_another_key": [
        (
            "7: paths.relay.client_certificate: the file FOLDER/mismatched.pem has a private key that does "
            "not belong to its first certificate (leaf first)"
        ),
    ],
    "certificate_with_encrypted_key": [
        (
            "7: paths.relay.client_certificate: the file FOLDER/encrypted.pem has an encrypted private key: "
            "store it without a passphrase, mode 0600"
        ),
    ],
    "certificate_without_key": [
        (
            "7: paths.relay.client_certificate: the file FOLDER/certificate.pem has no private key: append "
            "it to the certificate, in PEM"
        ),
    ],
    "duplicate_key": [
        "21: checks.relay: stands here twice, first in line 17",
    ],
    "duration_without_unit": [
        f"20: checks.relay.every: '60' {DURATION}",
    ],
    "empty": [
        "is empty: see the example in the documentation, or let `relaycanary init` write one",
    ],
    "empty_secret_file": [
        "4: credentials.outside.password: the secret file FOLDER/empty is empty",
    ],
    "endless_duration": [
        "20: checks.relay.every: is longer than ten years (3650d): this cannot be meant",
    ],
    "expectations_beside_a_refusal": [
        ("21: checks.relay.expect: a message that must be refused never arrives, so that spf cannot be judged"),
    ],
    "expired_authority": [
        (
            "7: paths.relay.ca_file: the file FOLDER/expired.pem has only expired certificates, the last "
            "since 2020-01-01"
        ),
    ],
    "expired_certificate": [
        ("7: paths.relay.client_certificate: the file FOLDER/expired.pem has a certificate that expired on 2020-01-01"),
    ],
    "graph_folder_by_its_display_name": [
        (
            "15: mailboxes.outside.folders[1]: 'Junk Email' is not a folder of Graph: use an id, or a well-known name"
            " like inbox, junkemail, sentitems; did you mean 'junkemail'?"
        ),
    ],
    "graph_without_app": [
        "15: mailboxes.outside.credential: is of kind password, but graph needs one of kind entra",
    ],
    "key_id_used_twice": [
        "2: agent.signing_keys: the id 'k1' is used twice: give the new key an id of its own",
    ],
    "key_too_short": [
        ("2: agent.signing_keys[0].secret: is shorter than 16 bytes: make one with `openssl rand -base64 32`"),
    ],
    "late_after_lost": [
        ("17: checks.relay.lost_after: 10m is not longer than late_after (15m): a message is late before it is lost"),
    ],
    "ledger_in_memory": [
        "2: agent.ledger: must be sqlite:///FILE: this version keeps its ledger in an SQLite file",
    ],
    "ledger_with_password": [
        "2: agent.ledger: must be sqlite:///FILE: this version keeps its ledger in an SQLite file",
    ],
    "line_break_in_address": [
        (
            "15: mailboxes.outside.address: 'canary@outside.example\\r\\nBcc: all@contoso.example' contains "
            "a line break or another control character"
        ),
    ],
    "list_at_top": [
        "1: must be a mapping of sections (agent, paths, mailboxes, checks, ...)",
    ],
    "listen_for_everybody": [
        (
            "3: web.listen: '0.0.0.0:9825' can be reached by other machines, which demands web.users "
            "(names and bcrypt hashes of their passwords); or listen on 127.0.0.1"
        ),
    ],
    "listen_without_port": [
        "3: web.listen: 'localhost' is not ADDRESS:PORT, like 127.0.0.1:9825 or [::1]:9825",
    ],
    "literal_secret": [
        (
            "4: credentials.outside.password: a secret must not stand in the settings: refer to it by {env: "
            "NAME} or {file: PATH}"
        ),
    ],
    "literal_secret_as_alias": [
        "4: is not valid YAML: found undefined alias",
    ],
    "literal_secret_as_key": [
        ("4: credentials.outside.password: unknown key in a reference to a secret: only env and file are known"),
    ],
    "literal_secret_beside_a_reference": [
        "4: credentials.outside.password: say where the secret is kept by exactly one of env and file",
    ],
    "missing_authority": [
        f"7: paths.relay.ca_file: the file FOLDER/nowhere.pem {GONE}",
    ],
    "missing_environment_variable": [
        "4: credentials.outside.password: the environment variable RELAYCANARY_TEST_UNSET is not set",
    ],
    "missing_kind": [
        "7: paths.relay.kind: is missing; it is one of direct_send, graph_send, relay, smtp, submission",
    ],
    "missing_secret_file": [
        f"4: credentials.outside.password: the file FOLDER/nowhere {GONE}",
    ],
    "negative_duration": [
        f"20: checks.relay.every: '-5m' {DURATION}",
    ],
    "no_agent": [
        "agent.signing_keys: is missing",
    ],
    "no_checks": [
        "checks: is empty: without a check the agent has nothing to do",
    ],
    "no_signing_key": [
        "2: agent.signing_keys: must have at least one entry",
    ],
    "not_a_certificate": [
        (
            "7: paths.relay.client_certificate: the file FOLDER/k1 has no readable certificate in PEM "
            "(-----BEGIN CERTIFICATE-----)"
        ),
    ],
    "not_an_environment_variable": [
        ("4: credentials.outside.password: env must be the name of an environment variable: letters, digits and '_'"),
    ],
    "not_utf8": [
        "2: is not UTF-8 text (byte 0xe9)",
    ],
    "otlp_with_secrets_in_plain_text": [
        ("23: metrics.otlp: headers hold secrets, which are never sent over plain text: use an https:// endpoint"),
    ],
    "otlp_header_as_it_is": [
        (
            "25: metrics.otlp.headers.Authorization: a secret must not stand in the settings: refer to it by "
            "{env: NAME} or {file: PATH}"
        ),
    ],
    "pasted_private_key": [
        "7: paths.relay.client_certificate: file must be the name of a file, not what belongs into it",
    ],
    "ping_that_is_no_address": [
        "21: checks.relay.ping.url: what is kept there is not an http:// or https:// address",
    ],
    "port_465_for_submission": [
        (
            "11: paths.submission.port: Microsoft 365 does not offer port 465 (TLS from the first byte): use"
            " port 587, where TLS starts by STARTTLS; for another provider's port 465 use kind smtp with "
            "tls: implicit"
        ),
    ],
    "report_by_unknown_path": [
        "16: report.path: 'rely' is not one of the paths relay, submission; did you mean 'relay'?",
        "16: report.schedule: 'monday' is not a day and a time, like 'mon 07:00'",
        ("16: report.timezone: 'Europe/Amsterdm' is not a time zone of this machine; did you mean 'Europe/Amsterdam'?"),
        "16: report.to: must have at least one entry",
    ],
    "several_problems": [
        "4: credentials.outside.password: the environment variable RELAYCANARY_TEST_UNSET is not set",
        (
            "7: paths.relay.kind: 'rely' is not one of direct_send, graph_send, relay, smtp, submission;"
            " did you mean 'relay'?"
        ),
        "19: checks.relay.mailbox: 'inside' is not one of the mailboxes outside; did you mean 'outside'?",
        f"20: checks.relay.every: 'never' {DURATION}",
    ],
    "syntax_error": [
        "18: is not valid YAML: while parsing a flow mapping: expected ',' or '}', but got ':'",
    ],
    "tenant_with_a_path": [
        (
            "4: credentials.outside.tenant: '../common' is not a tenant: write its id, or one of its domains like"
            " contoso.onmicrosoft.com"
        ),
    ],
    "text_without_quotes": [
        "4: credentials.outside.username: 4711 is not text: put it in quotes",
    ],
    "textfile_of_another_name": [
        "22: metrics.textfile.file: 'relaycanary.txt' does not end in .prom: the node exporter would pass it over",
    ],
    "unknown_bounces": [
        ("13: paths.submission.bounces: 'outsides' is not one of the mailboxes outside; did you mean 'outside'?"),
    ],
    "unknown_credential": [
        (
            "11: paths.submission.credential: 'noreplay' is not one of the credentials outside, noreply; did"
            " you mean 'noreply'?"
        ),
    ],
    "unknown_credential_kind": [
        ("4: credentials.outside.kind: 'pasword' is not one of entra, password, token; did you mean 'password'?"),
    ],
    "unknown_key": [
        "7: paths.relay.sender: is missing",
        "7: paths.relay: unknown key 'sendr'; did you mean 'sender'?",
    ],
    "unknown_key_far_off": [
        (
            "21: checks.relay: unknown key 'wibble'; allowed are every, expect, late_after, lost_after, "
            "mailbox, observe_within, path, ping, severity, to"
        ),
    ],
    "unknown_kind": [
        (
            "7: paths.relay.kind: 'rely' is not one of direct_send, graph_send, relay, smtp, submission;"
            " did you mean 'relay'?"
        ),
    ],
    "unknown_mailbox": [
        "19: checks.relay.mailbox: 'inside' is not one of the mailboxes outside; did you mean 'outside'?",
    ],
    "unknown_path": [
        "18: checks.relay.path: 'rely' is not one of the paths relay, submission; did you mean 'relay'?",
    ],
    "unknown_result": [
        (
            "21: checks.relay.expect.spf: 'passes' is not one of pass, fail, softfail, neutral, none, "
            "policy, temperror, permerror; did you mean 'pass'?"
        ),
    ],
    "unknown_section": [
        "14: unknown key 'mailboxs'; did you mean 'mailboxes'?",
    ],
    "unreadable_certificate": [
        f"7: paths.relay.client_certificate: the file FOLDER/nowhere.pem {GONE}",
    ],
    "wrong_type": [
        "10: paths.submission.port: '587' is not a whole number (written without quotes)",
    ],
    "wrong_word": [
        "7: paths.relay.tls: 'yes' is not one of none, opportunistic, required, implicit",
    ],
    "yaml_tag": [
        "20: checks.relay.every: carries a YAML tag: settings are plain text, numbers, true and false",
    ],
    "zero_duration": [
        "20: checks.relay.every: '0s' is no time at all: a duration must be longer than zero",
    ],
}


@pytest.mark.parametrize("name", sorted(path.stem for path in BAD.iterdir()))
def test_a_bad_file_is_refused_with_file_line_and_key(name, workspace):
    with pytest.raises(SettingsError) as refused:
        load(workspace.copy(f"bad/{name}.yaml"))
    said = [str(problem).replace(str(workspace.folder), "FOLDER") for problem in refused.value.problems]
    assert [line.removeprefix("FOLDER/relaycanary.yaml:").lstrip() for line in said] == EXPECTED[name]


@pytest.mark.parametrize("name", sorted(path.stem for path in BAD.iterdir()))
def test_no_secret_is_in_any_text_of_an_error(name, workspace):
    with pytest.raises(SettingsError) as refused:
        load(workspace.copy(f"bad/{name}.yaml"))
    error = refused.value
    everything = "".join([str(error), repr(error), repr(error.problems), *traceback.format_exception(error)])
    assert not [secret for secret in SECRETS if secret in everything]


def test_the_table_has_no_row_without_a_file():
    assert set(EXPECTED) == {path.stem for path in BAD.iterdir()}


def test_all_problems_of_a_file_are_told_at_once_in_the_order_of_its_lines(workspace):
    with pytest.raises(SettingsError) as refused:
        load(workspace.copy("bad/several_problems.yaml"))
    lines = [problem.line for problem in refused.value.problems]
    assert len(lines) == 4
    assert lines == sorted(lines)


@pytest.mark.parametrize(
    "wrong",
    [
        "Tr0ub4dor-3",
        "[Tr0ub4dor-3]",
        "{env: [Tr0ub4dor-3]}",
        "{env: 'Tr0ub4dor-3 with spaces'}",
        '{env: "Tr0ub4dor-3\\n"}',
        "{Tr0ub4dor-3: x}",
        "{file: {Tr0ub4dor-3: x}}",
        '{file: "Tr0ub4dor-3\\nmore"}',
        "!Tr0ub4dor-3 x",
        "*Tr0ub4dor-3",
        "|\n    Tr0ub4dor-3",
        "'Tr0ub4dor-3",
        "{Tr0ub4dor-3",
        "%Tr0ub4dor-3",
        "@Tr0ub4dor-3",
        "`Tr0ub4dor-3",
    ],
)
def test_a_secret_that_stands_in_the_settings_is_never_repeated(wrong, workspace, edited):
    text = edited(("password: {file: outside}}", f"password: {wrong}}}"))
    with pytest.raises(SettingsError) as refused:
        load(workspace.write(text))
    error = refused.value
    assert "Tr0ub4dor" not in "".join([str(error), repr(error.problems), *traceback.format_exception(error)])
