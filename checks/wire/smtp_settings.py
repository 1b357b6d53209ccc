"""What the settings of every SMTP path have in common.

A path's own ``Settings`` derives from `SmtpSettings`, narrows what its way of sending does not know, and says why.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from checks.core.model import Stage
from checks.settings import Address, Duration, FileReference, Host, Port, Section, Text, wrong

TlsMode = Literal["none", "opportunistic", "required", "implicit"]
"""How a connection is secured.

none: plain text. opportunistic: STARTTLS where the server offers it, and then verified. required: STARTTLS or no
mail. implicit: TLS from the first byte (RFC 8314 3.3).
"""

_DNS_PORT = 53
_LAST_PORT = 65535


def split_nameserver(value: str) -> tuple[str, int]:
    """Take ``192.0.2.53``, ``192.0.2.53:5353``, ``2001:db8::53`` or ``[2001:db8::53]:5353`` apart.

    Raises:
        ValueError: it is none of these.
    """
    address, port = value, str(_DNS_PORT)
    if value.startswith("["):
        address, _, rest = value[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif value.count(":") == 1:
        address, _, port = value.partition(":")
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= _LAST_PORT):
        raise ValueError(port)
    return str(ipaddress.ip_address(address)), int(port)


def _nameserver(value: str) -> str:
    try:
        split_nameserver(value)
    except ValueError:
        raise wrong(f"{value[:80]!r} is not a name server: write its IP address, with :port if it is not 53") from None
    return value


def _ip_address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise wrong(f"{value[:80]!r} is not an IP address of this machine") from None


class Timeouts(Section):
    """How long each stage may take as a whole.

    RFC 5321 4.5.3.2 lets a mail queue wait for minutes. A monitor that waited as long would report an outage late,
    so only the stage whose answer decides (`data`: too short a wait leaves it unknown whether the message was
    taken) is near the standard's.
    """

    dns: Duration = 10.0
    """Looking up the name. Example: `5s`"""
    connect: Duration = 15.0
    """Opening the connection. Example: `10s`"""
    greeting: Duration = 60.0
    """The server's first words, and the first EHLO. Example: `30s`"""
    starttls: Duration = 30.0
    """STARTTLS, the handshake, and the second EHLO. Example: `15s`"""
    auth: Duration = 30.0
    """The login. Example: `15s`"""
    envelope: Duration = 60.0
    """MAIL and RCPT. Example: `30s`"""
    data: Duration = 180.0
    """The message, up to the final reply. Example: `2m`"""

    def of(self, stage: Stage) -> float:
        """Tell the limit of *stage*, one of those that are timed."""
        limit: float = getattr(self, stage.value)
        return limit


class SmtpSettings(Section):
    """The keys that SMTP paths share."""

    host: Host | None = None
    """The server. Exactly one of this and `domain`. Example: `contoso-com.mail.protection.outlook.com`"""
    domain: Host | None = None
    """A mail domain, whose MX is looked up for each canary. Example: `contoso.com`"""
    port: Port = 25
    """The TCP port. Example: `587`"""
    tls: TlsMode = "required"
    """`none`; `opportunistic`: STARTTLS where the server offers it; `required`: STARTTLS or no mail;
    `implicit`: TLS from the first byte (RFC 8314). Always verified.

    Example: `required`
    """
    ca_file: Path | None = None
    """The CAs to trust *instead of* the system's, in PEM. Example: `/etc/relaycanary/gateway-ca.pem`"""
    client_certificate: FileReference | None = None
    """What a connector knows us by: a PEM file with private key, certificate and intermediates.

    Example: `{file: /etc/relaycanary/relay.pem}`
    """
    credential: Text | None = None
    """The login, one of `credentials`. Example: `noreply`"""
    mailbox: Address | None = None
    """Whose mailbox an app's token is shown for, where that is not the sender. Example: `shared@contoso.com`"""
    sender: Address
    """The address canaries are sent from. Example: `canary@contoso.com`"""
    source_address: Annotated[str, AfterValidator(_ip_address)] | None = None
    """The local IP address to connect from, where this machine has several. Example: `192.0.2.25`"""
    helo: Host | None = None
    """The name to greet with; by default this machine's. Example: `mail-canary.contoso.com`"""
    timeouts: Timeouts = Timeouts()
    """How long each stage may take: see below. Example: `{connect: 10s}`"""
    session: Literal["fresh", "kept"] = "fresh"
    """`fresh`: connection, TLS and login are tested with every canary; `kept`: the connection is used again.

    Example: `kept`
    """
    nameservers: tuple[Annotated[str, AfterValidator(_nameserver)], ...] = Field(default=(), max_length=8)
    """Name servers to ask instead of the system's. Example: `[192.0.2.53]`"""
    bounces: Text | None = None
    """The mailbox where bounces of this path land, one of `mailboxes`; by default the one whose address is the
    sender.

    Example: `noreply`
    """
    sent_items: Text | None = None
    """The mailbox that keeps copies of what is sent, one of `mailboxes`: the agent removes those of canaries.

    Example: `noreply`
    """

    @model_validator(mode="after")
    def _one_destination(self) -> Self:
        if (self.host is None) == (self.domain is None):
            raise wrong("say where to connect to by exactly one of host (a server) and domain (its MX is looked up)")
        return self

    @model_validator(mode="after")
    def _nothing_secret_in_plain_text(self) -> Self:
        if self.credential is not None and self.tls not in {"required", "implicit"}:
            raise wrong(f"a credential is never shown over plain text: tls is {self.tls}, set it to required")
        if self.mailbox is not None and self.credential is None:
            raise wrong("mailbox says whom an app's token is shown for, and there is no credential")
        if self.client_certificate is not None and self.tls == "none":
            raise wrong("a client certificate can only be shown in a TLS handshake: tls is none, set it to required")
        return self


class AnonymousSettings(SmtpSettings):
    """The settings of a path on which nobody logs in and TLS, if any, starts by STARTTLS."""

    @field_validator("credential")
    @classmethod
    def _no_login(cls, value: str | None) -> str | None:
        if value is not None:
            raise wrong("nobody logs in on this path: leave out credential, or use kind submission or smtp")
        return value

    @field_validator("tls")
    @classmethod
    def _no_implicit_tls(cls, value: TlsMode) -> TlsMode:
        if value == "implicit":
            raise wrong("Microsoft 365 takes no TLS from the first byte: set tls to required, which uses STARTTLS")
        return value
