"""One fire drill: something breaks, the right people are told, it is mended, they are told that too."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from alerting.stack import EVERY, Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """What is broken and which alerts must come, by receiver; `also` may fire, and is told of afterwards.

    `held_back` fires too, and Alertmanager must hold it back from the moment at which it knows better; whatever came
    before that has been sent. `faults` are those of the lab, by its path or mailbox; `words` must stand in the text of
    the first alert.
    """

    name: str
    faults: Mapping[str, str] = field(default_factory=dict)
    alerts: Mapping[str, str]
    also: frozenset[str] = frozenset()
    held_back: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()
    kill: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How a drill went: after how many seconds each alert came, what else fired, after how long it was resolved."""

    drill: str
    came: Mapping[str, float]
    fired: frozenset[str]
    resolved: float

    def __str__(self) -> str:
        """One row of a table."""
        came = ", ".join(f"{alert} after {seconds:.0f} s" for alert, seconds in self.came.items())
        others = ", ".join(sorted(self.fired - self.came.keys())) or "none"
        return f"| {self.drill} | {came} | {others} | {self.resolved:.0f} s |"


def run(stack: Stack, drill: Drill) -> Seen:
    """Break, wait for every alert, look on for a while, mend, wait for every resolve.

    Raises:
        AssertionError: another alert than those fired or was sent, or one went to the wrong receiver.
    """
    broken_at = time.monotonic()
    _break(stack, drill)
    fired = wait_for(stack, drill, broken_at)
    _mend(stack, drill)
    return wait_for_the_end(stack, drill, broken_at, fired)


def wait_for(stack: Stack, drill: Drill, broken_at: float) -> set[str]:
    """Wait for every alert of a drill, and look on for a while; return all that fired."""
    fired: set[str] = set()
    for alert, receiver in drill.alerts.items():
        stack.until(f"{drill.name}: {alert}", _got(stack, alert, "firing", broken_at), watch=fired)
        page = stack.receiver.got(alert, "firing", broken_at)
        assert page is not None
        assert page.receiver == receiver, page
    _look_on(stack, fired)
    stack.until(f"{drill.name}: held back", lambda: drill.held_back <= stack.held_back(), watch=fired)
    first = stack.receiver.got(next(iter(drill.alerts)), "firing", broken_at)
    assert first is not None
    assert not [word for word in drill.words if word not in str(first.annotations)], first.annotations
    assert drill.alerts.keys() <= fired
    return fired


def wait_for_the_end(stack: Stack, drill: Drill, broken_at: float, fired: set[str]) -> Seen:
    """Wait until every alert of a drill is resolved and all is well; hold what was sent against the plan."""
    healed_at = time.monotonic()
    for alert in drill.alerts:
        stack.until(f"{drill.name}: {alert} resolved", _got(stack, alert, "resolved", healed_at), watch=fired)
    came = {alert: _first(stack, alert, "firing", broken_at) - broken_at for alert in drill.alerts}
    resolved = max(_first(stack, alert, "resolved", healed_at) - healed_at for alert in drill.alerts)
    stack.until_quiet(watch=fired)
    allowed = drill.alerts.keys() | drill.also | drill.held_back
    assert fired <= allowed, fired - allowed
    pages = [page for page in stack.receiver.pages if page.at >= broken_at and page.alert not in stack.expected]
    sent = {page.alert for page in pages if page.receiver != "deadman"}
    paged = {page.alert for page in pages if page.receiver == "pager"}
    assert sent <= allowed, sent - allowed
    wanted = {alert for alert, receiver in drill.alerts.items() if receiver == "pager"}
    assert paged - drill.held_back == wanted, paged
    return Seen(drill=drill.name, came=came, fired=frozenset(fired), resolved=resolved)


def _first(stack: Stack, alert: str, status: str, since: float) -> float:
    page = stack.receiver.got(alert, status, since)
    assert page is not None
    return page.at


def _break(stack: Stack, drill: Drill) -> None:
    for target, fault in drill.faults.items():
        stack.lab.break_(target, fault)
    if drill.kill:
        stack.kill_agent()


def _mend(stack: Stack, drill: Drill) -> None:
    stack.lab.heal()
    if drill.kill:
        stack.start_agent()


def _got(stack: Stack, alert: str, status: str, since: float) -> Callable[[], object]:
    return lambda: stack.receiver.got(alert, status, since)


def _look_on(stack: Stack, fired: set[str]) -> None:
    """Let three more canaries of every check go by, to see whether anything else fires."""
    wanted = 3 * EVERY
    began = time.monotonic()
    stack.until("a while has passed", lambda: time.monotonic() - began > wanted, watch=fired)
