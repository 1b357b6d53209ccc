"""What is configured for nothing, runs out, or lies in an unexpected place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from agent.config.advice.rule import Advice, Context, Rule
from agent.config.model import NO_CLIENT_ID, EntraCredential
from agent.config.pieces import is_loopback
from agent.config.references import bounce_mailbox
from agent.config.settings import Sections

_SOON = timedelta(days=30)


def client_id_is_missing(context: Context) -> Iterator[Advice]:
    """Advise on an app whose client ID nobody has written yet (AADSTS700016)."""
    for name, credential in context.sections.credentials.items():
        if isinstance(credential, EntraCredential) and credential.client_id == NO_CLIENT_ID:
            yield Advice(
                ("credentials", name, "client_id"),
                "stands for the ID of your app until you write it here: the Application (client) ID of the"
                " registration",
            )


def client_secret_runs_out(context: Context) -> Iterator[Advice]:
    """Advise on a client secret that has expired or soon will (AADSTS7000222)."""
    for name, credential in context.sections.credentials.items():
        expires = credential.client_secret_expires if isinstance(credential, EntraCredential) else None
        if expires is not None and expires - context.today < _SOON:
            state = "expired" if expires < context.today else "expires"
            yield Advice(
                ("credentials", name, "client_secret_expires"),
                f"the client secret {state} on {expires}: make a new one, and change the date here",
            )


def unused(context: Context) -> Iterator[Advice]:
    """Advise on what no check uses, directly or through something that it uses."""
    sections = context.sections
    paths = {check.path for check in sections.checks.values()}
    if sections.report is not None:
        paths.add(sections.report.path)
    mailboxes = {check.mailbox for check in sections.checks.values()} | _mailboxes_of(paths, sections)
    users = [*(sections.paths[name] for name in paths), *(sections.mailboxes[name] for name in mailboxes)]
    credentials = {user.text("credential") for user in users}
    for section, entries, used in (
        ("paths", sections.paths, paths),
        ("mailboxes", sections.mailboxes, mailboxes),
        ("credentials", sections.credentials, credentials),
    ):
        for name in entries:
            if name not in used:
                yield Advice((section, name), "is not used by any check")


def login_in_plain_text(context: Context) -> Iterator[Advice]:
    """Advise on passwords of readers that cross a network where others may listen."""
    web = context.sections.web
    if web.users and web.tls is None and not is_loopback(web.host):
        yield Advice(
            ("web", "users"),
            "passwords go over the network in plain text: set web.tls, or let nothing but a proxy with TLS connect",
        )


def sent_items_unwatched(context: Context) -> Iterator[Advice]:
    """Advise on a mailbox that shall be rid of copies, but whose Sent Items nobody looks into."""
    for name, path in context.sections.paths.items():
        mailbox = context.sections.mailboxes.get(path.text("sent_items") or "")
        is_sent = getattr(mailbox.settings, "is_sent", None) if mailbox is not None else None
        if (
            mailbox is not None
            and is_sent is not None
            and not any(map(is_sent, getattr(mailbox.settings, "folders", ())))
        ):
            yield Advice(
                ("paths", name, "sent_items"),
                f"the mailbox {path.text('sent_items')} does not watch its Sent Items, so the copies stay there: add"
                f" {'sentitems' if mailbox.kind == 'graph' else 'its name, like Sent Items,'} to its folders",
            )


def _mailboxes_of(paths: Iterable[str], sections: Sections) -> set[str]:
    """Tell which mailboxes are read for the sake of paths: for their bounces and their copies."""
    used = [sections.paths[name] for name in paths]
    found = {bounce_mailbox(path, sections) for path in used} | {path.text("sent_items") for path in used}
    return {name for name in found if name is not None}


UPKEEP_RULES: tuple[Rule, ...] = (
    client_id_is_missing,
    client_secret_runs_out,
    login_in_plain_text,
    sent_items_unwatched,
    unused,
)
