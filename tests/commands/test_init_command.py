"""``relaycanary init``: all answers give settings that can be used; nothing is overwritten, nothing hangs."""

from __future__ import annotations

import itertools
import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
import yaml

from agent.commands.init import Target, init
from agent.commands.initial.answers import Answers, Method, Reading, Recipients
from agent.commands.initial.ask import MissingAnswers, WrongAnswer, gather
from agent.commands.initial.compose import SIGNING_KEY, compose, quoted
from agent.commands.initial.method import assess, other_way, recommend
from agent.commands.initial.steps import Step, steps
from agent.config.load import load
from agent.config.secrets import PLACEHOLDER
from checks.knowledge.presets import presets

GIVEN = {
    "domain": "contoso.com",
    "recipients": "outside",
    "licensed": True,
    "static_ip": True,
    "certificate": False,
    "port_25_blocked": False,
    "sender": "canary@contoso.com",
    "reading": "imap",
    "mailbox": "canary@outside.example",
    "imap_host": "imap.outside.example",
}
ANSWERS = gather(GIVEN, ask=False)
BOTH = (True, False)
EVERYTHING = [
    Answers(
        domain="contoso.com",
        recipients=recipients,
        licensed=licensed,
        static_ip=static_ip,
        certificate=certificate,
        certificate_file="relay.pem" if certificate and has_file else "",
        port_25_blocked=blocked,
        sender="canary@contoso.com",
        reading=reading,
        mailbox=("canary@contoso.com" if same else "inbox@contoso.com") if reading.inside else "canary@outside.example",
        imap_host="" if reading.inside else "imap.outside.example",
    )
    for recipients, licensed, static_ip, certificate, has_file, blocked, reading, same in itertools.product(
        Recipients, BOTH, BOTH, BOTH, BOTH, BOTH, Reading, BOTH
    )
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with every file that a settings file of init refers to."""
    made = tmp_path_factory.mktemp("init")
    pem = made / "relay.pem"
    trustme.CA().issue_cert("contoso.com").private_key_and_cert_chain_pem.write_to_path(str(pem))
    (made / SIGNING_KEY).write_text("0123456789abcdef0123456789abcdef")
    for name in {name for one in EVERYTHING for name in compose(one, recommend(one)).secrets}:
        (made / name).write_text("a secret")
    for file in made.iterdir():
        file.chmod(0o600)
    return made


def usable(folder, text):
    file = folder / "relaycanary.yaml"
    file.write_text(text)
    return load(file)


def test_every_combination_of_answers_gives_settings_that_can_be_used(folder):
    texts = {}
    for answers in EVERYTHING:
        method = recommend(answers)
        text = compose(answers, method).text
        if text not in texts:
            texts[text] = usable(folder, text)
        (check,) = texts[text].checks.values()
        assert check.method == (method or "smtp")
        assert check.recipient == answers.mailbox
    assert len(texts) > 30


@pytest.mark.parametrize("method", Method)
def test_a_method_that_was_demanded_gives_settings_that_can_be_used(folder, method):
    for text in {compose(answers, method).text for answers in EVERYTHING}:
        (check,) = usable(folder, text).checks.values()
        assert check.method == method


def test_what_init_sets_up_is_what_check_config_finds_nothing_wrong_with(folder):
    """Of the recommended way; what is left to warn of is a fact of the answers, not of the file."""
    allowed = (
        "stands for the ID of your app",
        "nobody watches for its bounces",
        "takes until September 2028",
        "sends to recipients of the tenant only",
    )
    for text in {compose(answers, recommend(answers)).text for answers in EVERYTHING}:
        found = [warning.message for warning in usable(folder, text).warnings]
        assert [words for words in found if not any(known in words for known in allowed)] == []


CHOICES = [
    ({}, Method.SUBMISSION),
    ({"licensed": False}, Method.RELAY),
    ({"licensed": False, "static_ip": False, "certificate": True}, Method.RELAY),
    ({"licensed": False, "static_ip": False}, None),
    ({"licensed": False, "port_25_blocked": True}, None),
    ({"port_25_blocked": True}, Method.SUBMISSION),
    ({"licensed": False, "static_ip": False, "recipients": Recipients.INSIDE}, Method.DIRECT_SEND),
    ({"licensed": False, "static_ip": True, "recipients": Recipients.INSIDE}, Method.RELAY),
    ({"licensed": False, "port_25_blocked": True, "recipients": Recipients.INSIDE}, None),
]


@pytest.mark.parametrize(("changes", "method"), CHOICES)
def test_the_method_that_suits_is_recommended(changes, method):
    assert recommend(replace(ANSWERS, **changes)) == method


def test_a_method_never_suits_where_it_cannot_work():
    for answers in EVERYTHING:
        suits = {one.method: one.suits for one in assess(answers)}
        assert suits[Method.SUBMISSION] == answers.licensed
        assert suits[Method.RELAY] == ((answers.static_ip or answers.certificate) and not answers.port_25_blocked)
        inside = answers.recipients is Recipients.INSIDE
        assert suits[Method.DIRECT_SEND] == (inside and not answers.port_25_blocked)
        assert recommend(answers) is not None or other_way(answers) in presets()


def test_the_steps_in_the_tenant_are_those_of_the_method_and_of_the_reading():
    elsewhere, graph = ANSWERS, replace(ANSWERS, reading=Reading.GRAPH)
    assert steps(elsewhere, Method.RELAY) == (Step.CONNECTOR, Step.SPF)
    assert steps(elsewhere, Method.DIRECT_SEND) == (Step.SPF, Step.DIRECT_SEND)
    assert steps(elsewhere, Method.SUBMISSION) == (Step.MAILBOX, Step.APP, Step.SCOPE, Step.SMTP_AUTH)
    assert steps(graph, Method.RELAY) == (
        Step.MAILBOX,
        Step.APP,
        Step.SCOPE,
        Step.CONNECTOR,
        Step.SPF,
        Step.MAIL_FLOW_RULE,
    )


def test_settings_key_and_secrets_are_written_and_only_the_settings_may_be_read_by_others(tmp_path, capsys):
    file = tmp_path / "new" / "relaycanary.yaml"
    assert init(Target(file=file, force=False), GIVEN, None) == 0
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in file.parent.iterdir()}
    assert modes == {
        "relaycanary.yaml": "0o644",
        "relaycanary.schema.json": "0o644",
        SIGNING_KEY: "0o600",
        "app-client-secret": "0o600",
        "outside-password": "0o600",
    }
    said = capsys.readouterr()
    assert "chosen" in said.out
    assert "deploy/m365/smtp-auth.md" in said.out
    assert said.err.count("does not hold the secret yet") == 2
    key = (file.parent / SIGNING_KEY).read_text().strip()
    assert len(key) == 44
    assert key not in said.out + said.err + file.read_text()


def test_a_file_that_is_there_is_only_replaced_by_force_and_secrets_never(tmp_path, capsys):
    file = tmp_path / "relaycanary.yaml"
    file.write_text("mine")
    assert init(Target(file=file, force=False), GIVEN, None) == 1
    assert file.read_text() == "mine"
    assert capsys.readouterr().err == (
        f"relaycanary: {file} is there already: name another file by --output, or replace it by --force\n"
    )
    (tmp_path / SIGNING_KEY).write_text("the key that signs until now, long enough")
    (tmp_path / "outside-password").write_text("hunter2")
    assert init(Target(file=file, force=True), GIVEN, None) == 0
    assert f"{file} is replaced; what it said is kept as {file}.1\n" in capsys.readouterr().err
    second = file.read_text()
    assert init(Target(file=file, force=True), GIVEN, None) == 0
    assert [(tmp_path / f"{file.name}.{number}").read_text() for number in (1, 2)] == ["mine", second]
    assert (tmp_path / SIGNING_KEY).read_text() == "the key that signs until now, long enough"
    assert (tmp_path / "outside-password").read_text() == "hunter2"
    assert PLACEHOLDER in (tmp_path / "app-client-secret").read_text()


def test_settings_that_cannot_be_used_leave_the_old_ones_as_they_were(tmp_path, capsys):
    file = tmp_path / "relaycanary.yaml"
    file.write_text("mine")
    given = {**GIVEN, "licensed": False, "certificate": True, "certificate_file": "gone.pem"}
    assert init(Target(file=file, force=True), given, None) == 1
    assert file.read_text() == "mine"
    err = capsys.readouterr().err
    assert f"{file}:" in err
    assert "gone.pem cannot be read" in err
    assert not list(tmp_path.glob(".*"))


def test_a_place_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert init(Target(file=tmp_path / "file" / "relaycanary.yaml", force=False), GIVEN, None) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("name", [name for name in GIVEN if name != "sender"])
def test_without_a_terminal_the_missing_options_are_named_and_nothing_is_asked(name):
    options = {"reading": "--read", "licensed": "--licensed-mailbox", "port_25_blocked": "--port-25-blocked"}
    with pytest.raises(MissingAnswers, match=options.get(name, f"--{name.replace('_', '-')}")):
        gather({**GIVEN, name: None}, ask=False)


def test_all_that_is_missing_is_named_at_once():
    with pytest.raises(MissingAnswers) as missing:
        gather({}, ask=False)
    assert str(missing.value).count("--") == 9 + 4  # four of them have an opposite


def test_the_host_of_a_mailbox_in_the_tenant_is_not_asked_for():
    answers = gather({**GIVEN, "reading": "graph", "imap_host": None}, ask=False)
    assert (answers.reading, answers.imap_host) == (Reading.GRAPH, "")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("domain", "contoso com", "--domain: 'contoso com' is not a host name"),
        ("sender", "canary", "--sender: 'canary' is not a mail address"),
        ("mailbox", "x@y\nBcc: z@y", "--mailbox: 'x@y.nBcc: z@y' contains a line break"),
        ("site", "a b", "--site: 'a b' is not a name"),
    ],
)
def test_an_answer_that_cannot_be_used_is_told_why(name, value, words):
    with pytest.raises(WrongAnswer) as wrong:
        gather({**GIVEN, name: value}, ask=False)
    assert str(wrong.value).replace("\\", ".").startswith(words)


@pytest.mark.parametrize("value", ["no", "on", "null", "1.2", "12:30", "a: b", "# x", "'", '"', "*a", "{x}", "~", "é"])
def test_no_answer_is_read_back_as_anything_but_itself(value):
    assert yaml.safe_load(f"key: {quoted(value)}") == {"key": value}


COMMAND = [sys.executable, "-m", "agent", "init"]
OPTIONS = [
    *("--domain", "contoso.com", "--recipients", "outside", "--no-licensed-mailbox", "--static-ip"),
    *("--no-certificate", "--port-25-open", "--read", "imap", "--mailbox", "canary@outside.example"),
    *("--imap-host", "imap.outside.example"),
]


def test_the_command_runs_unattended(tmp_path):
    command = [*COMMAND, *OPTIONS, "-o", str(tmp_path / "relaycanary.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "relaycanary.yaml").paths["relay"].kind == "relay"
    assert "connector.md" in done.stdout


@pytest.mark.parametrize("more", [[], ["--recipients", "everybody"], ["--domain", "a b"]])
def test_wrong_usage_ends_with_64_and_no_traceback(tmp_path, more):
    done = subprocess.run(
        [*COMMAND, *more],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=tmp_path,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 64
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_at_a_terminal_it_asks_and_asks_again_what_it_cannot_use(tmp_path):
    ours, theirs = pty.openpty()
    command = [*COMMAND, *OPTIONS[2:], "-o", str(tmp_path / "relaycanary.yaml")]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True) as running:
        os.close(theirs)
        os.write(ours, b"contoso com\ncontoso.com\n\n")  # the domain, wrong and right; the sender as proposed
        said = b""
        try:
            while chunk := os.read(ours, 4096):
                said += chunk
        except OSError:  # Linux ends a pseudo-terminal so
            pass
        assert running.wait() == 0, said
    os.close(ours)
    assert b"is not a host name" in said
    assert load(tmp_path / "relaycanary.yaml").checks["relay"].sender == "canary@contoso.com"
