"""What came of one canary, for machines: one JSON object, or the output of a monitoring plug-in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.commands.evidence import show_antispam, show_authentication, show_hops, show_servers, show_tls
from agent.commands.output import span
from agent.commands.plugin import harmless, plugin_line, seconds
from agent.commands.probing.result import Result, headline, short
from checks.core.headers.fields import parse_headers

_DIGITS = 6


def as_json(result: Result) -> dict[str, Any]:
    """Make the object that ``probe --json`` prints; null or empty for what is not known."""
    check, conclusion = result.check, result.conclusion
    return {
        "check": check.name,
        "canary": result.case.canary if result.case else None,
        "path": check.path,
        "method": check.method,
        "mailbox": check.mailbox,
        "verdict": result.verdict.value,
        "outcome": result.outcome.value if result.outcome else None,
        "reasons": list(result.reasons),
        "stages": [
            {"stage": timing.stage.value, "seconds": round(timing.seconds, _DIGITS)}
            for timing in (result.transcript.stages if result.transcript else ())
        ],
        "submission_seconds": _rounded(result.submission),
        "delivery_seconds": _rounded(conclusion.delivery) if conclusion else None,
        "end_to_end_seconds": _rounded(conclusion.end_to_end) if conclusion else None,
        "observation_gap_seconds": _rounded(conclusion.observation_gap) if conclusion else None,
        "reply": _reply(result),
        "diagnosis": _diagnosis(result),
        "evidence": _evidence(result),
    }


def _diagnosis(result: Result) -> dict[str, str] | None:
    known = result.diagnosis
    return None if known is None else known.for_programs()


def as_plugin_output(result: Result) -> str:
    """Write what a monitoring plug-in prints (Monitoring Plugins guidelines 2.2 and 2.6).

    The first line has the text and the perfdata, times in seconds with `late_after` and `lost_after` as thresholds;
    the lines after it are for whoever looks closer.
    """
    first = plugin_line(result.verdict, headline(result))
    return "\n".join([f"{first} | {' '.join(_perfdata(result))}", *map(harmless, _details(result))])


def _perfdata(result: Result) -> Iterator[str]:
    conclusion, limits = result.conclusion, result.check.limits
    patience = f"{limits.late_after:g}", f"{limits.lost_after:g}"
    yield seconds("submission", result.submission)
    yield seconds("delivery", conclusion.delivery if conclusion else None, *patience)
    yield seconds("end_to_end", conclusion.end_to_end if conclusion else None, *patience)


def _details(result: Result) -> Iterator[str]:
    transcript = result.transcript
    if transcript is not None and transcript.stages:
        stages = ", ".join(f"{timing.stage} {span(timing.seconds)}" for timing in transcript.stages)
        yield f"stages at {transcript.endpoint}: {stages}"
    if result.reply is not None:
        stage, reply = result.reply
        yield f"reply at {stage}: {short(str(reply))}"
    if result.case is not None and result.case.folder is not None:
        yield f"seen in: {result.case.folder}"
    yield from (f"reason: {short(reason)}" for reason in result.reasons)
    if (known := result.diagnosis) is not None:
        yield f"meaning: {known.meaning}"
        yield f"fix: {known.fix}"
    yield from (f"note: {short(note)}" for note in result.notes)


def _reply(result: Result) -> dict[str, Any] | None:
    if result.reply is None:
        return None
    stage, reply = result.reply
    return {"stage": stage.value, "code": reply.code, "enhanced": reply.enhanced, "text": reply.text}


def _evidence(result: Result) -> dict[str, Any]:
    block = result.case.headers if result.case else None
    headers = None if block is None else parse_headers(block)
    tls = result.transcript.tls if result.transcript else None
    return {
        "folder": result.case.folder if result.case else None,
        "hops": show_hops(headers) if headers else [],
        "authentication": show_authentication(headers, result.check.expect.authserv_ids) if headers else {},
        "antispam": show_antispam(headers) if headers else {},
        "tls": show_tls(tls) if tls else {},
        "servers": show_servers(result.case.servers) if result.case and result.case.servers else {},
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, _DIGITS)
