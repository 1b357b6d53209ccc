"""``relaycanary ledger``: look after the durable record."""

from __future__ import annotations

import asyncio
import json as encoding
import sys
from pathlib import Path

from agent.clock import SystemClock
from agent.commands import output
from agent.commands.progress import bar
from agent.config.load import find, load
from agent.config.pieces import ledger_file
from agent.config.problems import SettingsError
from agent.ledger import LedgerError, Retention, inspect
from agent.ledger import backup as copies
from agent.ledger.pruning import Pruning, pruning
from agent.ledger.restore import restore as bring_back
from agent.log import plain
from checks.settings import parse_duration

_AT_ONCE = 1000
_DAY = 86400.0
_REST = 0.05


def upgrade(config: Path | None = None, *, json: bool = False) -> int:
    """Bring the tables of the ledger up to date, and say from which version to which.

    The agent does so by itself when it starts; this is for those who want to know before.

    Returns:
        The exit code: 0 if the ledger is up to date now, else 1: it is in use, not there, not ours or too new.
    """
    url = _ledger(config)
    if url is None:
        return 1
    try:
        done = inspect.upgrade(url)
    except LedgerError as error:
        output.say(str(error))
        return 1
    before = f"version {done.before}" if done.before else "nothing"
    words = [f"{_shown(url)} was upgraded from {before} to version {done.after}"]
    if done.before == done.after:
        words = [f"{_shown(url)} is up to date: version {done.after}"]
    if done.copy is not None:
        words.append(f"what it was before is kept: {done.copy}")
    facts = {"ledger": _shown(url), "before": done.before, "after": done.after, "copy": _name(done.copy)}
    output.tell(words, facts, json=json)
    return 0


def verify(config: Path | None = None, *, json: bool = False) -> int:
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
    sum_up = output.count(len(audit.problems), "problem") if audit.problems else "the books are right"
    facts = {"ledger": _shown(url), "canaries": audit.canaries, "problems": list(audit.problems)}
    output.tell([*audit.problems, f"{_shown(url)}: {found}, {sum_up}"], facts, json=json)
    return 1 if audit.problems else 0


def backup(file: Path, config: Path | None = None, *, json: bool = False) -> int:
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
    words = f"{file}: {output.count(canaries, 'canary', 'canaries')} of {_shown(url)}, examined"
    output.tell([words], {"ledger": _shown(url), "file": str(file), "canaries": canaries}, json=json)
    return 0


def restore(file: Path, config: Path | None = None, *, json: bool = False) -> int:
    """Make the backup in *file* the ledger; what was there is kept under another name.

    Returns:
        The exit code: 0 if the backup is in its place, else 1, and nothing was changed.
    """
    url = _ledger(config)
    if url is None:
        return 1
    try:
        with bar("restoring") as shown:
            restored = bring_back(url, file, wall=SystemClock().now().timestamp(), tell=shown.say)
    except LedgerError as error:
        output.say(str(error))
        return 1
    canaries = output.count(restored.canaries, "canary", "canaries")
    words = [f"{_shown(url)}: {canaries} of {file}, {restored.in_flight or 'none'} of them on their way"]
    if restored.set_aside is not None:
        words.append(f"what was there is kept: {restored.set_aside}")
    facts = {
        "ledger": _shown(url),
        "file": str(file),
        "canaries": restored.canaries,
        "in_flight": restored.in_flight,
        "set_aside": _name(restored.set_aside),
    }
    output.tell(words, facts, json=json)
    return 0


def prune(config: Path | None = None, *, keep: str | None = None, compact: bool = False, json: bool = False) -> int:
    """Let go of old evidence and canaries, beside an agent or while there is none.

    Args:
        config: the settings file.
        keep: how long canaries stay on record, like ``90d``; `agent.ledger_keep` without it.
        compact: give the room back to the disk; for a ledger that no agent uses.
        json: print one JSON object instead of text.

    Returns:
        The exit code: 0, or 1 if the ledger cannot be written.
    """
    try:
        agent = load(find(config), verified=False).agent
        rows = agent.ledger_keep if keep is None else parse_duration(keep)
    except SettingsError as error:
        output.complain(error.problems)
        return 1
    except ValueError as error:
        output.say(f"--keep: {error}")
        return output.WRONG_USAGE
    if rows < agent.keep + _DAY:
        least = output.age(agent.keep + _DAY)
        output.say(f"--keep: at least {least}, a day more than agent.keep: by its row a canary in a mailbox is known")
        return output.WRONG_USAGE
    clock = SystemClock()
    keeping = Retention(rows=rows, other_evidence=min(rows, Retention().other_evidence))
    try:
        with pruning(agent.ledger, wall=clock.now().timestamp(), keep=keeping) as work:
            if compact and not work.alone:
                work.compact()  # says why it will not
            asyncio.run(_prune(work, clock))
            left = work.left()
            words = f"{_shown(agent.ledger)}: {_gone(work)}; {output.count(left, 'canary is', 'canaries are')} kept"
            gone = {"canaries": work.canaries, "evidence": work.evidence, "left": left}
            output.tell([words], {"ledger": _shown(agent.ledger), **gone}, json=json)
            if compact:
                work.compact()
    except LedgerError as error:
        output.say(str(error))
        return 1
    return 0


async def _prune(work: Pruning, clock: SystemClock) -> None:
    """Prune step by step; beside an agent, leave the ledger to it most of the time."""
    done, total = 0, work.canaries + work.evidence
    with bar(f"pruning {_shown(work.url)}") as shown:
        while gone := work.step():
            done += gone
            shown.reach(min(done, total), total)
            if not work.alone:
                await clock.sleep(_REST)


def _gone(work: Pruning) -> str:
    canaries = output.count(work.canaries, "canary", "canaries")
    return f"{canaries} and {output.count(work.evidence, 'piece', 'pieces')} of evidence are gone"


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
                print(encoding.dumps(canary))
                if number % _AT_ONCE == 0:
                    shown.reach(number, export.number)
    except LedgerError as error:
        output.say(str(error))
        return 1
    return 0


def _ledger(config: Path | None) -> str | None:
    """Tell the URL of the ledger that the settings name; None if they cannot be used, which is said."""
    try:
        return load(find(config), verified=False).agent.ledger
    except SettingsError as error:
        output.complain(error.problems)
        return None


def _name(file: Path | None) -> str | None:
    return None if file is None else str(file)


def _shown(url: str) -> str:
    return plain(str(ledger_file(url)))
