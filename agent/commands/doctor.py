"""``relaycanary doctor``: find what will break before it does."""

from __future__ import annotations

import json as encoding
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.text import Text

from agent import loop
from agent.clock import SystemClock
from agent.commands import output
from agent.commands.progress import Bar, bar
from agent.config.load import find, load
from agent.config.problems import SettingsError
from agent.config.settings import Settings
from agent.doctor import Finding, Report, Status, examine
from agent.log import plain
from checks.errors import LocalFault

EXIT_CODES = MappingProxyType({Status.OK: 0, Status.WARNING: 1, Status.FAILURE: 2})
_STYLES = MappingProxyType(
    {Status.FAILURE: "bold red", Status.WARNING: "yellow", Status.NOT_TESTED: "magenta", Status.OK: "green"}
)
_WORDS = MappingProxyType(
    {Status.FAILURE: "failure", Status.WARNING: "warning", Status.NOT_TESTED: "not tested", Status.OK: "ok"}
)
_INDENT = 2
_COLUMN = 12  # the longest status, and a space on both sides


def doctor(config: Path | None = None, *, json: bool = False) -> int:
    """Test everything that the settings name, short of sending: DNS, ports, TLS, logins, mailboxes, alerts, clock.

    It disturbs no agent that is running: nothing is sent, and neither mailboxes nor the ledger are changed.

    Args:
        config: the settings file; without it the usual places are looked through.
        json: print one JSON object instead of text.

    Returns:
        The exit code: 0 ok, 1 warnings, 2 failures; what could not be tested does not count. 2 too if the settings
        cannot be used.
    """
    output.show_only_errors()
    try:
        settings = load(find(config))
    except SettingsError as error:
        output.complain(error.problems)
        return EXIT_CODES[Status.FAILURE]
    try:
        report = _examine(settings, silent=json)
    except LocalFault as fault:
        output.say(str(fault))
        return EXIT_CODES[Status.FAILURE]
    if json:
        print(encoding.dumps(as_json(report)))
    else:
        _show(report, output.console())
    return EXIT_CODES[report.status]


def as_json(report: Report) -> dict[str, Any]:
    """Make the object that ``doctor --json`` prints; its findings come with the worst subjects first."""
    return {
        "status": report.status.value,
        "seconds": round(report.seconds, 3),
        "counts": {status.value: number for status, number in _counts(report.findings).items()},
        "findings": [_finding_as_json(finding) for finding in report.findings],
    }


def _finding_as_json(finding: Finding) -> dict[str, str | None]:
    """Give a finding's fields in a fixed order, null for what it has not."""
    fields = asdict(finding)
    order = ("id", "subject", "status", "found", "meaning", "fix", "source")
    return {name: str(fields[name]) or None for name in order}


def _examine(settings: Settings, *, silent: bool) -> Report:
    with bar("examining", silent=silent or not output.console().is_terminal) as shown:
        return loop.run(examine(settings, SystemClock(), _Watcher(shown)))


class _Watcher:
    """Shows on the terminal how far it has come, and what is still awaited."""

    def __init__(self, shown: Bar) -> None:
        self._bar = shown
        self._open: list[str] = []
        self._number = 0

    def planned(self, subjects: Sequence[str]) -> None:
        """Show how much there is to do."""
        self._open, self._number = list(subjects), len(subjects)
        self._show()

    def done(self, subject: str, _status: Status) -> None:
        """Show what is left."""
        self._open.remove(subject)
        self._show()

    def _show(self) -> None:
        self._bar.reach(self._number - len(self._open), self._number)
        self._bar.say(f"examining {', '.join(self._open[:3])}")


def _show(report: Report, screen: Console) -> None:
    for subject, findings in report.by_subject().items():
        screen.print(Text(plain(subject), style="bold"))
        for finding in findings:
            _show_finding(finding, screen)
        screen.print()
    counts = _counts(report.findings)
    words = ", ".join(
        (
            output.count(counts[Status.FAILURE], "failure"),
            output.count(counts[Status.WARNING], "warning"),
            f"{counts[Status.NOT_TESTED]} not tested",
            f"{counts[Status.OK]} ok",
        )
    )
    screen.print(Text(f"{words}; {output.span(report.seconds)}; nothing was sent", style=_STYLES[report.status]))


def _show_finding(finding: Finding, screen: Console) -> None:
    status = Text(f"{_WORDS[finding.status]:<{_COLUMN - 1}}", style=_STYLES[finding.status])
    found = finding.found.removeprefix("not tested: ")
    _line(status, f"{finding.id}: {found}", screen)
    blank = Text(" " * (_COLUMN - 1))
    if finding.status is Status.OK:
        return
    for label, words in (("means", finding.meaning), ("do", finding.fix), ("see", finding.source)):
        if words and not (label == "see" and finding.status is Status.NOT_TESTED):
            _line(blank, f"{label}: {words}", screen)


def _line(lead: Text, words: str, screen: Console) -> None:
    """Print a lead and words; on a terminal, the words are folded into a column of their own."""
    if not screen.is_terminal:
        screen.print(Text.assemble(" " * _INDENT, lead, plain(words)), soft_wrap=True)
        return
    width = max(20, screen.width - _INDENT - _COLUMN)
    for number, part in enumerate(Text(plain(words)).wrap(screen, width)):
        part.rstrip()
        screen.print(Text.assemble(" " * _INDENT, lead if number == 0 else " " * len(lead), part))


def _counts(findings: Sequence[Finding]) -> Counter[Status]:
    counts = Counter(dict.fromkeys(Status, 0))
    counts.update(finding.status for finding in findings)
    return counts
