"""``relaycanary lab --history 35d``: a made-up past for the lab, so that pages and reports have something to show."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from agent.clock import SystemClock
from agent.commands import output
from agent.commands.lab import prepare
from agent.commands.parts import archive_of
from agent.commands.progress import bar
from agent.commands.report import figures_of, keep
from agent.commands.reporting.choice import Choice
from agent.config.load import load
from agent.config.problems import SettingsError
from agent.config.settings import Settings
from agent.ledger import LedgerError, inspect, simulated
from agent.log import plain
from agent.report import forms
from agent.report.archive import ArchiveError
from agent.simulated import story
from checks.settings import parse_duration

_EVERY = 180.0
_DAY = 86400.0
_TRIES, _BETWEEN = 120, 0.5  # a minute for an agent that was just started to make its ledger


def history(directory: Path, span: str, *, wait: bool = False) -> int:
    """Write a made-up past of *span* into the ledger of the lab in *directory*, unless it has one; make the lab if new.

    Args:
        directory: where the lab keeps its state.
        span: how long the past is to be, like ``35d``.
        wait: until the agent that was just started has made its ledger; then say nothing.

    Returns:
        The exit code: 0, or 1 if it cannot be written; 64 for a span that is none.
    """
    output.show_only_errors()
    try:
        days = parse_duration(span) / _DAY
    except ValueError as error:
        output.say(f"--history: {error}")
        return output.WRONG_USAGE
    if problem := prepare(directory):
        output.say(problem)
        return 1
    try:
        settings = load(directory / "relaycanary.yaml")
        if wait and not _made(settings.agent.ledger):
            return 1
        written = _fill(settings, days)
    except SettingsError as error:
        output.complain(error.problems)
        return 1
    except LedgerError as error:
        output.say(str(error))
        return 1
    if not wait:
        print(_told(written, directory))
    elif written:
        return keep_report(directory)
    return 0


def keep_report(directory: Path) -> int:
    """Keep the report of the last complete week of the lab in *directory*: the list of reports is not empty then.

    Returns:
        The exit code: 0, or 1 if it cannot be made or kept.
    """
    try:
        settings = load(directory / "relaycanary.yaml")
        figures = figures_of(settings, Choice())
        keep(archive_of(settings), figures, forms.document(figures))
    except SettingsError as error:
        output.complain(error.problems)
        return 1
    except (LedgerError, ArchiveError, forms.FormsMissing) as error:
        output.say(f"the made-up past has no report: {error}")
        return 1
    return 0


def report_beside(directory: Path) -> None:
    """Have a process of its own keep that report, unless there is one: nobody who made up a past waits for it."""
    archive = archive_of(load(directory / "relaycanary.yaml"))
    if archive.issues():
        return
    command = [sys.executable, "-m", "agent", "lab", "--keep-report", "--directory", str(directory)]
    nothing = subprocess.DEVNULL
    subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
    )
    print(f"the report of its last complete week is being made; it will be in {plain(str(archive.folder))}")


def _told(written: int, directory: Path) -> str:
    if not written:
        return f"the ledger of the lab in {plain(str(directory))} has a made-up past already"
    return (
        f"{output.count(written, 'simulated canary', 'simulated canaries')} written; they are marked, and never counted"
    )


def _fill(settings: Settings, days: float) -> int:
    checks = [check for check in settings.checks.values() if check.expect.refused is None]
    now = SystemClock().now().timestamp()
    past = story.past(checks, site=settings.agent.site, until=now, days=days, every=_EVERY)
    with bar("making up the past") as shown:
        return simulated.fill(settings.agent.ledger, past, lambda written: shown.reach(written, past.most))


def _made(url: str) -> bool:
    """Wait until there is a ledger in which a run has begun."""
    for _ in range(_TRIES):
        try:
            if inspect.picture(url).run is not None:
                return True
        except LedgerError:
            pass
        threading.Event().wait(_BETWEEN)
    return False
