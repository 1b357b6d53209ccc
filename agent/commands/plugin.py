"""How checks stand, in the words of monitoring systems: Nagios, Icinga and all that take their plug-ins; Checkmk.

Sources: Monitoring Plugins Development Guidelines, 2.2 (output), 2.4 (return codes), 2.6 (performance data); Checkmk
manual, "Local checks".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.commands.output import EXIT_CODES
from agent.log import plain
from agent.standing import CheckNow, what
from agent.words import age, span
from checks.core.model import Verdict

_WORDS = {Verdict.PASS: "OK", Verdict.WARN: "WARNING", Verdict.FAIL: "CRITICAL", Verdict.UNKNOWN: "UNKNOWN"}
_FROM_WORST_TO_BEST = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN, Verdict.PASS)
_LONGEST = 1000


def plugin_line(verdict: Verdict, text: str) -> str:
    """Write the first line of a monitoring plug-in's output, without perfdata."""
    return f"RELAYCANARY {_WORDS[verdict]} - {harmless(text)}"


def harmless(text: str) -> str:
    """Keep what a server says on its line, and from being taken for perfdata."""
    return plain(text).replace("|", "/")[:_LONGEST]


def seconds(label: str, value: float | None, warn: str = "", critical: str = "") -> str:
    """Write label=value;warn;crit;min of a time; a value that is not known is U.

    A mail that was seen before the reply was read has a delivery time below nothing.
    """
    return f"{label}={'U' if value is None else f'{max(0.0, value):.3f}s'};{warn};{critical};0"


def as_plugin(checks: Sequence[CheckNow], now_at: float) -> str:
    """Write what a plug-in prints about one check, or about several at once: the worst of them counts."""
    if len(checks) == 1:
        (one,) = checks
        rest = [f"{label}: {words}" for label, words in _advice(one)]
        first = f"{plugin_line(one.verdict, _sentence(one, now_at))} | {' '.join(_perfdata(one))}"
        return "\n".join([first, *map(harmless, rest)])
    worst = min((one.verdict for one in checks), key=_FROM_WORST_TO_BEST.index)
    latencies = [_latency(one, f"'{one.check.name}'") for one in checks]
    lines = [f"{one.verdict.value}: {_sentence(one, now_at)}" for one in checks]
    return "\n".join([f"{plugin_line(worst, _summary(checks, worst))} | {' '.join(latencies)}", *map(harmless, lines)])


def as_local_check(checks: Sequence[CheckNow], now_at: float) -> str:
    """Write what a local check of Checkmk prints: a line, and so a service, for each check."""
    lines = []
    for one in checks:
        words = [_sentence(one, now_at), *(f"{label}: {words}" for label, words in _advice(one))]
        text = "\\n".join(harmless(word).replace("\\", "/") for word in words)  # what Checkmk breaks lines by
        metrics = "|".join(part.replace("s;", ";", 1) for part in _perfdata(one) if "=U" not in part)
        lines.append(f'{EXIT_CODES[one.verdict]} "relaycanary {one.check.name}" {metrics or "-"} {text}')
    return "\n".join(lines)


def local_check_problem(text: str) -> str:
    """Write the local check that says that nothing is known."""
    return f'{EXIT_CODES[Verdict.UNKNOWN]} "relaycanary" - {harmless(text)}'


def _summary(checks: Sequence[CheckNow], worst: Verdict) -> str:
    if worst is Verdict.PASS:
        return f"all {len(checks)} checks pass"
    counts = {verdict: [one.check.name for one in checks if one.verdict is verdict] for verdict in _FROM_WORST_TO_BEST}
    told = [
        f"{verdict.value}: {', '.join(names)}"
        for verdict, names in counts.items()
        if names and verdict is not Verdict.PASS
    ]
    return f"{len(checks) - len(counts[Verdict.PASS])} of {len(checks)} checks do not pass ({'; '.join(told)})"


def _sentence(one: CheckNow, now_at: float) -> str:
    since = "" if one.since_at is None else f", since {age(now_at - one.since_at)}"
    latency = "" if one.latency is None or one.verdict is not Verdict.PASS else f" in {span(one.latency)}"
    return f"{one.check.name}: {what(one)}{latency}{since}"


def _advice(one: CheckNow) -> Iterator[tuple[str, str]]:
    if one.diagnosis is not None:
        yield "meaning", one.diagnosis.meaning
        yield "fix", one.diagnosis.fix


def _perfdata(one: CheckNow) -> Iterator[str]:
    yield _latency(one, "end_to_end")
    yield f"in_flight={one.in_flight.count};;;0"
    yield f"overdue={one.in_flight.overdue};;;0"


def _latency(one: CheckNow, label: str) -> str:
    limits = one.check.limits
    return seconds(label, one.latency, f"{limits.late_after:g}", f"{limits.lost_after:g}")
