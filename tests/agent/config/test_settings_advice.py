"""What is allowed but will not do what was meant: one row for every warning."""

import os
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.config.advice import RULES
from agent.config.advice.rule import Context
from agent.config.habits import EWS
from agent.config.problems import Problems
from agent.config.verify import Verifier

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

RELAY = "{kind: relay, host: mx.contoso.example, sender: canary@contoso.example, bounces: outside}"
SUBMISSION_HOST = "host: smtp.contoso.example"
OUTSIDE = "host: imap.outside.example, credential: outside"
TOKEN = "{kind: token, username: noreply@contoso.example, token: {file: token}}"
TO_OUTSIDE = "    mailbox: outside\n"
LAST = "  submission: {path: submission, mailbox: outside, every: 5m}\n"
LOGIN_DEMANDED = (
    "smtp.office365.com always demands a login, so that a %s is refused (530 5.7.57):"
    " use the MX host of your domain, like contoso-com.mail.protection.outlook.com"
)
TAKEN_FOR_RELAY = (
    "comes from the same address to the same server as the path relay, which goes by IP: it is taken for relay and"
    " proves nothing about direct send; give one of them a source_address, or the relay a client_certificate"
)
PROVES_NOTHING = (
    "proves nothing about the connector: mail to the sender's own domain is taken anonymously too;"
    " send to a mailbox outside the tenant, or expect {attributed: true}"
)
TENANT_ONLY = (
    "direct send reaches mailboxes of the tenant only, and outside.example is not the sender's domain:"
    " send to a mailbox of the tenant, or expect {refused: '5.4.1|5.7.*'}"
)
RETIRED = (
    "logs in to smtp.office365.com with a password, which Microsoft is ending: off by default from the end of"
    " December 2026, the day of its removal to be announced in the second half of 2027 (as announced on 2026-01-27;"
    " 550 5.7.30 from then on); change to OAuth"
)


def direct(host: str, **options: str) -> tuple[str, str]:
    """Return the change that adds a direct_send path, and checks it with a recipient of the tenant."""
    more = "".join(f", {name}: {value}" for name, value in options.items())
    path = f"{{kind: direct_send, {host}, sender: canary@contoso.example, bounces: outside{more}}}"
    return "mailboxes:\n", f"  direct: {path}\nmailboxes:\n"


def provider(preset: str, credential: str = "other") -> tuple[str, str]:
    """Return the change that adds a path of kind smtp by a preset."""
    login = f", credential: {credential}" if credential else ""
    path = f"{{kind: smtp, preset: {preset}{login}, sender: canary@contoso.example, bounces: outside}}"
    return "mailboxes:\n", f"  other: {path}\nmailboxes:\n"


def provider_check(every: str) -> list[tuple[str, str]]:
    """Return the changes that add a password for that path, and a check of it."""
    password = "  other: {kind: password, username: somebody, password: {file: outside}}\n"
    return [
        ("paths:\n", f"{password}paths:\n"),
        (LAST, f"{LAST}  other: {{path: other, mailbox: outside, every: {every}}}\n"),
    ]


DIRECT_CHECK = (LAST, f"{LAST}  direct: {{path: direct, mailbox: outside, to: canary@contoso.example, every: 5m}}\n")

