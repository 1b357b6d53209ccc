"""``relaycanary status``: how every check stands, as far as the ledger knows, now."""

from __future__ import annotations

import json as encoding
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.clock import SystemClock
from agent.commands import output
from agent.commands.output import age, count, show_table, span, table
from agent.commands.plugin import as_local_check, as_plugin, local_check_problem, plugin_line
from agent.commands.watching import watch
from agent.config.load import find, load
from agent.config.problems import SettingsError, near, shown
from agent.config.settings import Settings
from agent.ledger import LedgerError
from agent.ledger.inspect import Picture, Run, picture
from agent.ledger.looks import USUAL_GAP
from agent.log import plain
from agent.standing import CheckNow, stand_check, what
from checks.core.model import Check, Verdict

_NARROWEST = 40
_NARROW = 100
_FROM_BEST_TO_WORST = (Verdict.PASS, Verdict.WARN, Verdict.UNKNOWN, Verdict.FAIL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How everything stands. Moments are on the agent's steady timeline; `offset` in seconds makes them Unix time.

    `unlisted` counts the checks that only the ledger knows. `silent` says that the agent does not run, as far as the
    ledger tells; it is empty where it does. `stale` names the mailboxes that have not been read for too long.
    """

    now_at: float
    offset: float
    checks: Sequence[CheckNow]
    looked_at: dict[str, float | None]
    run: Run | None
    unlisted: int
    silent: str
    stale: Collection[str]

    @property
    def worst(self) -> Verdict:
        """The worst verdict of all checks."""
        return max((one.verdict for one in self.checks), key=_FROM_BEST_TO_WORST.index)


def status(
    config: Path | None = None,
    *,
    check: str | None = None,
    json: bool = False,
    nagios: bool = False,
    checkmk: bool = False,
    live: bool = False,
) -> int:
    """Say how every configured check stands, from the ledger alone; whether an agent is running makes no difference.

    The ledger's moments are on a steady timeline; the newest run tells when it began on that and by the wall clock,
    and so how they compare. If the wall clock was set since, all ages are wrong by that step until the agent is
    started again: set forward, a check may be called unknown too early; set back, it may be called so too late.

    Args:
        config: the settings file; without it the usual places are looked through.
        check: say it of this one alone.
        json: print one JSON object instead of tables.
        nagios: print what a monitoring plug-in does, with perfdata.
        checkmk: print what a local check of Checkmk does, a line for each check.
        live: renew what is shown until Ctrl-C, on a terminal.

    Returns:
        The exit code of the worst check: 0 pass, 1 warn, 3 unknown, 2 fail, in this order from best to worst; 3 too
        if nothing is known, for want of settings or of a ledger. 64 if there is no such check, which a monitoring
        plug-in has to report as unknown.
    """
    try:
        settings = load(find(config), verified=False)
    except SettingsError as error:
        output.complain(error.problems)
        words = f"the settings cannot be used: {error.problems[0]}"
        return _nothing(words, output.NOTHING_KNOWN, nagios=nagios, checkmk=checkmk)
    if check is not None and check not in settings.checks:
        words = f"{shown(check)} is not one of the checks {', '.join(settings.checks)}{near(check, [*settings.checks])}"
        output.say(words)
        return _nothing(words, output.WRONG_USAGE, nagios=nagios, checkmk=checkmk)
    if live:
        watch(lambda screen: _show(_now(settings, check), screen))
    try:
        now = _now(settings, check)
    except LedgerError as error:
        output.say(str(error))
        return _nothing(str(error), output.NOTHING_KNOWN, nagios=nagios, checkmk=checkmk)
    if json:
        print(encoding.dumps(as_json(now)))
    elif nagios:
        print(as_plugin(now.checks, now.now_at))
    elif checkmk:
        print(as_local_check(now.checks, now.now_at))
    else:
        _show(now, output.console())
    return output.EXIT_CODES[now.worst]


def _nothing(words: str, code: int, *, nagios: bool, checkmk: bool) -> int:
    """End with nothing known; monitoring systems read standard output, and know no other code than unknown."""
    if not nagios and not checkmk:
        return code
    print(plugin_line(Verdict.UNKNOWN, words) if nagios else local_check_problem(words))
    return output.NOTHING_KNOWN


def _now(settings: Settings, check: str | None) -> Status:
    """Look into the ledger.

    Raises:
        LedgerError: it cannot be read.
    """
    known = picture(settings.agent.ledger)
    wanted = [one for name, one in settings.checks.items() if check in {None, name}]
    return stand(wanted, known, SystemClock().now(), configured=settings.checks)


def stand(
    checks: Sequence[Check], known: Picture, now: datetime, *, configured: Collection[str] | None = None
) -> Status:
    """Work out how *checks* stand at *now*; *configured* names those that the settings have, if these are not all."""
    snapshot = known.snapshot
    offset = known.run.began_wall - known.run.began_at if known.run else 0.0
    now_at = now.timestamp() - offset
    listed = set(configured) if configured is not None else {check.name for check in checks}
    watched = {check.mailbox for check in checks}
    known_too = set(snapshot.looked_at) if len(checks) == len(listed) else set()
    patience = {check.mailbox: math.inf for check in checks}
    for check in checks:
        patience[check.mailbox] = min(patience[check.mailbox], snapshot.standing_of(check).stale_after)
    silent = _silent(known, now_at, min(patience.values(), default=0.0))
    looked_at = {name: snapshot.looked_at.get(name) for name in sorted(watched | known_too)}
    return Status(
        now_at=now_at,
        offset=offset,
        checks=[
            stand_check(check, snapshot, known.attempts.get(check.name), now_at, silent=silent) for check in checks
        ],
        looked_at=looked_at,
        run=known.run,
        unlisted=len((set(snapshot.standings) | set(snapshot.in_flight)) - listed),
        silent=silent,
        stale={
            name for name, at in looked_at.items() if at is not None and now_at - at > patience.get(name, USUAL_GAP)
        },
    )


def _silent(known: Picture, now_at: float, patience: float) -> str:
    """Say that the agent does not run, if that can be seen: it was stopped, or wrote nothing for longer than it may."""
    if known.run is None:
        return ""
    if known.run.ended_at is not None:
        return f"the agent does not run, for it was stopped {age(now_at - known.run.ended_at)} ago"
    quiet_for = now_at - known.sign_at
    return f"no sign of life of the agent for {age(quiet_for)}" if quiet_for > patience else ""


def as_json(now: Status) -> dict[str, Any]:
    """Make the object that ``status --json`` prints; moments in ISO 8601, in UTC."""
    run = now.run
    return {
        "checks": [_check_as_json(one, now.offset) for one in now.checks],
        "mailboxes": [
            {"mailbox": name, "state": _state(name, now), "last_look": _iso(at, now.offset)}
            for name, at in now.looked_at.items()
        ],
        "agent": {
            "site": run.site if run else None,
            "version": run.version if run else None,
            "started": _iso(run.began_at, now.offset) if run else None,
            "stopped": _iso(run.ended_at, now.offset) if run else None,
            "silent": now.silent or None,
            "unlisted_checks": now.unlisted,
        },
    }


def _check_as_json(one: CheckNow, offset: float) -> dict[str, Any]:
    standing, known = one.standing, one.diagnosis
    return {
        "check": one.check.name,
        "verdict": one.verdict.value,
        "outcome": standing.outcome if standing else None,
        "reason": one.reason or None,
        "reasons": list(standing.reasons) if standing else [],
        "diagnosis": known.for_programs() if known else None,
        "since": _iso(one.since_at, offset),
        "end_to_end_seconds": one.latency,
        "in_flight": one.in_flight.count,
        "overdue": one.in_flight.overdue,
        "last_pass": _iso(standing.passed_at, offset) if standing else None,
        "concluded": _iso(standing.concluded_at, offset) if standing else None,
    }


def _iso(at: float | None, offset: float) -> str | None:
    return None if at is None else datetime.fromtimestamp(at + offset, UTC).isoformat(timespec="milliseconds")


def _state(mailbox: str, now: Status) -> str:
    return "never read" if now.looked_at[mailbox] is None else "stale" if mailbox in now.stale else "read"


def _show(now: Status, console: Console) -> None:
    narrow = console.width < _NARROW
    show_table(console, _checks(now, narrow=narrow))
    if narrow:
        for one in now.checks:
            _show_lines(f"{one.check.name}: ", plain(what(one)), console)
    for one in now.checks:
        if one.diagnosis is not None:
            console.print()
            _show_lines(f"{one.check.name}: ", one.diagnosis.meaning, console)
            _show_lines("  fix: ", one.diagnosis.fix, console)
    console.print()
    _show_mailboxes(now, console)
    console.print()
    _show_agent(now, console)


def _show_mailboxes(now: Status, console: Console) -> None:
    mailboxes = table("MAILBOX", "STATE", "LAST LOOK")
    for name, looked_at in now.looked_at.items():
        state = _state(name, now)
        mailboxes.add_row(name, Text(state, style="" if state == "read" else "magenta"), _ago(looked_at, now))
    show_table(console, mailboxes)
    if now.stale and not now.silent:
        advice = (
            "the agent runs, but cannot read it: its log and its status page say why, and `relaycanary doctor` tries"
        )
        for name in sorted(now.stale):
            _show_lines(f"mailbox {name}: ", advice, console)


def _show_agent(now: Status, console: Console) -> None:
    if now.silent:
        _show_lines(
            "",
            f"{now.silent}: `relaycanary run` starts it, and under systemd `systemctl status relaycanary` says more",
            console,
        )
    if now.run is not None:
        began = datetime.fromtimestamp(now.run.began_wall, UTC)
        words = f"agent {now.run.version} at site {now.run.site}, last started {_ago(now.run.began_at, now)}"
        stopped = "" if now.run.ended_at is None else f", stopped {_ago(now.run.ended_at, now)}"
        console.print(Text(f"{plain(words)} ({began:%Y-%m-%d %H:%M:%S} UTC){stopped}"), soft_wrap=True)
    if now.unlisted:
        console.print(Text(f"the ledger also knows {count(now.unlisted, 'check')} that the settings do not have"))


def _show_lines(head: str, words: str, console: Console) -> None:
    """Print *words* after *head*; a line that is too long goes on below itself."""
    width = max(_NARROWEST, console.width - len(head))
    for number, line in enumerate(Text(words).wrap(console, width)):
        text = f"{' ' * len(head) if number else head}{line.plain}".rstrip()
        console.print(Text(text, no_wrap=True, overflow="ignore"), crop=False)


def _checks(now: Status, *, narrow: bool) -> Table:
    """Put the table together; what servers say is its last column, and in a narrow terminal below it."""
    names = ["CHECK", "VERDICT", "SINCE", "LATENCY"]
    checks = table(*names, *([] if narrow else ["IN FLIGHT", "LAST PASS", "WHAT"]))
    for column in checks.columns:
        column.no_wrap = column.header != "WHAT"
    for one in now.checks:
        standing, in_flight = one.standing, one.in_flight
        overdue = f" ({in_flight.overdue} overdue)" if in_flight.overdue else ""
        cells: list[str | Text] = [
            one.check.name,
            Text(one.verdict.value, style=output.STYLES[one.verdict]),
            _ago(one.since_at, now),
            span(one.latency) if one.latency is not None else "-",
        ]
        if not narrow:
            passed = _ago(standing.passed_at, now) if standing else "never"
            cells += [f"{in_flight.count}{overdue}", passed, Text(plain(what(one)))]
        checks.add_row(*cells)
    return checks


def _ago(at: float | None, now: Status) -> str:
    return "-" if at is None else f"{age(now.now_at - at)} ago"
