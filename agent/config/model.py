"""The sections of the settings that are the agent's own. Paths and mailboxes bring their own with their plug-in."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StrictBool, StrictInt, ValidationInfo, field_validator, model_validator

from agent.config.pieces import HttpsUrl, LedgerUrl, Listen, Name, is_loopback, split_listen
from agent.config.problems import near
from checks.settings import Address, Duration, FileReference, SecretReference, Section, Text, wrong

Severity = Literal["critical", "warning", "info"]

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


def _timezone(value: str) -> str:
    known = zoneinfo.available_timezones()
    if value not in known:
        raise wrong(f"{value[:40]!r} is not a time zone of this machine{near(value, sorted(known))}")
    return value


def _path_segment(value: str) -> str:
    if _TENANT.fullmatch(value) is None:
        raise wrong(f"{value[:60]!r} is not a tenant: write its id, or one of its domains like contoso.onmicrosoft.com")
    return value


class SigningKey(Section):
    """A key that signs canaries, or did: `id` is written into every canary, `secret` never is."""

    id: Annotated[Text, AfterValidator(_key_id)]
    secret: SecretReference


class Agent(Section):
    """The agent itself. The first key signs; all are accepted, so that keys can be rotated.

    `keep` is how long canaries stay in their mailbox, `ledger_keep` how long their record stays in the ledger, both
    in seconds. A relative ledger lies beside the settings file.
    """

    site: Name = "default"
    ledger: LedgerUrl = "sqlite:///relaycanary.db"
    signing_keys: Annotated[tuple[SigningKey, ...], Field(min_length=1)]
    keep: Duration = Field("7d", validate_default=True)
    ledger_keep: Duration = Field("400d", validate_default=True)

    @field_validator("signing_keys")
    @classmethod
    def _each_id_once(cls, keys: Sequence[SigningKey]) -> Sequence[SigningKey]:
        ids = [key.id for key in keys]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise wrong(f"the id {twice[0]!r} is used twice: give the new key an id of its own")
        return keys


class WebLogin(Section):
    """What a reader of the pages and the metrics must show (HTTP Basic, RFC 7617)."""

    username: Text
    password: SecretReference


class Web(Section):
    """The HTTP server. `token` is what a request that changes state must bear; without it there are none."""

    auth: WebLogin | None = None
    token: SecretReference | None = None
    listen: Listen = Field("127.0.0.1:9825", validate_default=True)

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
        # "auth" is missing from the data if it is wrong itself, which is reported by itself
        if not is_loopback(split_listen(listen)[0]) and info.data.get("auth", ...) is None:
            raise wrong(
                f"{listen!r} can be reached by other machines, which demands web.auth (username and password);"
                " or listen on 127.0.0.1"
            )
        return listen


class PasswordCredential(Section):
    """A user name and a password (AUTH LOGIN and PLAIN, IMAP LOGIN)."""

    kind: Literal["password"]
    username: Text
    password: SecretReference


class TokenCredential(Section):
    """A user name and a bearer token that somebody else renews (XOAUTH2)."""

    kind: Literal["token"]
    username: Text
    token: SecretReference


NO_CLIENT_ID = "00000000-0000-0000-0000-000000000000"
"""What stands for a client ID until somebody writes it there."""


class EntraCredential(Section):
    """An app registration: its tokens come from Microsoft's identity platform by client credentials.

    `cloud` chooses Microsoft's hosts (M365 national clouds); `authority` (the tenant is added to it) and `graph_url`
    (without the version) name others instead, and `ca_file` the CAs to trust there *instead of* the system's.
    """

    kind: Literal["entra"]
    tenant: Annotated[Text, AfterValidator(_path_segment)]
    client_id: Text
    client_secret: SecretReference | None = None
    client_secret_expires: date | None = None
    certificate: FileReference | None = None
    cloud: Literal["global", "gcc-high", "dod", "china"] = "global"
    authority: HttpsUrl | None = None
    graph_url: HttpsUrl | None = None
    ca_file: Path | None = None

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


class Channel(Section):
    """Where alerts of at least one severity go; the URL holds a secret, so it is one."""

    url: SecretReference
    severity: Severity = "warning"


class Heartbeat(Section):
    """A dead man's switch outside: it raises the alarm when the agent stops calling."""

    url: SecretReference
    every: Duration = Field("60s", validate_default=True)


class Alerts(Section):
    """Who is told, after how many failing verdicts in a row."""

    after: Annotated[StrictInt, Field(ge=1, le=1000)] = 2
    channels: tuple[Channel, ...] = ()
    heartbeat: Heartbeat | None = None


class Report(Section):
    """The weekly report, and the path it is sent by. `objective` is the share of canaries that is to be on time."""

    schedule: Annotated[Text, AfterValidator(_schedule)] = "mon 07:00"
    timezone: Annotated[Text, AfterValidator(_timezone)] = "UTC"
    to: Annotated[tuple[Address, ...], Field(min_length=1)]
    path: Text
    objective: Annotated[float, Field(ge=0.5, lt=1.0, allow_inf_nan=False)] = 0.99


class Sentry(Section):
    """Where the agent's own errors go; with `check_ins` each check has a monitor there (Sentry Crons)."""

    dsn: SecretReference
    check_ins: StrictBool = True