ADVISED = {
    "relay host that demands a login": (
        [(RELAY, RELAY.replace("mx.contoso.example", "smtp.office365.com"))],
        [f"7: warning: paths.relay.host: {LOGIN_DEMANDED % 'relay'}"],
    ),
    "direct send host that demands a login": (
        [direct("host: SMTP.office365.com"), DIRECT_CHECK],
        [f"14: warning: paths.direct.host: {LOGIN_DEMANDED % 'direct_send'}"],
    ),
    "host for reading used for sending": (
        [(SUBMISSION_HOST, "host: outlook.office365.com")],
        [
            (
                "10: warning: paths.submission.host: outlook.office365.com is a host for reading mail:"
                " submission goes to smtp.office365.com"
            )
        ],
    ),
    "any provider's host for reading used for sending": (
        [(SUBMISSION_HOST, "host: imap.contoso.example")],
        [
            (
                "10: warning: paths.submission.host: imap.contoso.example is a host for reading mail:"
                " submission goes to smtp.office365.com"
            )
        ],
    ),
    "host for sending used for reading": (
        [(OUTSIDE, "host: smtp.office365.com, credential: outside")],
        [
            (
                "15: warning: mailboxes.outside.host: smtp.office365.com is a host for sending mail:"
                " IMAP is at outlook.office365.com"
            )
        ],
    ),
    "relay to an accepted domain": (
        [(TO_OUTSIDE, TO_OUTSIDE + "    to: printer@contoso.example\n")],
        [f"17: warning: checks.relay: {PROVES_NOTHING}"],
    ),
    "direct send from where the connector expects relay": (
        [direct("host: mx.contoso.example"), DIRECT_CHECK],
        [f"14: warning: paths.direct: {TAKEN_FOR_RELAY}"],
    ),
    "direct send to the MX that the relay names": (
        [
            (RELAY, RELAY.replace("mx.contoso.example", "contoso-example.mail.protection.outlook.com")),
            direct("domain: contoso.example"),
            DIRECT_CHECK,
        ],
        [f"14: warning: paths.direct: {TAKEN_FOR_RELAY}"],
    ),
    "direct send to an external recipient": (
        [direct("domain: contoso.example"), (LAST, f"{LAST}  direct: {{path: direct, mailbox: outside, every: 5m}}\n")],
        [f"23: warning: checks.direct: {TENANT_ONLY}"],
    ),
    "bounces that nobody watches": (
        [(RELAY, RELAY.replace(", bounces: outside", ""))],
        [
            (
                "7: warning: paths.relay: nobody watches for its bounces: no mailbox has the address"
                " canary@contoso.example; configure that mailbox, or say by `bounces` which one gets them"
            )
        ],
    ),
    "basic authentication": (
        [
            (SUBMISSION_HOST, "host: smtp.office365.com"),
            (TOKEN, "{kind: password, username: noreply@contoso.example, password: {file: token}}"),
        ],
        [f"11: warning: paths.submission.credential: {RETIRED}"],
    ),
    "more canaries than one mailbox may submit": (
        [("mailbox: outside, every: 5m}", "mailbox: outside, every: 1900ms}")],
        [
            (
                "8: warning: paths.submission: 32 canaries a minute are submitted by noreply@contoso.example, but"
                " Exchange Online delays what is over 30: they will be late; raise `every` of its checks"
            )
        ],
    ),
    "more canaries than one mailbox may submit, in two checks": (
        [
            (
                "mailbox: outside, every: 5m}",
                "mailbox: outside, every: 3s}\n  second: {path: submission, mailbox: outside, every: 3s}",
            )
        ],
        [
            (
                "8: warning: paths.submission: 40 canaries a minute are submitted by noreply@contoso.example, but"
                " Exchange Online delays what is over 30: they will be late; raise `every` of its checks"
            )
        ],
    ),
    "more connections than may submit for one mailbox": (
        [(LAST, LAST + "".join(f"  more{n}: {{path: submission, mailbox: outside, every: 5m}}\n" for n in range(3)))],
        [
            (
                "8: warning: paths.submission: 4 connections may submit for noreply@contoso.example at once, but"
                " Exchange Online takes 3 and refuses more (432 4.3.2): use fewer checks, another mailbox, or"
                " session: kept"
            )
        ],
    ),
    "basic authentication for IMAP": (
        [(OUTSIDE, "host: outlook.office365.com, credential: outside")],
        [
            (
                "15: warning: mailboxes.outside.credential: logs in to outlook.office365.com with a password, which"
                " Exchange Online refuses since October 2022, app passwords too: change to OAuth (kind entra, or kind"
                " token)"
            )
        ],
    ),
    "a login at an MX endpoint": (
        [(SUBMISSION_HOST, "host: contoso-example.mail.protection.outlook.com")],
        [
            (
                "10: warning: paths.submission.host: contoso-example.mail.protection.outlook.com is an MX endpoint,"
                " where nobody can log in: submission goes to smtp.office365.com, or leave out the credential and use"
                " kind relay"
            )
        ],
    ),
    "an MX endpoint on another port": (
        [(RELAY, RELAY.replace("mx.contoso.example", "contoso-example.j-v1.mx.microsoft, port: 587"))],
        [
            (
                "7: warning: paths.relay.port: an MX endpoint listens on port 25 only, not on 587: where port 25 is"
                " blocked, ask for it to be opened, or send by kind submission on port 587"
            )
        ],
    ),
    "a host of EWS": (
        [(OUTSIDE, "host: ews.contoso.example, credential: outside")],
        [f"15: warning: mailboxes.outside.host: ews.contoso.example looks like a host of EWS: {EWS}"],
    ),
    "relay by IP from IPv6": (
        [(RELAY, RELAY.replace("bounces", "source_address: '2001:db8::1', bounces"))],
        [
            (
                "7: warning: paths.relay.source_address: 2001:db8::1 is IPv6, which a connector cannot name"
                " (SenderIPAddresses are IPv4): send from an IPv4 address, or show a client_certificate"
            )
        ],
    ),
    "more canaries a minute than a provider takes": (
        [provider("acs"), *provider_check("1s")],
        [
            (
                "15: warning: paths.other: 60 canaries a minute go by Azure Communication Services, which takes 30"
                " until it is asked for more: raise `every` of its checks"
            )
        ],
    ),
    "more canaries an hour than a provider takes": (
        [provider("acs"), *provider_check("30s")],
        [
            (
                "15: warning: paths.other: 120 canaries an hour go by Azure Communication Services, which takes 100"
                " until it is asked for more: raise `every` of its checks"
            )
        ],
    ),
    "a provider without a login": (
        [provider("ses, region: eu-west-1", ""), provider_check("5m")[1]],
        [("14: warning: paths.other: Amazon Simple Email Service takes mail after a login only: name a credential")],
    ),
    "a password where only tokens are taken": (
        [provider("outlook.com"), *provider_check("5m")],
        [
            (
                "15: warning: paths.other.credential: Outlook.com (personal mailboxes) takes no passwords any more:"
                " use a token (kind token)"
            )
        ],
    ),
    "a token where only passwords are taken": (
        [provider("sendgrid", "noreply"), provider_check("5m")[1]],
        [
            (
                "14: warning: paths.other.credential: Twilio SendGrid takes no tokens, but the word apikey; the"
                " password is an API key with the right Mail Send: use kind password"
            )
        ],
    ),
    "another user name than SendGrid's": (
        [provider("sendgrid"), *provider_check("5m")],
        [
            (
                "6: warning: credentials.other.username: at Twilio SendGrid the user name of path other is the word"
                " apikey; the password is an API key with the right Mail Send"
            )
        ],
    ),
    "a password for High Volume Email": (
        [provider("hve"), *provider_check("5m, to: canary@contoso.example")],
        [
            (
                "15: warning: paths.other.credential: logs in to smtp.hve.mx.microsoft with a password, which High"
                " Volume Email takes until September 2028 only: plan the change to OAuth (Mail.Send of Office 365"
                " Exchange Online, and Add-HVEAppAccess)"
            )
        ],
    ),
    "High Volume Email to the outside, by its host's name": (
        [
            (
                "mailboxes:\n",
                (
                    "  other: {kind: smtp, host: smtp.hve.mx.microsoft, credential: noreply, bounces: outside,"
                    " sender: canary@contoso.example}\nmailboxes:\n"
                ),
            ),
            provider_check("5m")[1],
        ],
        [
            (
                "23: warning: checks.other: Microsoft 365 High Volume Email sends to recipients of the tenant only, and"
                " outside.example is not the sender's domain: send to a mailbox of the tenant, or expect"
                " {refused: '5.*'}"
            )
        ],
    ),
    "sender below onmicrosoft.com": (
        [(RELAY, RELAY.replace("@contoso.example", "@contoso.onmicrosoft.com"))],
        [
            (
                "7: warning: paths.relay.sender: contoso.onmicrosoft.com may send to 100 external recipients a day,"
                " all senders together, and then is refused (550 5.7.236): use a domain of your own"
            )
        ],
    ),
    "a channel that is mail by what is tested": (
        [("mailboxes:\n", "alerts: {channels: [{url: {file: mail-url}}]}\nmailboxes:\n")],
        [
            (
                "14: warning: alerts.channels[0].url: this channel sends mail, by what path relay tests: a page about"
                " failing mail may never come; have another channel that is no mail (chat, SMS, on-call), and a"
                " heartbeat"
            )
        ],
    ),
    "a channel that is mail by others": (
        [("mailboxes:\n", "alerts: {channels: [{url: {file: other-mail-url}}]}\nmailboxes:\n")],
        [
            (
                "14: warning: alerts.channels[0].url: this channel sends mail, and mail is what is tested: a page about"
                " failing mail may never come; have another channel that is no mail (chat, SMS, on-call), and a"
                " heartbeat"
            )
        ],
    ),
    "PagerDuty by Apprise": (
        [("mailboxes:\n", "alerts: {channels: [{url: {file: pagerduty-url}}]}\nmailboxes:\n")],
        [
            (
                "14: warning: alerts.channels[0].url: PagerDuty by Apprise gets no key for each incident, so its alerts"
                " are not resolved one by one: use kind: pagerduty with routing_key"
            )
        ],
    ),
    "app registration": (
        [(TOKEN, "{kind: entra, tenant: contoso.example, client_id: 4b1c, certificate: {file: relay.pem}}")],
        [],
    ),
    "Graph in a cloud without delta queries": (
        [
            (
                TOKEN,
                "{kind: entra, tenant: contoso.example, client_id: 4b1c, client_secret: {file: token}, cloud: china}",
            ),
            (
                "{kind: imap, host: imap.outside.example, credential: outside, address: canary@outside.example}",
                "{kind: graph, credential: noreply, address: canary@outside.example}",
            ),
            ("  outside: {kind: password, username: canary@outside.example, password: {file: outside}}\n", ""),
        ],
        [
            (
                "14: warning: mailboxes.outside.kind: the Graph of cloud china does not tell what is new in a folder"
                " (delta queries), on which this reader rests: use kind imap, at partner.outlook.cn"
            )
        ],
    ),
    "a mailbox in which nothing counts as junk": (
        [("address: canary@outside.example}", "address: canary@outside.example, folders: [INBOX, Allerlei]}")],
        [
            (
                "15: warning: mailboxes.outside.folders: none of them is known to be the Junk folder: a canary that is"
                " filed there is called lost, or passes if the folder is listed and the server does not say what it is"
                " for; list it, and say which it is by junk: NAME"
            )
        ],
    ),
    "a mailbox of which only copies of sent mail are watched": (
        [("address: canary@outside.example}", "address: canary@outside.example, folders: [Gesendet]}")],
        [
            (
                "15: warning: mailboxes.outside.folders: none of them is known to be the Junk folder: a canary that is"
                " filed there is called lost, or passes if the folder is listed and the server does not say what it is"
                " for; list it, and say which it is by junk: NAME"
            ),
            (
                "15: warning: mailboxes.outside.folders: copies of sent mail lie in all of them, which are no delivery:"
                " every canary would be called lost; list the folder in which mail arrives as well"
            ),
        ],
    ),
    "sent items that nobody watches": (
        [("    sender: noreply@contoso.example\n", "    sender: noreply@contoso.example\n    sent_items: outside\n")],
        [
            (
                "13: warning: paths.submission.sent_items: the mailbox outside does not watch its Sent Items, so the"
                " copies stay there: add its name, like Sent Items, to its folders"
            )
        ],
    ),
    "more messages than one mailbox may send, by submission and by Graph": (
        [
            (
                "paths:\n",
                (
                    "  app: {kind: entra, tenant: contoso.example, client_id: 4b1c, certificate: {file: relay.pem}}\n"
                    "paths:\n"
                ),
            ),
            (
                "mailboxes:\n",
                (
                    "  graph: {kind: graph_send, credential: app, sender: noreply@contoso.example, bounces: outside}\n"
                    "mailboxes:\n"
                ),
            ),
            (
                "mailbox: outside, every: 5m}",
                "mailbox: outside, every: 3s}\n  graph: {path: graph, mailbox: outside, every: 3s}",
            ),
        ],
        [
            (
                "9: warning: paths.submission: 40 canaries a minute are submitted by noreply@contoso.example, but"
                " Exchange Online delays what is over 30: they will be late; raise `every` of its checks"
            )
        ],
    ),
    "an app whose client ID is still missing": (
        [
            (
                TOKEN,
                (
                    "{kind: entra, tenant: contoso.example, certificate: {file: relay.pem},\n"
                    '    client_id: "00000000-0000-0000-0000-000000000000"}'
                ),
            )
        ],
        [
            (
                "6: warning: credentials.noreply.client_id: stands for the ID of your app until you write it here: the"
                " Application (client) ID of the registration"
            )
        ],
    ),
    "client secret that runs out": (
        [
            (
                TOKEN,
                (
                    "{kind: entra, tenant: contoso.example, client_id: 4b1c, client_secret: {file: token},"
                    "\n    client_secret_expires: 2026-12-01}"
                ),
            )
        ],
        [
            (
                "6: warning: credentials.noreply.client_secret_expires: the client secret expires on 2026-12-01:"
                " make a new one, and change the date here"
            ),
        ],
    ),
    "client secret that has expired": (
        [
            (
                TOKEN,
                (
                    "{kind: entra, tenant: contoso.example, client_id: 4b1c, client_secret: {file: token},"
                    "\n    client_secret_expires: 2026-11-22}"
                ),
            )
        ],
        [
            (
                "6: warning: credentials.noreply.client_secret_expires: the client secret expired on 2026-11-22:"
                " make a new one, and change the date here"
            ),
        ],
    ),
    "logins that cross a network in plain text": (
        [("paths:\n", f"web: {{listen: '0.0.0.0:9825', users: {{noc: '$2b$10${'x' * 53}'}}}}\npaths:\n")],
        [
            (
                "6: warning: web.users: passwords go over the network in plain text: set web.tls, or let nothing but a"
                " proxy with TLS connect"
            ),
        ],
    ),
    "what no check uses": (
        [
            (
                "mailboxes:\n",
                (
                    "  spare: {kind: relay, host: mx2.contoso.example, sender: canary@contoso.example}\n"
                    "mailboxes:\n  unread: {kind: imap, host: imap.outside.example, credential: unneeded,"
                    " address: x@outside.example}\n"
                ),
            ),
            ("paths:\n", f"  unneeded: {TOKEN}\npaths:\n"),
        ],
        [
            "6: warning: credentials.unneeded: is not used by any check",
            "15: warning: paths.spare: is not used by any check",
            "17: warning: mailboxes.unread: is not used by any check",
        ],
    ),
}


