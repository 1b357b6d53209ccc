"""``relaycanary probe``: send one canary now, and follow it to its verdict."""

from __future__ import annotations

import json as encoding
import tempfile
from pathlib import Path

from agent import loop
from agent.commands import output
from agent.commands.plugin import plugin_line
from agent.commands.probing.machine import as_json, as_plugin_output
from agent.commands.probing.result import Result
from agent.commands.probing.screen import Screen, Silence
from agent.commands.probing.single import Audience, send_one
from agent.config.load import find, load
from agent.config.problems import SettingsError, near, shown
from agent.config.settings import Settings
from agent.ledger import Ledger, LedgerError
from checks.core.model import Check, Verdict
from checks.errors import LocalFault


def probe(check: str, config: Path | None = None, *, json: bool = False, nagios: bool = False) -> int:
    """Send one canary of *check* now, with a ledger of its own that is gone afterwards.

    It disturbs no agent that is running: the ledger of the agent, and so its metrics, are left alone.

    Args:
        check: the name of a check in the settings.
        config: the settings file; without it the usual places are looked through.
        json: print one JSON object instead of text.
        nagios: print what a monitoring plug-in does, with perfdata.

    Returns:
        The exit code: 0 pass, 1 warn, 2 fail, 3 unknown; 64 if there is no such check, which a monitoring plug-in
        has to report as unknown.
    """
    output.show_only_errors()
    try:
        settings = load(find(config))
    except SettingsError as error:
        output.complain(error.problems)
        return _cannot(f"the settings cannot be used: {error.problems[0]}", output.NOTHING_KNOWN, nagios=nagios)
    if check not in settings.checks:
        known = list(settings.checks)
        message = f"{shown(check)} is not one of the checks {', '.join(known)}{near(check, known)}"
        output.say(message)
        return _cannot(message, output.WRONG_USAGE, nagios=nagios)
    try:
        return _probe(settings, settings.checks[check], json=json, nagios=nagios)
    except (LedgerError, LocalFault) as error:
        message = f"{check} cannot be probed: {error}"
    except OSError as error:  # of the temporary directory
        message = f"{check} cannot be probed: no temporary ledger: {error.strerror or error}"
    output.say(message)
    return _cannot(message, output.NOTHING_KNOWN, nagios=nagios)


def _probe(settings: Settings, check: Check, *, json: bool, nagios: bool) -> int:
    if json or nagios:
        result = _run(settings, check, Silence())
        print(encoding.dumps(as_json(result)) if json else as_plugin_output(result), flush=True)
        for note in result.notes if json else ():  # the object has no place for them
            output.say(note)
    else:
        screen = Screen(output.console())
        try:
            result = _run(settings, check, screen)
        finally:
            screen.close()
        screen.verdict(result)
    return output.EXIT_CODES[result.verdict]


def _run(settings: Settings, check: Check, audience: Audience) -> Result:
    """Send and wait, with a ledger in a directory that goes with it."""
    with (
        tempfile.TemporaryDirectory(prefix="relaycanary-", ignore_cleanup_errors=True) as directory,
        Ledger(f"sqlite:///{directory}/ledger.db") as ledger,
    ):
        return loop.run(send_one(settings, check, ledger, audience))


def _cannot(message: str, code: int, *, nagios: bool) -> int:
    """End without having sent anything; a plug-in says so on standard output, and knows no other code than unknown."""
    if not nagios:
        return code
    print(plugin_line(Verdict.UNKNOWN, message), flush=True)
    return output.NOTHING_KNOWN
