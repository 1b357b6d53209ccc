"""The settings as the rest of the agent sees them: valid, complete, frozen, and without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from agent.config.alerts import Alerts
from agent.config.expectations import CheckSettings
from agent.config.model import Agent, CredentialSettings, Metrics, Report, Sentry, Web
from agent.config.problems import Problem
from agent.config.secrets import SecretSource
from checks.core.model import Check
from checks.settings import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A configured path or mailbox: the class registered as `kind`, and its settings."""

    kind: str
    cls: type[Any]
    settings: Section

    def text(self, name: str) -> str | None:
        """Return the text of one setting; None where it is not set, or this kind does not know it."""
        value = getattr(self.settings, name, None)
        return value if isinstance(value, str) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """What stands in the file, section by section, each validated by itself."""

    agent: Agent
    web: Web
    credentials: Mapping[str, CredentialSettings]
    paths: Mapping[str, Plugin]
    mailboxes: Mapping[str, Plugin]
    checks: Mapping[str, CheckSettings]
    alerts: Alerts | None
    metrics: Metrics
    report: Report | None
    sentry: Sentry | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One settings file that can be used. `checks` are what its sections amount to; `warnings` what is dubious."""

    file: Path
    sections: Sections
    checks: Mapping[str, Check]
    warnings: tuple[Problem, ...]

    @property
    def agent(self) -> Agent:
        """The section of the agent itself."""
        return self.sections.agent

    @property
    def web(self) -> Web:
        """The section of the HTTP server."""
        return self.sections.web

    @property
    def paths(self) -> Mapping[str, Plugin]:
        """The configured ways to send, by name."""
        return self.sections.paths

    @property
    def alerts(self) -> Alerts:
        """The section of alerts; its defaults where there is none."""
        return self.sections.alerts or Alerts.model_validate({})

    @property
    def signing_keys(self) -> Mapping[str, SecretSource]:
        """The keys of canaries by their id: all are accepted, the first one signs."""
        return MappingProxyType({key.id: SecretSource(key.secret) for key in self.agent.signing_keys})

    @property
    def mailboxes(self) -> Mapping[str, Plugin]:
        """The configured mailboxes, by name."""
        return self.sections.mailboxes
