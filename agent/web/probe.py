"""``/probe?check=NAME``: hand one canary over now, and tell how that went in blackbox_exporter's way.

Only the hand-over is waited for. The canary is one like any other: it is in the ledger before its first byte, it is
looked for and judged, and counts in every metric.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from agent.log import plain
from agent.metrics import blackbox
from agent.metrics.exposition import negotiate
from agent.probe import Sent
from agent.web.bearer import Bearer
from agent.web.on_demand import OnDemand
from agent.words import OUTCOMES
from checks.core import verdict
from checks.core.model import Accepted, Conclusion, Facts, Refused, Untried, Verdict, Watching
from checks.knowledge import diagnose_outcome

_LONGEST = 120.0  # seconds, as blackbox_exporter has it
_MARGIN = 0.5  # seconds before Prometheus gives up, for the way back
_TRUE = {"1", "true", "t"}  # as blackbox_exporter reads them


@dataclass(frozen=True, slots=True)
class ProbePage:
    """Demands the token where there is one. Those who ask within ten seconds of each other share one canary."""

    bearer: Bearer
    on_demand: OnDemand

    def routes(self) -> Sequence[Route]:
        """List the addresses."""
        return [Route("/probe", self.probe)]

    async def probe(self, request: Request) -> Response:
        """Send a canary and answer with metrics, or with ``debug=true`` with all that was said."""
        if self.bearer.token is not None:
            refusal = await self.bearer.refusal(request, "probing over HTTP")
            if refusal is not None:
                return refusal
        elif request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            return PlainTextResponse("a page of another site may not send mail: set web.token to let programs\n", 403)
        name = request.query_params.get("check")
        if not name:
            return PlainTextResponse("which check? ask for /probe?check=NAME\n", 400)
        sending = self.on_demand.recent(name)
        if sending is None:
            return PlainTextResponse(f"there is no check {plain(name)}\n", 404)
        await asyncio.wait({sending}, timeout=_patience(request.headers.get("x-prometheus-scrape-timeout-seconds")))
        if not sending.done():
            return PlainTextResponse("the canary is still being handed over: nobody can say yet how that goes\n", 504)
        sent = None if sending.cancelled() or sending.exception() else sending.result()
        if sent is None:
            return PlainTextResponse("the canary could not be sent: the log of the agent says why\n", 503)
        return _answer(request, sent)


def _answer(request: Request, sent: Sent) -> Response:
    conclusion = _judged(sent)
    success = _success(sent, conclusion)
    metrics = _metrics(sent, success)
    if request.query_params.get("debug", "").lower() in _TRUE:
        encode, _ = negotiate("", "")
        return PlainTextResponse("\n".join(_told(sent, conclusion, success, encode(metrics).decode())))
    if success is None:  # neither 1 nor 0 would be true: the scrape fails
        reasons = "; ".join(conclusion.reasons) if conclusion else "no answer to the message"
        return PlainTextResponse(f"nobody can say whether the path works: {plain(reasons)}\n", 503)
    encode, form = negotiate(request.headers.get("accept", ""), "")
    return Response(encode(metrics), headers={"Content-Type": form.content_type, "Vary": "Accept"})


def _judged(sent: Sent) -> Conclusion | None:
    """Judge the canary by its hand-over; None where that is not the end of it."""
    facts = Facts(
        canary=sent.canary,
        attempt=sent.attempt,
        abandoned=False,
        online=sent.online,
        sightings=(),
        bounces=(),
        watching=Watching(looked_at={}),
    )
    found = verdict.judge(facts, sent.canary.started_at)
    return found if isinstance(found, Conclusion) else None


def _success(sent: Sent, conclusion: Conclusion | None) -> bool | None:
    """Tell whether the hand-over went as the check wants it; None where nobody knows."""
    if conclusion is None:
        return True if isinstance(sent.attempt, Accepted) else None
    return None if conclusion.verdict is Verdict.UNKNOWN else conclusion.verdict is Verdict.PASS


@dataclass(frozen=True, slots=True)
class _Families(Collector):
    """Metric families, as the library's encoders take them."""

    metrics: Sequence[Metric]

    def collect(self) -> Sequence[Metric]:
        """List them."""
        return self.metrics


def _metrics(sent: Sent, success: bool | None) -> _Families:
    if success is None or isinstance(sent.attempt, Untried):
        return _Families(())
    return _Families(tuple(blackbox.families(sent.attempt, method=sent.canary.check.method, success=success)))


def _told(sent: Sent, conclusion: Conclusion | None, success: bool | None, metrics: str) -> Iterator[str]:
    """Yield the lines of the answer to ``debug=true``, under blackbox_exporter's headings."""
    check, attempt = sent.canary.check, sent.attempt
    yield "Logs for the probe:"
    yield f"canary {sent.canary.id} of check {check.name} by path {check.path} ({check.method})"
    if isinstance(attempt, Untried):
        yield f"could not be tried: {plain(attempt.detail)}"
    else:
        yield from _dialogue(attempt)
    if conclusion is not None and conclusion.verdict is not Verdict.PASS:
        yield f"{OUTCOMES[conclusion.outcome]}: {plain('; '.join(conclusion.reasons))}"
        known = diagnose_outcome(conclusion.outcome, conclusion.reasons, method=check.method, attempt=attempt)
        if known is not None:
            yield f"meaning: {known.meaning}"
            yield f"what to do: {known.fix}"
    yield f"evidence: /canaries/{sent.canary.id}"
    yield "\n\nMetrics that would have been returned:"
    yield "(none: nobody can say whether the path works)" if success is None else metrics.rstrip("\n")
    yield "\n\nCheck configuration:"
    limits = check.limits
    yield f"path: {check.path}, mailbox: {check.mailbox}, severity: {check.severity}"
    yield f"every: {limits.every:g}s, late_after: {limits.late_after:g}s, lost_after: {limits.lost_after:g}s\n"


def _dialogue(attempt: Accepted | Refused) -> Iterator[str]:
    transcript = attempt.transcript
    yield f"endpoint {plain(transcript.endpoint)}"
    for timing in transcript.stages:
        yield f"stage {timing.stage.value} took {timing.seconds:.6f} s"
    for line in transcript.dialogue:
        yield f"{line.at - transcript.began_at:+.3f} {line.who} {plain(line.text)}"
    said = str(attempt.reply) if attempt.reply is not None else ""
    if isinstance(attempt, Refused):
        yield f"not accepted at {attempt.stage.value}: {plain(said or attempt.detail or attempt.cause.value)}"
    else:
        yield f"accepted: {plain(said)}"


def _patience(given: str | None) -> float:
    """Tell how long to wait, from what Prometheus says about its own patience."""
    try:
        seconds = float(given) if given is not None else math.inf
    except ValueError:
        seconds = math.inf
    return _LONGEST if math.isnan(seconds) else min(max(0.0, seconds - _MARGIN), _LONGEST)