@pytest.mark.parametrize("name", ADVISED)
def test_a_warning_names_the_line_the_reason_and_what_to_do(name, workspace, edited):
    changes, expected = ADVISED[name]
    said = workspace.warnings(edited(*changes), now=NOW)
    assert [warning.removeprefix("relaycanary.yaml:") for warning in said] == expected


NOT_ADVISED = {
    "relay to an accepted domain that demands attribution": [
        (TO_OUTSIDE, TO_OUTSIDE + "    to: printer@contoso.example\n    expect: {attributed: true}\n")
    ],
    "relay to an accepted domain that must be refused": [
        (TO_OUTSIDE, TO_OUTSIDE + "    to: printer@contoso.example\n    expect: {refused: '5.7.*'}\n")
    ],
    "direct send from an address of its own": [
        direct("host: mx.contoso.example", source_address="192.0.2.9"),
        DIRECT_CHECK,
    ],
    "direct send beside a relay by certificate": [
        (RELAY, RELAY.replace("bounces", "client_certificate: {file: relay.pem}, bounces")),
        direct("host: mx.contoso.example"),
        DIRECT_CHECK,
    ],
    "direct send to an external recipient that must be refused": [
        direct("domain: contoso.example"),
        (LAST, f"{LAST}  direct: {{path: direct, mailbox: outside, every: 5m, expect: {{refused: '5.4.1'}}}}\n"),
    ],
    "tokens for client submission": [(SUBMISSION_HOST, "host: smtp.office365.com")],
    "as many canaries as one mailbox may submit": [("mailbox: outside, every: 5m}", "mailbox: outside, every: 2s}")],
    "the host of GCC High, which both sends and reads": [
        (SUBMISSION_HOST, "host: outlook.office365.us"),
        (OUTSIDE, "host: outlook.office365.us, credential: outside"),
        ("password, username: canary@outside.example, password:", "token, username: canary@outside.example, token:"),
    ],
    "connections that are kept, and so few": [
        (SUBMISSION_HOST, f"{SUBMISSION_HOST}\n    session: kept"),
        (LAST, LAST + "".join(f"  more{n}: {{path: submission, mailbox: outside, every: 5m}}\n" for n in range(3))),
    ],
    "what a provider takes": [provider("ses, region: eu-west-1"), *provider_check("5m")],
    "relay by certificate from IPv6": [
        (
            RELAY,
            RELAY.replace("bounces", "source_address: '2001:db8::1', client_certificate: {file: relay.pem}, bounces"),
        )
    ],
    "a mailbox that gets the bounces of its own sender": [
        (RELAY, RELAY.replace(", bounces: outside", "").replace("canary@contoso.example", "Canary@Outside.example")),
        (TO_OUTSIDE, TO_OUTSIDE + "    to: canary@contoso.example\n"),
    ],
}


