"""Who lives in the simulated tenant, and the rules by which Exchange Online takes mail: pure, without I/O.

Sources: "How to set up a multifunction device or application to send email using Microsoft 365" (direct send and
relay), "Updated requirements for SMTP relay through Exchange Online" (attribution, November 2023), and the Exchange
blog on ``RejectDirectSend`` (2025).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

TENANT_DOMAIN = "contoso.example"
TENANT_ID = "8b9e3c1d-4f60-4a57-9d2e-6c0f5a7be310"
APP_NAME = "relaycanary"
"""The app registration by which programs of the tenant get their tokens."""
CLIENT_ID = "6f1d2a54-93b8-4c0e-8a77-2d4f9b1c5e60"
OUTSIDE_DOMAIN = "outside.example"
CONNECTOR_ADDRESS = "127.0.0.2"
"""The source address that the tenant's inbound connector knows; anything else is anonymous."""

INBOX = "INBOX"
JUNK = "Junk Email"
SENT = "Sent Items"
DELETED = "Deleted Items"


class PathName(StrEnum):
    """The ways into the tenant. The values are the path names of the settings, and targets of faults."""

    RELAY = "relay"
    SUBMISSION = "submission"
    DIRECT = "direct"
    GRAPH = "graph"


SMTP_PATHS = (PathName.RELAY, PathName.SUBMISSION, PathName.DIRECT)
MAILBOX_PATHS = frozenset({PathName.SUBMISSION, PathName.GRAPH})
"""Where a mailbox of the tenant sends: its mail is internal from the first hop."""


@dataclass(frozen=True, slots=True)
class Account:
    """A mailbox: `mailbox` is its name in the settings and as a target of faults."""

    mailbox: str
    address: str
    hosted: bool
    """True in the tenant, False at the other provider."""
    user_id: str = ""
    """The object id of the user in the tenant."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What proves an account."""

    password: str

    def __repr__(self) -> str:
        """Keep them out of logs and tracebacks."""
        return "Secrets(***)"


ACCOUNTS = (
    Account("inbox", f"canary@{TENANT_DOMAIN}", hosted=True, user_id="0a4c7f92-6d1e-4b83-a5f0-9c3e2b7d8161"),
    Account("noreply", f"noreply@{TENANT_DOMAIN}", hosted=True, user_id="71e5d0b8-2c9f-4a36-8d47-e0b6a1f3c592"),
    Account("outside", f"canary@{OUTSIDE_DOMAIN}", hosted=False),
)
FOLDERS = (INBOX, JUNK, SENT, DELETED)


@dataclass(frozen=True, slots=True)
class Peer:
    """What the server knows about the client of one session."""

    address: str
    helo: str = ""
    tls_version: str = ""
    """As OpenSSL names it, for example ``TLSv1.3``; empty without TLS."""
    tls_cipher: str = ""
    certificate_names: tuple[str, ...] = ()
    """DNS names of the client certificate, once TLS has verified it."""
    account: Account | None = None
    """Who is signed in; only client submission has that."""
    by_token: bool = False
    """An app has signed in for the account."""


def account_of(address: str) -> Account | None:
    """Find the account with this address; mail addresses are compared without regard to case."""
    wanted = address.lower()
    return next((account for account in ACCOUNTS if account.address == wanted), None)


def domain_of(address: str) -> str:
    """Return the part after the last @, in lower case; empty for the null reverse-path."""
    return address.rpartition("@")[2].lower() if "@" in address else ""


def connector_matches(peer: Peer) -> bool:
    """Tell whether the inbound connector (type OnPremises) knows the client by source address or certificate."""
    return peer.address == CONNECTOR_ADDRESS or _has_tenant_certificate(peer)


def is_attributed(peer: Peer, mail_from: str) -> bool:
    """Tell whether mail of this client counts as the tenant's own, so that it may go to the internet.

    Both are needed since November 2023: a matching connector, and an accepted domain in the certificate or in the
    P1 sender. The From header does not count, and the null sender therefore needs the certificate.
    """
    return connector_matches(peer) and (_has_tenant_certificate(peer) or domain_of(mail_from) == TENANT_DOMAIN)


def _has_tenant_certificate(peer: Peer) -> bool:
    return any(name in {TENANT_DOMAIN, f"*.{TENANT_DOMAIN}"} for name in peer.certificate_names)


def refuse_recipient(
    peer: Peer, mail_from: str, recipient: str, *, connector: bool = True, direct_send: bool = True
) -> str | None:
    """Return the refusal of *recipient* at the MX endpoint, without the server's suffix, or None to accept.

    Args:
        peer: the client.
        mail_from: the P1 sender.
        recipient: the P1 recipient.
        connector: False when the tenant has lost its inbound connector.
        direct_send: False when the tenant has ``RejectDirectSend`` set.
    """
    known = connector and connector_matches(peer)
    if domain_of(recipient) != TENANT_DOMAIN:
        if connector and is_attributed(peer, mail_from):
            return None
        return "550 5.7.64 TenantAttribution; Relay Access Denied"
    if not known and not direct_send and domain_of(mail_from) == TENANT_DOMAIN:
        return (
            "550 5.7.68 TenantInboundAttribution; Direct Send not allowed for this organization from "
            "unauthorized sources"
        )
    if account_of(recipient) is None:
        return f"550 5.4.1 [{recipient}]: Recipient address rejected: Access denied"
    return None
