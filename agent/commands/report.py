"""``relaycanary report``: how the mail did in a week, for people and for spreadsheets."""

from __future__ import annotations

import sys
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.clock import SystemClock
from agent.commands import output
from agent.commands.parts import archive_of
from agent.commands.progress import bar
from agent.commands.reporting.ahead import ahead_of
from agent.commands.reporting.choice import Choice, WrongChoice
from agent.commands.reporting.send import send
from agent.config.load import find, load
from agent.config.problems import SettingsError
from agent.config.settings import Settings
from agent.ledger import LedgerError
from agent.ledger.inspect import history
from agent.log import plain
from agent.report import forms
from agent.report.archive import About, Archive, ArchiveError
from agent.report.document import Document
from agent.report.figures import Figures
from checks.errors import LocalFault

_BINARY = frozenset({"pdf"})


def report(choice: Choice, config: Path | None = None, *, send_it: bool = False) -> int:
    """Make the report of a period from the ledger alone, whether or not the agent is running.

    Args:
        choice: which period, in which form, written where.
        config: the settings file; without it the usual places are looked through.
        send_it: keep it in the archive, and send it to whom the section ``report`` names.

    Returns:
        The exit code: 0, or 1 if it could not be made, written or sent; 64 if what was asked for makes no sense.
    """
    try:
        settings = load(find(config), verified=send_it)
        form = choice.written_as()
        if choice.output is None and form in _BINARY and not send_it and sys.stdout.isatty():
            output.say("a PDF is not for a terminal: say by -o where to write it")
            return output.WRONG_USAGE
        return _report(settings, choice, form, send_it=send_it)
    except SettingsError as error:
        output.complain(error.problems)
    except WrongChoice as error:
        output.say(str(error))
        return output.WRONG_USAGE
    except (LedgerError, LocalFault, ArchiveError, forms.FormsMissing) as error:
        output.say(str(error))
    return 1


def _report(settings: Settings, choice: Choice, form: str, *, send_it: bool) -> int:
    figures = figures_of(settings, choice)
    if send_it:
        return _send(settings, figures)
    content = forms.write(figures, [form])[form]
    if choice.output is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return 0
    try:
        choice.output.write_bytes(content)
    except OSError as error:
        output.say(f"{choice.output} cannot be written: {error.strerror or error}")
        return 1
    counted = output.count(figures.overall.ends.started, "canary", "canaries")
    print(f"{plain(str(choice.output))}: {figures.name}, {counted}")
    return 0


def figures_of(settings: Settings, choice: Choice) -> Figures:
    """Compute the figures of what was asked for.

    Raises:
        LedgerError: the ledger cannot be read.
        WrongChoice: there is no such period.
    """
    from agent.report.compute import Wishes, compute  # what is slow to import, after what may be wrong

    section = settings.sections.report
    zone = ZoneInfo(section.timezone if section else "UTC")
    now = SystemClock().now()
    with history(settings.agent.ledger) as past, bar("counting canaries") as shown:
        period = choice.period(zone, now, past.first_started())
        wishes = Wishes(
            checks=settings.checks.values(),
            objective=section.objective if section else Wishes().objective,
            after=settings.sections.alerts.after if settings.sections.alerts else Wishes().after,
            ahead=ahead_of(settings, past.server_certificates()),
            progress=shown.reach,
        )
        return compute(past, period, now, wishes)


def keep(archive: Archive, figures: Figures, document: Document) -> None:
    """Keep an issue of the report in the archive, in each of its forms.

    Raises:
        ArchiveError: it cannot be written.
    """
    from agent.report import words  # what is slow to import

    on_time = words.share(figures.overall.ends.on_time, figures.overall.objective.objective)
    about = About(made=figures.made, on_time=on_time, simulated=figures.simulated)
    archive.put(figures.name, forms.write(figures, forms.ARCHIVED, document), about)


def _send(settings: Settings, figures: Figures) -> int:
    archive = archive_of(settings)
    document = forms.document(figures)
    keep(archive, figures, document)
    report = settings.sections.report
    if report is None:
        output.say(f"kept in the archive as {figures.name}; not sent: the settings have no section report")
        return 1
    failed = send(settings, report, document)
    served = [one for one in report.to if one not in {bad.recipient for bad in failed}]
    for one in failed:
        doubt = " (it may have arrived all the same)" if one.in_doubt else ""
        output.say(f"the report {figures.name} was not sent to {one.recipient}: {one.why}{doubt}")
    if served:
        archive.note_sent(figures.name, served, SystemClock().now().timestamp())
        print(f"the report {figures.name} was sent to {plain(', '.join(served))}")
    return 1 if failed else 0
