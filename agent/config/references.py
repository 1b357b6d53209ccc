"""What the sections say about each other: the names they use, and the checks that this amounts to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from agent.config.problems import Key, Problems, choices, near, shown
from agent.config.settings import Plugin, Sections
from checks.core.model import Check

_MOST_COMPARED = 200
"""Comparing for a near miss is slow, and a file may hold thousands of names and as many mistakes."""

_NAMES = (
    # section, its key, the section that is named by it
    ("paths", "credential", "credentials"),
    ("paths", "bounces", "mailboxes"),
    ("paths", "sent_items", "mailboxes"),
    ("mailboxes", "credential", "credentials"),
    ("checks", "path", "paths"),
    ("checks", "mailbox", "mailboxes"),
)


def check_names(data: Mapping[str, Any], problems: Problems) -> None:
    """Note every name in *data*, the plain values of a document, that nothing there has.

    Works on plain values so that a section that is wrong in itself does not make its name unknown too.
    """
    for key, value, target in _used_names(data):
        known = data.get(target) or {}
        if not isinstance(value, str) or not isinstance(known, dict) or value in known:
            continue
        if known:
            names = list(known)
            words = f"{shown(value)} is not one of the {target} {choices(names)}{near(value, names[:_MOST_COMPARED])}"
        else:
            words = f"{shown(value)} is not known: no {target} are configured"
        problems.error(key, words)


def _used_names(data: Mapping[str, Any]) -> Iterator[tuple[Key, Any, str]]:
    for section, field, target in _NAMES:
        entries = data.get(section)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict) and field in entry:
                yield (section, name, field), entry[field], target
    yield from _muted_names(data.get("alerts"))
    report = data.get("report")
    if isinstance(report, dict) and "path" in report:
        yield ("report", "path"), report["path"], "paths"


def _muted_names(alerts: Any) -> Iterator[tuple[Key, Any, str]]:
    windows = alerts.get("maintenance") if isinstance(alerts, dict) else None
    for place, window in enumerate(windows if isinstance(windows, list) else ()):
        for field in ("checks", "paths") if isinstance(window, dict) else ():
            names = window.get(field)
            for number, name in enumerate(names if isinstance(names, list) else ()):
                yield ("alerts", "maintenance", place, field, number), name, field


def assemble(sections: Sections, problems: Problems) -> Mapping[str, Check]:
    """Make the checks out of the sections; what they lack is noted in *problems*."""
    checks: dict[str, Check] = {}
    for name, settings in sections.checks.items():
        path, mailbox = sections.paths[settings.path], sections.mailboxes[settings.mailbox]
        sender, recipient = path.text("sender"), settings.to or mailbox.text("address")
        if sender is None:
            problems.error(("paths", settings.path, "sender"), "is missing: every canary has a sender")
        if recipient is None:
            problems.error(("checks", name, "to"), f"is missing, and the mailbox {settings.mailbox} has no address")
        if sender is None or recipient is None:
            continue
        checks[name] = Check(
            name=name,
            path=settings.path,
            method=path.kind,
            mailbox=settings.mailbox,
            sender=sender,
            recipient=recipient,
            limits=settings.limits(),
            expect=settings.expect.expectations(),
            severity=settings.severity,
            bounces=bounce_mailbox(path, sections),
        )
    return MappingProxyType(checks)


def check_credentials(sections: Sections, problems: Problems) -> None:
    """Note every path and mailbox whose credential is of a kind that it cannot use."""
    for section, entries in (("paths", sections.paths), ("mailboxes", sections.mailboxes)):
        for name, plugin in entries.items():
            kinds = getattr(plugin.cls, "credential_kinds", None)
            credential = sections.credentials.get(plugin.text("credential") or "")
            if kinds is not None and credential is not None and credential.kind not in kinds:
                words = f"is of kind {credential.kind}, but {plugin.kind} needs one of kind {' or '.join(kinds)}"
                problems.error((section, name, "credential"), words)


def bounce_mailbox(path: Plugin, sections: Sections) -> str | None:
    """Tell which watched mailbox the bounces of *path* go to: the one it names, or the one that is its sender's."""
    named = path.text("bounces")
    if named is not None:
        return named
    sender = path.text("sender")
    for name, mailbox in sections.mailboxes.items():
        address = mailbox.text("address")
        if sender and address and address.casefold() == sender.casefold():
            return name
    return None
