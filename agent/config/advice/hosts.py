"""Hosts that do not do what the settings want of them."""

from __future__ import annotations

from collections.abc import Iterator

from agent.config.advice.rule import SUBMISSION_HOSTS, Advice, Context, Rule, host_of

_READING_HOSTS = frozenset({"outlook.office365.com", "partner.outlook.cn"})
_READING_NAMES = ("imap.", "imap-", "pop.", "pop3.")
_SENDING_NAMES = ("smtp.", "smtp-", "mx.")


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


HOST_RULES: tuple[Rule, ...] = (submission_host_without_login, reading_host_for_sending, sending_host_for_reading)
