"""Limits and end dates of Microsoft 365 that the settings run into."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from agent.config.advice.rule import SUBMISSION_HOSTS, Advice, Context, Rule, domain_of, host_of
from agent.config.model import PasswordCredential, TokenCredential
from agent.config.settings import Plugin

_MOST_A_MINUTE = 30
"""Messages that one mailbox may submit in a minute; more are delayed (Exchange Online limits, sending limits)."""
_MOST_CONNECTIONS = 3
"""Connections that may submit for one mailbox at once; more get 432 4.3.2 (SMTP submission improvements)."""
_IMAP_HOSTS = frozenset(
    {"outlook.office365.com", "outlook.office365.us", "outlook-dod.office365.us", "partner.outlook.cn"}
)


def basic_authentication(context: Context) -> Iterator[Advice]:
    """Advise on passwords for client submission (Exchange Team Blog of 2026-01-27, and 550 5.7.30)."""
    for name, path in context.sections.paths.items():
        credential = context.sections.credentials.get(path.text("credential") or "")
        if host_of(path) in SUBMISSION_HOSTS and isinstance(credential, PasswordCredential):
            yield Advice(
                ("paths", name, "credential"),
                f"logs in to {host_of(path)} with a password, which Microsoft is ending: off by default from the end of"
                " December 2026, the day of its removal to be announced in the second half of 2027 (as announced on"
                " 2026-01-27; 550 5.7.30 from then on); change to OAuth",
            )


def basic_authentication_of_imap(context: Context) -> Iterator[Advice]:
    """Advise on passwords for reading at Exchange Online, where they ended in 2022."""
    for name, mailbox in context.sections.mailboxes.items():
        credential = context.sections.credentials.get(mailbox.text("credential") or "")
        if host_of(mailbox) in _IMAP_HOSTS and isinstance(credential, PasswordCredential):
            yield Advice(
                ("mailboxes", name, "credential"),
                f"logs in to {host_of(mailbox)} with a password, which Exchange Online refuses since October 2022,"
                " app passwords too: change to OAuth (kind entra, or kind token)",
            )


def submission_rate(context: Context) -> Iterator[Advice]:
    """Advise on more canaries than one mailbox may submit: Exchange Online delays the rest, which looks like late."""
    rates: defaultdict[str, float] = defaultdict(float)
    places: dict[str, str] = {}
    for _, check, path in context.checks_by("submission", "graph_send"):
        account = _account(context, path).casefold()
        rates[account] += 60 / check.every
        places.setdefault(account, check.path)
    for account, rate in rates.items():
        if rate > _MOST_A_MINUTE:
            yield Advice(
                ("paths", places[account]),
                f"{rate:.0f} canaries a minute are submitted by {account}, but Exchange Online delays what is over"
                f" {_MOST_A_MINUTE}: they will be late; raise `every` of its checks",
            )


def submission_connections(context: Context) -> Iterator[Advice]:
    """Advise on more connections than may submit for one mailbox at once."""
    users: defaultdict[str, set[str]] = defaultdict(set)
    places: dict[str, str] = {}
    for name, check, path in context.checks_by("submission"):
        account = _account(context, path).casefold()
        kept = path.text("session") == "kept"  # then its checks share one connection
        users[account].add(f"path {check.path}" if kept else f"check {name}")
        places.setdefault(account, check.path)
    for account, by in users.items():
        if len(by) > _MOST_CONNECTIONS:
            yield Advice(
                ("paths", places[account]),
                f"{len(by)} connections may submit for {account} at once, but Exchange Online takes {_MOST_CONNECTIONS}"
                " and refuses more (432 4.3.2): use fewer checks, another mailbox, or session: kept",
            )


def _account(context: Context, path: Plugin) -> str:
    credential = context.sections.credentials.get(path.text("credential") or "")
    if isinstance(credential, PasswordCredential | TokenCredential):
        return credential.username
    return path.text("mailbox") or path.text("sender") or ""


def onmicrosoft_sender(context: Context) -> Iterator[Advice]:
    """Advise on senders below onmicrosoft.com, which Exchange Online throttles (550 5.7.236)."""
    for name, path in context.sections.paths.items():
        domain = domain_of(path.text("sender"))
        if domain.endswith(".onmicrosoft.com"):
            yield Advice(
                ("paths", name, "sender"),
                f"{domain} may send to 100 external recipients a day, all senders together, and then is refused"
                " (550 5.7.236): use a domain of your own",
            )


SERVICE_RULES: tuple[Rule, ...] = (
    basic_authentication,
    basic_authentication_of_imap,
    submission_rate,
    submission_connections,
    onmicrosoft_sender,
)
