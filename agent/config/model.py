"""The sections of the settings that are the agent's own. Paths and mailboxes bring their own with their plug-in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StrictBool, ValidationInfo, field_validator, model_validator

from agent.config.pieces import (
    FieldName,
    HttpsUrl,
    HttpUrl,
    LedgerUrl,
    Listen,
    Name,
    TimeZone,
    Users,
    is_loopback,
    split_listen,
)
from checks.settings import Address, Duration, FileReference, Host, SecretReference, Section, Text, wrong

_KEY_ID = re.compile(r"[A-Za-z0-9]{1,16}")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")
_SCHEDULE = re.compile(r"(?:mon|tue|wed|thu|fri|sat|sun) (?:[01][0-9]|2[0-3]):[0-5][0-9]")


def _key_id(value: str) -> str:
    if _KEY_ID.fullmatch(value) is None:
        raise wrong(f"{value[:40]!r} is not the id of a key: use 1 to 16 letters and digits")
    return value


def _schedule(value: str) -> str:
    if _SCHEDULE.fullmatch(value) is None:
        raise wrong(f"{value[:40]!r} is not a day and a time, like 'mon 07:00'")
    return value


def _prom(value: Path) -> Path:
    if value.suffix != ".prom":
        raise wrong(f"{value.name[:60]!r} does not end in .prom: the node exporter would pass it over")
    return value


def _path_segment(value: str) -> str:
    if _TENANT.fullmatch(value) is None:
        raise wrong(f"{value[:60]!r} is not a tenant: write its id, or one of its domains like contoso.onmicrosoft.com")
    return value


class Ping(Section):
    """Where a watchdog is told how a check goes, by pings as Healthchecks.io understands them."""

    url: SecretReference
    """Where the address is kept; whoever knows it can ping, so it is a secret.

    Example: `{file: /etc/relaycanary/ping-relay}`
    """
    start: StrictBool = True
    """Whether it is told of each canary that goes out too (`/start`), and so how long each took. Example: `false`"""


class SigningKey(Section):
    """A key that signs canaries, or did."""

    id: Annotated[Text, AfterValidator(_key_id)]
    """Its name, which is written into every canary: 1 to 16 letters and digits, never used again for another
    key.

    Example: `k1`
    """
    secret: SecretReference
    """The key itself: at least 16 bytes, better 32 random ones. Example: `{file: /etc/relaycanary/k1}`"""


class Agent(Section):
    """The agent itself."""

    site: Name = "default"
    """Where this agent stands: a label of its metrics, and what pages and alerts call it. Example: `ams1`"""
    ledger: LedgerUrl = "sqlite:///relaycanary.db"
    """The durable record. Three slashes and a relative name: beside the settings file.

    Example: `sqlite:////var/lib/relaycanary/ledger.db`
    """
    signing_keys: Annotated[tuple[SigningKey, ...], Field(min_length=1)]
    """What proves that a canary is ours. The first key signs; all are accepted, so that keys can be replaced.

    Example: `[{id: k1, secret: {file: /etc/relaycanary/k1}}]`
    """
    keep: Duration = Field("7d", validate_default=True)
    """How long canaries stay in their mailbox. Example: `2d`"""
    ledger_keep: Duration = Field("400d", validate_default=True)
    """How long their record stays in the ledger; counters are kept for ever. Example: `90d`"""

    @field_validator("signing_keys")
    @classmethod
    def _each_id_once(cls, keys: Sequence[SigningKey]) -> Sequence[SigningKey]:
        ids = [key.id for key in keys]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise wrong(f"the id {twice[0]!r} is used twice: give the new key an id of its own")
        return keys


class WebTls(Section):
    """What the HTTP server proves itself by. Files that were renewed serve the next connection, without a reload."""

    certificate: FileReference
    """The certificate, and after it the intermediates, in PEM. Example: `{file: /etc/relaycanary/web.pem}`"""
    key: FileReference | None = None
    """Its private key, where it is not in the same file. Example: `{file: /etc/relaycanary/web.key}`"""

    @property
    def key_file(self) -> Path:
        """Where the key is."""
        return (self.key or self.certificate).file


class Web(Section):
    """The HTTP server: metrics, pages, API."""

    users: Users = Field({}, validate_default=True)
    """Who may read, by a password of which only the bcrypt hash is known here (`relaycanary hash-password`). Without
    users everybody may who can connect, so that only loopback is allowed.

    Example: `{prometheus: {file: /etc/relaycanary/web-prometheus}}`
    """
    token: SecretReference | None = None
    """The bearer token of requests that change something: reload, a canary on demand, silences. Without it there are
    none.

    Example: `{file: /etc/relaycanary/web-token}`
    """
    tls: WebTls | None = None
    """HTTPS instead of HTTP. Example: `{certificate: {file: /etc/relaycanary/web.pem}}`"""
    hosts: tuple[Host, ...] = ()
    """Further names that requests may call the agent by, as a proxy in front of it has one. On an address that other
    machines reach every name will do, unless some are given here.

    Example: `[canary.contoso.com]`
    """
    listen: Listen = Field("127.0.0.1:9825", validate_default=True)
    """Address and port; anything but loopback demands `users`. Example: `"[::1]:9825"`"""
    external_url: HttpUrl | None = None
    """Where people reach these pages, by a proxy for instance: links in alerts lead there.

    Example: `https://relaycanary.contoso.com`
    """

    @property
    def host(self) -> str:
        """The address to listen on."""
        return split_listen(self.listen)[0]

    @property
    def port(self) -> int:
        """The TCP port to listen on."""
        return split_listen(self.listen)[1]

    @field_validator("listen")
    @classmethod
    def _not_for_everybody(cls, listen: str, info: ValidationInfo) -> str:
        # "users" is missing from the data if it is wrong itself, which is reported by itself
        if not is_loopback(split_listen(listen)[0]) and not info.data.get("users", ...):
            raise wrong(
                f"{listen!r} can be reached by other machines, which demands web.users (names and bcrypt hashes of"
                " their passwords); or listen on 127.0.0.1"
            )
        return listen


class PasswordCredential(Section):
    """A user name and a password (AUTH LOGIN and PLAIN, IMAP LOGIN)."""

    kind: Literal["password"]
    """What kind of login it is. Example: `password`"""
    username: Text
    """The login, for most providers the address of the mailbox. Example: `canary@outside.example`"""
    password: SecretReference
    """Where the password is kept. Example: `{file: /etc/relaycanary/outside}`"""


class TokenCredential(Section):
    """A user name and a bearer token that somebody else renews (XOAUTH2)."""

    kind: Literal["token"]
    """What kind of login it is. Example: `token`"""
    username: Text
    """The mailbox that the token is for. Example: `noreply@contoso.com`"""
    token: SecretReference
    """Where the access token is kept; it is read anew for each login.

    Example: `{file: /run/relaycanary/noreply.token}`
    """


NO_CLIENT_ID = "00000000-0000-0000-0000-000000000000"
"""What stands for a client ID until somebody writes it there."""


class EntraCredential(Section):
    """An app registration: its tokens come from Microsoft's identity platform by client credentials."""

    kind: Literal["entra"]
    """What kind of login it is. Example: `entra`"""
    tenant: Annotated[Text, AfterValidator(_path_segment)]
    """The tenant, by its id or one of its domains. Example: `contoso.onmicrosoft.com`"""
    client_id: Text
    """The application (client) ID of the registration. Example: `4b1c0a53-77d2-4f3e-9a51-6d1f0c2b8e90`"""
    client_secret: SecretReference | None = None
    """Where the client secret is kept. Exactly one of this and `certificate`.

    Example: `{file: /etc/relaycanary/app}`
    """
    client_secret_expires: date | None = None
    """When the secret ends, which nothing but you can tell: an alert comes before. Example: `2028-06-30`"""
    certificate: FileReference | None = None
    """A PEM file with certificate and private key, instead of a secret. Example: `{file: /etc/relaycanary/app.pem}`"""
    cloud: Literal["global", "gcc-high", "dod", "china"] = "global"
    """Which of Microsoft's clouds the tenant is in. Example: `gcc-high`"""
    authority: HttpsUrl | None = None
    """Another identity platform than the cloud's; the tenant is added to it.

    Example: `https://login.microsoftonline.us`
    """
    graph_url: HttpsUrl | None = None
    """Another address of Graph than the cloud's, without the version. Example: `https://graph.microsoft.us`"""
    ca_file: Path | None = None
    """The CAs to trust there *instead of* the system's, in PEM. Example: `/etc/relaycanary/proxy-ca.pem`"""

    @model_validator(mode="after")
    def _one_proof(self) -> Self:
        if (self.client_secret is None) == (self.certificate is None):
            raise wrong("the app proves itself by exactly one of client_secret and certificate")
        return self


