"""Checks that would pass, or fail, without proving what they are there for."""

from __future__ import annotations

from collections.abc import Iterator

from agent.config.advice.rule import Advice, Context, Rule, domain_of, host_of, is_mx_endpoint
from agent.config.references import bounce_mailbox
from agent.config.settings import Plugin


def relay_inside_the_tenant(context: Context) -> Iterator[Advice]:
    """Advise on relay checks that anonymous direct send would satisfy as well."""
    for name, check, path in context.checks_by("relay"):
        inside = domain_of(context.recipient(check)) == domain_of(path.text("sender"))
        if inside and check.expect.attributed is None and check.expect.refused is None:
            yield Advice(
                ("checks", name),
                "proves nothing about the connector: mail to the sender's own domain is taken anonymously too;"
                " send to a mailbox outside the tenant, or expect {attributed: true}",
            )


def direct_send_through_the_connector(context: Context) -> Iterator[Advice]:
    """Advise on direct send that Exchange Online attributes to the connector of a relay path."""
    relays = [(name, path) for name, path in context.sections.paths.items() if path.kind == "relay"]
    for name, direct in context.sections.paths.items():
        if direct.kind != "direct_send":
            continue
        for relay_name, relay in relays:
            by_address = getattr(relay.settings, "client_certificate", None) is None
            same_source = direct.text("source_address") == relay.text("source_address")
            if by_address and same_source and _same_server(direct, relay):
                yield Advice(
                    ("paths", name),
                    f"comes from the same address to the same server as the path {relay_name}, which goes by IP:"
                    " it is taken for relay and proves nothing about direct send;"
                    " give one of them a source_address, or the relay a client_certificate",
                )


def junk_unknown(context: Context) -> Iterator[Advice]:
    """Advise on a mailbox in which nothing counts as the Junk folder, as far as the settings tell."""
    for name in dict.fromkeys(check.mailbox for check in context.sections.checks.values()):
        mailbox = context.sections.mailboxes[name]
        is_junk = getattr(mailbox.settings, "is_junk", None)
        if is_junk is not None and not any(map(is_junk, getattr(mailbox.settings, "folders", ()))):
            write = "junkemail" if mailbox.kind == "graph" else "it, and say which it is by junk: NAME"
            yield Advice(
                ("mailboxes", name, "folders"),
                "none of them is known to be the Junk folder: a canary that is filed there is called lost, or passes if"
                f" the folder is listed and the server does not say what it is for; list {write}",
            )


def sent_alone(context: Context) -> Iterator[Advice]:
    """Advise on a mailbox that is watched for arrivals where only copies of sent mail lie."""
    for name in dict.fromkeys(check.mailbox for check in context.sections.checks.values()):
        settings = context.sections.mailboxes[name].settings
        folders = getattr(settings, "folders", ())
        if folders and hasattr(settings, "is_sent") and all(map(settings.is_sent, folders)):
            yield Advice(
                ("mailboxes", name, "folders"),
                "copies of sent mail lie in all of them, which are no delivery: every canary would be called lost;"
                " list the folder in which mail arrives as well",
            )


def _same_server(one: Plugin, other: Plugin) -> bool:
    first, second = (host_of(path) or (path.text("domain") or "").lower() for path in (one, other))
    return first == second or _is_mx_of(first, second) or _is_mx_of(second, first)


def _is_mx_of(host: str, domain: str) -> bool:
    """Guess whether *host* is Exchange Online's MX of *domain*; the true name is in DNS, which is not asked here."""
    return host.startswith(f"{domain.replace('.', '-')}.") and is_mx_endpoint(host)


def direct_send_to_the_outside(context: Context) -> Iterator[Advice]:
    """Advise on direct send to recipients that Exchange Online does not host."""
    for name, check, path in context.checks_by("direct_send"):
        inside = domain_of(context.recipient(check)) in {
            domain_of(path.text("sender")),
            (path.text("domain") or "").lower(),
        }
        if not inside and check.expect.refused is None:
            yield Advice(
                ("checks", name),
                f"direct send reaches mailboxes of the tenant only, and {domain_of(context.recipient(check))} is not"
                " the sender's domain: send to a mailbox of the tenant, or expect {refused: '5.4.1|5.7.*'}",
            )


def relay_from_ipv6(context: Context) -> Iterator[Advice]:
    """Advise on a relay that goes by IP, but from an IPv6 address, which no connector can name."""
    for name, path in context.sections.paths.items():
        source = path.text("source_address") or ""
        if path.kind == "relay" and ":" in source and getattr(path.settings, "client_certificate", None) is None:
            yield Advice(
                ("paths", name, "source_address"),
                f"{source} is IPv6, which a connector cannot name (SenderIPAddresses are IPv4): send from an IPv4"
                " address, or show a client_certificate",
            )


def bounces_unwatched(context: Context) -> Iterator[Advice]:
    """Advise on paths whose bounces nobody would see: what bounced would be called lost, and later."""
    sections = context.sections
    for name in {check.path: None for check in sections.checks.values() if check.expect.refused is None}:
        path = sections.paths[name]
        if bounce_mailbox(path, sections) is None:
            yield Advice(
                ("paths", name),
                f"nobody watches for its bounces: no mailbox has the address {path.text('sender')};"
                " configure that mailbox, or say by `bounces` which one gets them",
            )


PROOF_RULES: tuple[Rule, ...] = (
    relay_inside_the_tenant,
    direct_send_through_the_connector,
    direct_send_to_the_outside,
    relay_from_ipv6,
    bounces_unwatched,
    junk_unknown,
    sent_alone,
)
