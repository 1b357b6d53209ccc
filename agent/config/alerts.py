"""The section `alerts`: who is told by the agent itself, and when nobody is."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StrictInt, field_validator, model_validator

from agent.config import calendar
from agent.config.pieces import HttpsUrl, Name, Severity, TimeZone, spell_duration
from checks.settings import Duration, SecretReference, Section, Text, wrong

HEARTBEAT = "heartbeat"
"""What the heartbeat is called in logs and metrics, where channels go by their names."""

_PAGERDUTY = "https://events.pagerduty.com"
_LONGEST_WINDOW = 7 * 86400.0
_SHORTEST_BEAT = 5.0
_NEEDS = {"apprise": {"url"}, "webhook": {"url"}, "pagerduty": {"routing_key"}}
_TAKES = {
    "apprise": {"url"},
    "webhook": {"url", "secret", "ca_file"},
    "pagerduty": {"routing_key", "api_url", "ca_file"},
}
_OF_KINDS = ("url", "secret", "routing_key", "api_url", "ca_file")
_LONGEST_HINT = 20
_DIGEST = 6


class Channel(Section):
    """Where alerts of at least one severity go."""

    name: Name | None = None
    """What logs and metrics call it; without a name by its kind and where its secret is kept, like
    `apprise-teams_url-3f92c1`. Give it one where that may move: by another name it is another channel.

    Example: `oncall`
    """
    kind: Literal["apprise", "webhook", "pagerduty"] = "apprise"
    """By what means: `apprise` knows more than a hundred services by their URL, `webhook` posts signed JSON,
    `pagerduty` raises an alert by the Events API v2 and resolves it.

    Example: `pagerduty`
    """
    url: SecretReference | None = None
    """Where the URL is kept, which holds a secret: that of Apprise (https://appriseit.com/services/), or of
    the webhook.

    Example: `{env: TEAMS_URL}`
    """
    secret: SecretReference | None = None
    """What webhooks are signed with (HMAC-SHA256, Standard Webhooks). Example: `{file: /etc/relaycanary/webhook}`"""
    routing_key: SecretReference | None = None
    """The integration key of a PagerDuty service (Events API v2). Example: `{file: /etc/relaycanary/pagerduty}`"""
    api_url: HttpsUrl | None = None
    """Where PagerDuty takes events, `https://events.pagerduty.com` without it.

    Example: `https://events.eu.pagerduty.com`
    """
    ca_file: Path | None = None
    """The CAs to trust instead of the system's (webhook, pagerduty). Example: `/etc/relaycanary/our-ca.pem`"""
    severity: Severity = "warning"
    """What is sent there: alerts of this severity and above. Example: `critical`"""

    @property
    def events_url(self) -> str:
        """Where PagerDuty takes events."""
        return self.api_url or _PAGERDUTY

    @property
    def own_name(self) -> str:
        """What it is called without a name: the same wherever in the list it stands, and whatever the secret is.

        The words before the digest are for people: they are the end of where the secret is kept, never of the secret.
        """
        kept = self.routing_key or self.url
        if kept is None:
            raise AssertionError(self.kind)  # each kind needs one of them
        place = f"env {kept.env}" if kept.file is None else f"file {kept.file}"
        digest = hashlib.sha256("\n".join((self.kind, place, self.api_url or "")).encode()).hexdigest()[:_DIGEST]
        hint = re.sub(r"[^a-z0-9]+", "_", (kept.env or Path(kept.file or "").stem).lower())
        return "-".join(part for part in (self.kind, hint[:_LONGEST_HINT].strip("_"), digest) if part)

    @field_validator("name")
    @classmethod
    def _not_taken(cls, name: str | None) -> str | None:
        if name == HEARTBEAT:
            raise wrong(f"{HEARTBEAT!r} is the name of the heartbeat: call the channel something else")
        return name

    @model_validator(mode="after")
    def _what_its_kind_takes(self) -> Self:
        given = {key for key in _OF_KINDS if getattr(self, key) is not None}
        if missing := sorted(_NEEDS[self.kind] - given):
            raise wrong(f"a channel of kind {self.kind} needs {missing[0]}")
        if foreign := sorted(given - _TAKES[self.kind]):
            takes = ", ".join(key for key in _OF_KINDS if key in _TAKES[self.kind])
            raise wrong(f"a channel of kind {self.kind} has no {foreign[0]}; it has {takes}")
        return self


class Heartbeat(Section):
    """A dead man's switch outside: it raises the alarm when the agent stops calling.

    The agent calls only while it sends on time, can read its mailboxes, writes its ledger, and its pages get through.
    """

    url: SecretReference
    """Where the address to call is kept. Example: `{env: HEARTBEAT_URL}`"""
    every: Duration = Field("60s", validate_default=True)
    """How often it is called. Example: `5m`"""

    @field_validator("every")
    @classmethod
    def _not_a_flood(cls, every: float) -> float:
        if every < _SHORTEST_BEAT:
            raise wrong(f"{spell_duration(every)} is shorter than 5s: no watchdog is that impatient")
        return every


def _names(channels: Sequence[Channel]) -> Iterator[str]:
    """Name channels; those without a name that go to the same place are numbered."""
    alike: Counter[str] = Counter()
    for one in channels:
        own = one.own_name
        alike[own] += one.name is None
        yield one.name or (own if alike[own] == 1 else f"{own}-{alike[own]}")


def _schedule(value: str) -> str:
    try:
        calendar.parse(value)
    except ValueError as error:
        raise wrong(str(error)) from None
    return value


class Maintenance(Section):
    """A time that comes again, in which nobody is told of what fails. Canaries go on, and so does their record."""

    name: Name
    """What it is called. Example: `patch-night`"""
    schedule: Annotated[Text, AfterValidator(_schedule)]
    """When it begins: `daily 02:00`, `sat,sun 02:00`, `mon-fri 22:00`, `2nd tue 18:00`, `last sun 03:00`, or
    once: `2026-12-24 18:00`.

    Example: `2nd tue 18:00`
    """
    lasts: Duration
    """How long it lasts, seven days at most. Example: `3h`"""
    timezone: TimeZone = "UTC"
    """The time zone of the schedule. Example: `Europe/Amsterdam`"""
    checks: tuple[Text, ...] = ()
    """The checks that it is about; without checks and paths it is about everything. Example: `[relay]`"""
    paths: tuple[Text, ...] = ()
    """The paths that it is about, with all of their checks. Example: `[relay]`"""

    @field_validator("lasts")
    @classmethod
    def _not_for_ever(cls, lasts: float) -> float:
        if lasts > _LONGEST_WINDOW:
            raise wrong(f"{spell_duration(lasts)} is longer than 7d: nobody would be told of anything")
        return lasts


class Alerts(Section):
    """Who is told, after how many failing verdicts in a row."""

    after: Annotated[StrictInt, Field(ge=1, le=1000)] = 2
    """How many failing verdicts in a row make an alert, per check. Example: `3`"""
    recover_after: Annotated[StrictInt, Field(ge=1, le=1000)] = 2
    """How many better ones in a row end it: fewer would call a path that comes and goes well. Example: `3`"""
    group_wait: Duration = Field("15s", validate_default=True)
    """How long a page waits for what fails together with it, or until its checks are run again if that is
    sooner.

    Example: `30s`
    """
    channels: tuple[Channel, ...] = ()
    """Where alerts go. Example: `[{name: oncall, url: {env: PAGER_URL}, severity: critical}]`"""
    maintenance: tuple[Maintenance, ...] = ()
    """Times in which nobody is told. Example: `[{name: patch-night, schedule: sun 02:00, lasts: 3h}]`"""
    heartbeat: Heartbeat | None = None
    """A watchdog elsewhere that notices when this agent is gone. Example: `{url: {env: HEARTBEAT_URL}, every: 60s}`"""

    @property
    def named(self) -> dict[str, Channel]:
        """The channels by their names."""
        return dict(zip(_names(self.channels), self.channels, strict=True))

    @property
    def former_names(self) -> dict[str, str]:
        """What earlier versions called the channels without a name, by what they are called now: by their places."""
        places = enumerate(zip(_names(self.channels), self.channels, strict=True), 1)
        return {name: f"channel{place}" for place, (name, one) in places if one.name is None}

    @field_validator("channels")
    @classmethod
    def _each_name_once(cls, channels: Sequence[Channel]) -> Sequence[Channel]:
        names = list(_names(channels))
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise wrong(f"two channels are called {twice[0]!r}: their pages could not be told apart")
        return channels