CredentialSettings = PasswordCredential | TokenCredential | EntraCredential

CREDENTIALS: Mapping[str, type[CredentialSettings]] = MappingProxyType(
    {"password": PasswordCredential, "token": TokenCredential, "entra": EntraCredential}
)
"""The model of each kind of credential."""


class Textfile(Section):
    """The metrics in a file, for the node exporter's textfile collector."""

    file: Annotated[Path, AfterValidator(_prom)]
    """The file, in the folder that the collector reads; its name ends in `.prom`.

    Example: `/var/lib/prometheus/node-exporter/relaycanary.prom`
    """
    every: Duration = Field("15s", validate_default=True)
    """How often it is written. Example: `30s`"""


class Otlp(Section):
    """The metrics by OTLP, as HTTP with protobuf; it takes the extra `otlp`."""

    endpoint: HttpUrl
    """The whole address, for most collectors one that ends in `/v1/metrics`.

    Example: `https://otel.corp.example:4318/v1/metrics`
    """
    headers: Mapping[FieldName, SecretReference] = Field(default_factory=dict)
    """Header fields that the receiver demands, and where what belongs into them is kept.

    Example: `{Authorization: {file: /etc/relaycanary/otlp}}`
    """
    every: Duration = Field("60s", validate_default=True)
    """How often they are sent. Example: `15s`"""
    ca_file: Path | None = None
    """The CAs to trust *instead of* the system's, in PEM. Example: `/etc/relaycanary/otel-ca.pem`"""

    @model_validator(mode="after")
    def _nothing_secret_in_plain_text(self) -> Self:
        parts = urlsplit(self.endpoint)
        if self.headers and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            raise wrong("headers hold secrets, which are never sent over plain text: use an https:// endpoint")
        return self


