"""The settings file that ``relaycanary init`` writes: what was answered, and why each line is there."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from agent.commands.initial.answers import Answers, Method, Reading
from agent.commands.initial.method import other_way
from agent.config.json_schema import FILE_NAME as SCHEMA
from agent.config.model import NO_CLIENT_ID
from checks.knowledge.presets import presets

SIGNING_KEY = "relaycanary-signing.key"
APP_SECRET = "app-client-secret"  # noqa: S105 - a file's name
OUTSIDE_PASSWORD = "outside-password"  # noqa: S105 - a file's name
PROVIDER_PASSWORD = "provider-password"  # noqa: S105 - a file's name

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._@-]*")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_REMARKS_AT = 44
_NAMES = {Method.SUBMISSION: "submission", Method.RELAY: "relay", Method.DIRECT_SEND: "direct", None: "provider"}


@dataclass(frozen=True, slots=True)
class Composed:
    """The text of a settings file, and the files with secrets that it refers to, to be filled by hand."""

    text: str
    secrets: tuple[str, ...]


def compose(answers: Answers, method: Method | None) -> Composed:
    """Write settings that send by *method* (None: by a provider) and read the mailbox that was answered."""
    credentials = _credentials(answers, method)
    lines = [
        f"# yaml-language-server: $schema={SCHEMA}",
        "# Settings of relaycanary, written by `relaycanary init`. Check them with `relaycanary check-config`.",
        "# What an administrator sets in the tenant is described in deploy/m365/README.md.",
        "",
        *_agent(answers),
        "",
        "credentials:",
        *(line for _, text in credentials for line in text),
        "",
        "paths:",
        *_path(answers, method),
        "",
        "mailboxes:",
        *_mailboxes(answers, method),
        "",
        "checks:",
        *_check(answers, method),
        "",
    ]
    return Composed("\n".join(lines), tuple(secret for secret, _ in credentials))


def quoted(value: str) -> str:
    """Write *value* as a YAML scalar that is read as this text and nothing else."""
    return value if _PLAIN.fullmatch(value) and value.lower() not in _WORDS else json.dumps(value)


def _line(words: str, remark: str = "", depth: int = 2) -> str:
    line = f"{'  ' * depth}{words}"
    return f"{line:<{_REMARKS_AT}} # {remark}" if remark else line


def _agent(answers: Answers) -> list[str]:
    return [
        "agent:",
        _line(f"site: {quoted(answers.site)}", "where this agent stands: a label of its metrics", 1),
        _line("ledger: sqlite:///relaycanary.db", "beside this file; four slashes for an absolute path", 1),
        _line("# Signs canaries, so that nobody can forge one. Whoever loses it does not recognise those on", depth=1),
        _line("# their way.", depth=1),
        _line(f"signing_keys: [{{id: k1, secret: {{file: {SIGNING_KEY}}}}}]", depth=1),
        _line("keep: 7d", "how long canaries stay in their mailbox", 1),
        "web:",
        _line("listen: 127.0.0.1:9825", "metrics and pages; any other address demands web.users", 1),
    ]


def _credentials(answers: Answers, method: Method | None) -> list[tuple[str, list[str]]]:
    """Make the credentials that are used, each with the file of its secret."""
    found = []
    if method is Method.SUBMISSION or answers.reading.inside:
        app = [
            _line("app:", "the app registration: deploy/m365/app.md", 1),
            _line("kind: entra"),
            _line(f"tenant: {quoted(answers.domain)}", "or the tenant's ID"),
            _line(f'client_id: "{NO_CLIENT_ID}"', "Application (client) ID: write yours here"),
            _line(f"client_secret: {{file: {APP_SECRET}}}", "or certificate: {file: app.pem} instead"),
            _line("# client_secret_expires: 2027-11-26", "the day on which the secret ends: warned of before"),
        ]
        found.append((APP_SECRET, app))
    if answers.reading is Reading.IMAP:
        found.append((OUTSIDE_PASSWORD, _password("outside", answers.mailbox, OUTSIDE_PASSWORD)))
    if method is None:
        remark = presets()[other_way(answers)].username
        found.append((PROVIDER_PASSWORD, _password("provider", answers.sender, PROVIDER_PASSWORD, remark)))
    return found


def _password(name: str, username: str, file: str, remark: str = "") -> list[str]:
    return [
        _line(f"{name}:", depth=1),
        _line("kind: password"),
        _line(f"username: {quoted(username)}", remark),
        _line(f"password: {{file: {file}}}", "or {env: NAME}"),
    ]


def _path(answers: Answers, method: Method | None) -> list[str]:
    lines = [_line(f"{_NAMES[method]}:", depth=1), *_way(answers, method), _line(f"sender: {quoted(answers.sender)}")]
    sender_is_read = answers.reading.inside and answers.mailbox.casefold() == answers.sender.casefold()
    if method is Method.SUBMISSION:
        mailbox = "inbox" if sender_is_read else "sender"
        lines += [
            _line(f"bounces: {mailbox}", "the mailbox where its bounces arrive"),
            _line(f"sent_items: {mailbox}", "and where its copies in Sent Items are deleted"),
        ]
    elif not sender_is_read:
        lines.append(_line("# bounces: MAILBOX", "the mailbox of that sender, if it is one of those below"))
    return lines


def _way(answers: Answers, method: Method | None) -> list[str]:
    mx = _line(
        f"domain: {quoted(answers.domain)}", "its MX is looked up; behind a gateway write host: and Microsoft's name"
    )
    match method:
        case Method.SUBMISSION:
            return [
                _line("kind: submission", "a login, as the mailbox of the sender"),
                _line("host: smtp.office365.com"),
                _line("port: 587"),
                _line("credential: app"),
            ]
        case Method.RELAY:
            return [_line("kind: relay", "a connector knows this host"), mx, _line("port: 25"), *_proof(answers)]
        case Method.DIRECT_SEND:
            return [_line("kind: direct_send", "as anybody would, to mailboxes of the tenant"), mx, _line("port: 25")]
        case None:
            return [
                _line("kind: smtp", "none of Microsoft 365's three ways suits: another way out"),
                _line(f"preset: {other_way(answers)}", "host, port and TLS of that provider"),
                _line("credential: provider"),
            ]


def _proof(answers: Answers) -> list[str]:
    if not answers.certificate:
        return [
            _line("# client_certificate: {file: relay.pem}", "not needed: the connector goes by this host's address")
        ]
    if answers.certificate_file:
        return [_line(f"client_certificate: {{file: {quoted(answers.certificate_file)}}}", "the connector goes by it")]
    return [
        _line("# Until the certificate is here, the connector does not know this host (550 5.7.64). Then write:"),
        _line("# client_certificate: {file: relay.pem}", "key, certificate and intermediates, mode 0600"),
    ]


def _mailboxes(answers: Answers, method: Method | None) -> list[str]:
    lines = _reader("inbox" if answers.reading.inside else "outside", answers, answers.mailbox)
    same = answers.reading.inside and answers.mailbox.casefold() == answers.sender.casefold()
    junk, sent = _folders(answers.reading)
    if method is not Method.SUBMISSION:
        return [*lines, _line(f"folders: [{junk}]", "both are watched: nobody reads Junk")]
    if same:
        return [*lines, _line(f"folders: [{junk}, {sent}]", "Junk is watched too; Sent has copies")]
    _, sender_sent = _folders(answers.reading if answers.reading.inside else Reading.IMAP_TENANT)
    first = "inbox" if answers.reading is Reading.GRAPH else "INBOX"
    return [
        *lines,
        _line(f"folders: [{junk}]", "both are watched: nobody reads Junk"),
        *_reader("sender", answers, answers.sender),
        _line(f"folders: [{first}, {sender_sent}]", "for its bounces and copies"),
    ]


def _folders(reading: Reading) -> tuple[str, str]:
    """Name the folders that are watched, and Sent Items, as that kind of mailbox calls them."""
    return {
        Reading.IMAP: ("INBOX, Junk", "Sent"),
        Reading.GRAPH: ("inbox, junkemail", "sentitems"),
        Reading.IMAP_TENANT: ("INBOX, Junk Email", "Sent Items"),
    }[reading]


def _reader(name: str, answers: Answers, address: str) -> list[str]:
    lines = [_line(f"{name}:", depth=1)]
    if answers.reading is Reading.GRAPH:
        lines += [_line("kind: graph"), _line("credential: app")]
    elif name == "outside":
        lines += [
            _line("kind: imap", "port 993, TLS from the first byte"),
            _line(f"host: {quoted(answers.imap_host)}"),
            _line("credential: outside"),
        ]
    else:
        lines += [
            _line("kind: imap", "folder names are in the mailbox's own language"),
            _line("host: outlook.office365.com"),
            _line("credential: app"),
        ]
    return [*lines, _line(f"address: {quoted(address)}")]


def _check(answers: Answers, method: Method | None) -> list[str]:
    name = _NAMES[method]
    lines = [
        _line(f"{name}:", depth=1),
        _line(f"path: {name}"),
        _line(f"mailbox: {'inbox' if answers.reading.inside else 'outside'}"),
    ]
    if method is Method.DIRECT_SEND and not answers.reading.inside:
        lines += [
            _line("# Direct send must refuse recipients outside. That it delivers, only a mailbox inside can prove."),
            _line('expect: {refused: "5.4.1|5.7.*"}'),
        ]
    if method is Method.RELAY and answers.reading.inside:
        lines += [
            _line("# The own domain takes mail from anybody: only this proves the connector. A mailbox outside the"),
            _line("# tenant proves more."),
            _line("expect: {attributed: true}"),
        ]
    return [
        *lines,
        _line("every: 5m", "a mailbox may submit 30 messages a minute" if method is Method.SUBMISSION else ""),
        _line("late_after: 60s", "later than this is a warning"),
        _line("lost_after: 10m", "not seen by then, in a mailbox that could be read"),
        _line("severity: critical", "who is told when this way is broken: warning wakes nobody"),
    ]
