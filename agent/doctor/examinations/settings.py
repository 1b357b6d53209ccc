"""What check-config has to say, among it the limits and end dates of Microsoft 365 that these settings run into."""

from __future__ import annotations

from dataclasses import replace

from agent.config.problems import Problem
from agent.doctor.finding import Finding, warning
from agent.doctor.kit import Kit

_SUBJECTS = {"paths": "path", "mailboxes": "mailbox", "credentials": "credential", "checks": "check"}


def of_settings(kit: Kit) -> list[Finding]:
    """Repeat the warnings of check-config, each at what it is about."""
    return [_of_warning(problem) for problem in kit.settings.warnings]


def _of_warning(problem: Problem) -> Finding:
    section, _, rest = problem.key.partition(".")
    name = rest.partition(".")[0]
    subject = f"{_SUBJECTS[section]} {name}" if section in _SUBJECTS and name else "settings"
    place = f"{problem.file.name}:{problem.line}" if problem.line else problem.file.name
    finding = warning(
        "settings",
        f"{problem.key}: {problem.message}",
        meaning="The settings allow it, but it will not do what is meant, or not for long.",
        fix=f"Change it in {place}; relaycanary check-config says the same.",
        source="relaycanary check-config",
    )
    return replace(finding, subject=subject)