class Metrics(Section):
    """Ways out for the metrics, beside `/metrics`."""

    textfile: Textfile | None = None
    """Where they are written for the node exporter.

    Example: `{file: /var/lib/prometheus/node-exporter/relaycanary.prom}`
    """
    otlp: Otlp | None = None
    """Where they are sent by OTLP. Example: `{endpoint: "http://127.0.0.1:4318/v1/metrics"}`"""


class Report(Section):
    """The weekly report."""

    schedule: Annotated[Text, AfterValidator(_schedule)] = "mon 07:00"
    """The day and the time it is sent at. Example: `tue 06:30`"""
    timezone: TimeZone = "UTC"
    """The time zone of the schedule, and of days and weeks in the report. Example: `Europe/Amsterdam`"""
    to: Annotated[tuple[Address, ...], Field(min_length=1)]
    """Who gets it. Example: `[mail-team@contoso.com]`"""
    path: Text
    """The path it is sent by, one of `paths`. Example: `submission`"""
    objective: Annotated[float, Field(ge=0.5, lt=1.0, allow_inf_nan=False)] = 0.99
    """The share of canaries that is to be on time. Example: `0.995`"""


class Sentry(Section):
    """Where the agent's own errors go."""

    dsn: SecretReference
    """Where the project's DSN is kept. Example: `{env: SENTRY_DSN}`"""
    check_ins: StrictBool = True
    """Whether each check has a monitor there (Sentry Crons). Example: `false`"""
