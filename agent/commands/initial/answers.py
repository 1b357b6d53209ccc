"""What ``relaycanary init`` has to know."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Recipients(enum.StrEnum):
    """Who the devices and applications send to."""

    INSIDE = "inside"
    OUTSIDE = "outside"


class Reading(enum.StrEnum):
    """How the mailbox is read that canaries go to."""

    IMAP = "imap"
    GRAPH = "graph"
    IMAP_TENANT = "imap-tenant"

    @property
    def inside(self) -> bool:
        """Tell whether that mailbox is one of the tenant's."""
        return self is not Reading.IMAP


class Method(enum.StrEnum):
    """The ways to send through Microsoft 365, in its own order."""

    SUBMISSION = "submission"
    RELAY = "relay"
    DIRECT_SEND = "direct_send"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The answers to all questions.

    `licensed` is about the mailbox that sends; `static_ip` about the address that mail leaves from, and
    `port_25_blocked` about the way there. `certificate_file` is the PEM file, where there is one already. `imap_host`
    is the host of a mailbox elsewhere.
    """

    domain: str
    recipients: Recipients
    licensed: bool
    static_ip: bool
    certificate: bool
    port_25_blocked: bool
    sender: str
    reading: Reading
    mailbox: str
    imap_host: str = ""
    certificate_file: str = ""
    site: str = "default"