@pytest.mark.parametrize("name", NOT_ADVISED)
def test_nothing_is_said_about_what_is_meant(name, workspace, edited):
    assert workspace.warnings(edited(*NOT_ADVISED[name]), now=NOW) == []


def test_every_rule_has_a_row(workspace, edited):
    today = NOW.date()
    contexts = [Context(workspace.load(edited(*changes), now=NOW).sections, today) for changes, _ in ADVISED.values()]
    assert [rule.__name__ for rule in RULES if not any(list(rule(context)) for context in contexts)] == []


def test_the_documented_example_is_warned_of_what_it_is(workspace, edited, monkeypatch):
    for name in ("APP_SECRET", "OUTSIDE_PASSWORD", "PAGER_URL", "HEARTBEAT_URL", "SENTRY_DSN"):
        monkeypatch.setenv(name, "of-the-environment")
    said = workspace.warnings(edited(name="good/design.yaml"), now=NOW)
    assert [warning.split(": ")[2] for warning in said] == [
        "paths.submission.credential",
    ]


def test_a_ledger_with_one_slash_too_few_is_warned_of(workspace, edited):
    assert workspace.warnings(edited(("agent:\n", "agent:\n  ledger: sqlite:///usr/ledger.db\n")), now=NOW) == [
        (
            f"relaycanary.yaml:2: warning: agent.ledger: means {workspace.folder}/usr/ledger.db, beside the"
            " settings file: with four slashes it would be sqlite:////usr/ledger.db"
        )
    ]


