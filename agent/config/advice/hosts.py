"""Hosts that do not do what the settings want of them."""

from __future__ import annotations

from collections.abc import Iterator

from agent.config import habits
from agent.config.advice.rule import SUBMISSION_HOSTS, Advice, Context, Rule, host_of, is_mx_endpoint
from agent.config.model import EntraCredential

_READING_HOSTS = frozenset({"outlook.office365.com", "partner.outlook.cn"})
_READING_NAMES = ("imap.", "imap-", "pop.", "pop3.")
_SENDING_NAMES = ("smtp.", "smtp-", "mx.")
_SMTP = 25


def submission_host_without_login(context: Context) -> Iterator[Advice]:
    """Advise on smtp.office365.com as a relay: it answers 530 5.7.57 to everybody who has not logged in."""
    for name, path in context.sections.paths.items():
        if path.kind in {"relay", "direct_send"} and host_of(path) in SUBMISSION_HOSTS:
            yield Advice(
                ("paths", name, "host"),
                f"{host_of(path)} always demands a login, so that a {path.kind} is refused (530 5.7.57):"
                " use the MX host of your domain, like contoso-com.mail.protection.outlook.com",
            )


def reading_host_for_sending(context: Context) -> Iterator[Advice]:
    """Advise on a path that sends to a host for reading."""
    for name, path in context.sections.paths.items():
        host = host_of(path)
        if host in _READING_HOSTS or host.startswith(_READING_NAMES):
            yield Advice(
                ("paths", name, "host"), f"{host} is a host for reading mail: submission goes to smtp.office365.com"
            )


def sending_host_for_reading(context: Context) -> Iterator[Advice]:
    """Advise on a mailbox that is read from a host for sending."""
    for name, mailbox in context.sections.mailboxes.items():
        host = host_of(mailbox)
        if host in SUBMISSION_HOSTS or host.startswith(_SENDING_NAMES) or ".mail.protection." in host:
            yield Advice(
                ("mailboxes", name, "host"), f"{host} is a host for sending mail: IMAP is at outlook.office365.com"
            )


def mx_endpoint_for_submission(context: Context) -> Iterator[Advice]:
    """Advise on a login at an MX endpoint of Exchange Online, which offers none."""
    for name, path in context.sections.paths.items():
        if path.text("credential") is not None and is_mx_endpoint(host_of(path)):
            yield Advice(
                ("paths", name, "host"),
                f"{host_of(path)} is an MX endpoint, where nobody can log in: submission goes to smtp.office365.com,"
                " or leave out the credential and use kind relay",
            )


def mx_endpoint_on_another_port(context: Context) -> Iterator[Advice]:
    """Advise on an MX endpoint of Exchange Online on any port but 25."""
    for name, path in context.sections.paths.items():
        port = getattr(path.settings, "port", _SMTP)
        if is_mx_endpoint(host_of(path)) and port != _SMTP and path.text("credential") is None:
            yield Advice(
                ("paths", name, "port"),
                f"an MX endpoint listens on port 25 only, not on {port}: where port 25 is blocked, ask for it to be"
                " opened, or send by kind submission on port 587",
            )


def ews_host(context: Context) -> Iterator[Advice]:
    """Advise on a mailbox that is to be read where Exchange Web Services are."""
    for name, mailbox in context.sections.mailboxes.items():
        if host_of(mailbox).startswith("ews."):
            yield Advice(("mailboxes", name, "host"), f"{host_of(mailbox)} looks like a host of EWS: {habits.EWS}")


def graph_without_delta(context: Context) -> Iterator[Advice]:
    """Advise on reading over Graph in the cloud of 21Vianet, whose Graph has no delta queries ("message: delta")."""
    for name, mailbox in context.sections.mailboxes.items():
        credential = context.sections.credentials.get(mailbox.text("credential") or "")
        if mailbox.kind == "graph" and isinstance(credential, EntraCredential) and credential.cloud == "china":
            yield Advice(
                ("mailboxes", name, "kind"),
                "the Graph of cloud china does not tell what is new in a folder (delta queries), on which this reader"
                " rests: use kind imap, at partner.outlook.cn",
            )


HOST_RULES: tuple[Rule, ...] = (
    submission_host_without_login,
    reading_host_for_sending,
    sending_host_for_reading,
    mx_endpoint_for_submission,
    mx_endpoint_on_another_port,
    ews_host,
    graph_without_delta,
)
