"""``relaycanary ledger``: look after the durable record."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from agent.commands import output
from agent.commands.progress import bar
from agent.config.load import find, load
from agent.config.pieces import ledger_file
from agent.config.problems import SettingsError
from agent.ledger import LedgerError, inspect
from agent.ledger import backup as copies
from agent.log import plain

_AT_ONCE = 1000


def upgrade(config: Path | None = None) -> int:
    """Bring the tables of the ledger up to date, and say from which version to which.

    The agent does so by itself when it starts; this is for those who want to know before.

    Returns:
        The exit code: 0 if the ledger is up to date now, else 1: it is in use, not there, not ours or too new.
    """
    url = _ledger(config)
    if url is None:
        return 1
    try:
        before, after = inspect.upgrade(url)
    except LedgerError as error:
        output.say(str(error))
        return 1
    if before == after:
        print(f"{_shown(url)} is up to date: version {after}")
    else:
        print(f"{_shown(url)} was upgraded from {f'version {before}' if before else 'nothing'} to version {after}")
    return 0


def verify(config: Path | None = None) -> int:
    """Examine the file and hold the books against the rows: nothing lost, and nothing counted twice.

    It only reads, from one transaction, and disturbs no agent that is running.

    Returns:
        The exit code: 0 if everything adds up, else 1, with what does not; or the ledger cannot be read.
    """
    url = _ledger(config)
    if url is None:
        return 1
    try:
        with bar("examining") as shown:
            audit = inspect.audit(url, lambda what: shown.say(f"examining {what} of {_shown(url)}"))
    except LedgerError as error:
        output.say(str(error))
        return 1
    found = output.count(audit.canaries, "canary", "canaries")
    if not audit.problems:
        print(f"{_shown(url)}: {found}, the books are right")
        return 0
    for problem in audit.problems:
        print(plain(problem))
    print(f"{_shown(url)}: {found}, {output.count(len(audit.problems), 'problem')}")
    return 1


def backup(file: Path, config: Path | None = None) -> int:
    """Copy the ledger to *file*, whether or not an agent is at work with it.

    Returns:
        The exit code: 0 if the copy is whole and on the disk, else 1, and there is none.
    """
    url = _ledger(config)
    if url is None:
        return 1
    try:
        with bar(f"copying {_shown(url)}"):
            canaries = copies.backup(url, file)
    except LedgerError as error:
        output.say(str(error))
        return 1
    print(f"{plain(str(file))}: {output.count(canaries, 'canary', 'canaries')} of {_shown(url)}, examined")
    return 0


def export(config: Path | None = None) -> int:
    """Print every canary on record as a line of JSON, oldest first, all as they are at one moment.

    Returns:
        The exit code: 0, or 1 if the ledger cannot be read; then what was printed is not all.
    """
    url = _ledger(config)
    if url is None:
        return 1
    try:
        # on the terminal itself a bar would stand between the lines
        with inspect.exported(url) as export, bar("exporting canaries", silent=sys.stdout.isatty()) as shown:
            for number, canary in enumerate(export.canaries, start=1):
                print(json.dumps(canary))
                if number % _AT_ONCE == 0:
                    shown.reach(number, export.number)
    except LedgerError as error:
        output.say(str(error))
        return 1
    return 0


def _ledger(config: Path | None) -> str | None:
    """Tell the URL of the ledger that the settings name; None if they cannot be used, which is said."""
    try:
        return load(find(config)).agent.ledger
    except SettingsError as error:
        output.complain(error.problems)
        return None


def _shown(url: str) -> str:
    return plain(str(ledger_file(url)))
