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
    """How long each stage may take as a whole, in seconds.

    RFC 5321 4.5.3.2 lets a mail queue wait for minutes. A monitor that waited as long would report an outage late,
    so only the stage whose answer decides (`data`: too short a wait leaves it unknown whether the message was
    taken) is near the standard's.
    """

    dns: Duration = 10.0
    connect: Duration = 15.0
    greeting: Duration = 60.0
    starttls: Duration = 30.0
    auth: Duration = 30.0
    envelope: Duration = 60.0
    data: Duration = 180.0

    def of(self, stage: Stage) -> float:
        """Tell the limit of *stage*, one of those that are timed."""
        limit: float = getattr(self, stage.value)
        return limit


class SmtpSettings(Section):
    """The keys that SMTP paths share.

    host: the server. domain: or the mail domain whose MX is looked up. ca_file: the CAs to trust *instead of* the
    system's. client_certificate: a PEM file with key, certificate and intermediates. credential: the name of a
    credential. mailbox: whose mailbox an app's token is shown for, where that is not the sender. source_address: the
    local address to connect from. helo: the name to greet with (default: this machine's). session: `fresh` tests
    connection, TLS and login with every canary, `kept` reuses the connection. nameservers: asked instead of the
    system's resolver. bounces, sent_items: the mailboxes where this path's bounces and its copies in Sent Items land;
    the agent reads them.
    """

    host: Host | None = None
    domain: Host | None = None
    port: Port = 25
    tls: TlsMode = "required"
    ca_file: Path | None = None
    client_certificate: FileReference | None = None
    credential: Text | None = None
    mailbox: Address | None = None
    sender: Address
    source_address: Annotated[str, AfterValidator(_ip_address)] | None = None
    helo: Host | None = None
    timeouts: Timeouts = Timeouts()
    session: Literal["fresh", "kept"] = "fresh"
    nameservers: tuple[Annotated[str, AfterValidator(_nameserver)], ...] = Field(default=(), max_length=8)
    bounces: Text | None = None
    sent_items: Text | None = None

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