def test_a_secret_that_others_may_read_is_warned_of(workspace, edited):
    file = workspace.secret("shared", "hunter2", 0o644)
    assert workspace.warnings(edited(("{file: outside}", "{file: shared}")), now=NOW) == [
        f"relaycanary.yaml:4: warning: credentials.outside.password: {file} can be read by others: chmod 600 it"
    ]


def test_a_certificate_that_expires_soon_is_warned_of(workspace, edited):
    text = edited((RELAY, RELAY.replace("bounces", "client_certificate: {file: relay.pem}, bounces")))
    assert workspace.warnings(text, now=datetime(2039, 11, 1, tzinfo=UTC)) == []
    assert workspace.warnings(text, now=datetime(2039, 12, 24, tzinfo=UTC)) == [
        (
            "relaycanary.yaml:7: warning: paths.relay.client_certificate: the certificate expires on 2040-01-01:"
            " renew it before then"
        )
    ]


@contextmanager
def as_nobody():
    """Be a user who may write nowhere in particular, which root can."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("/var/relaycanary-of-a-test/deep/ledger.db", ["/var/relaycanary-of-a-test/deep cannot be made by this user"]),
        ("/var/ledger-of-a-test.db", ["/var cannot be written by this user"]),
        ("/dev/shm/relaycanary-of-a-test/ledger.db", []),  # noqa: S108 - a folder of everybody's
    ],
)
def test_a_ledger_that_this_user_could_not_write_is_warned_of(file, words, workspace):
    problems = Problems(workspace.folder / "relaycanary.yaml")
    with as_nobody():
        Verifier(problems, NOW).verify_ledger(Path(file), ("agent", "ledger"))
    assert [one.message.partition(":")[0] for one in problems.warnings] == words
