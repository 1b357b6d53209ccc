"""What the rules are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from agent.config.expectations import CheckSettings
from agent.config.problems import Key
from agent.config.settings import Plugin, Sections
from checks.knowledge import microsoft

SUBMISSION_HOSTS = frozenset(
    {
        "smtp.office365.com",
        "smtp-legacy.office365.com",
        "smtp.office365.us",
        "outlook-dod.office365.us",
        "smtp.partner.outlook.cn",
    }
)
"""Where Exchange Online takes client submission, by cloud; every one demands AUTH."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What is dubious, at which key, and what to write instead."""

    key: Key
    message: str


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule looks at: valid settings, on a day."""

    sections: Sections
    today: date

    def checks_by(self, *kinds: str) -> Iterator[tuple[str, CheckSettings, Plugin]]:
        """Yield the name, the settings and the path of every check that goes by a path of one of *kinds*."""
        for name, check in self.sections.checks.items():
            path = self.sections.paths[check.path]
            if path.kind in kinds:
                yield name, check, path

    def recipient(self, check: CheckSettings) -> str:
        """Tell whom the canaries of *check* go to; empty where nobody said."""
        return check.to or self.sections.mailboxes[check.mailbox].text("address") or ""


Rule = Callable[[Context], Iterator[Advice]]
"""A piece of advice: a generator function, so that one rule may have something to say in several places."""


def domain_of(address: str | None) -> str:
    """Return the domain of a mail address, in lower case."""
    return (address or "").rpartition("@")[2].lower()


def host_of(plugin: Plugin) -> str:
    """Return the host that a path or mailbox names, in lower case; empty where it looks up the MX."""
    return (plugin.text("host") or "").lower().rstrip(".")


def is_mx_endpoint(host: str) -> bool:
    """Tell whether *host* is one where Exchange Online takes mail for its tenants (submission hosts are not)."""
    return microsoft.is_mx(host) and host not in SUBMISSION_HOSTS
