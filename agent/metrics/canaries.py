"""Metrics of canaries: how many, what came of them, and how long they took. All of them from the ledger."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator

from prometheus_client.utils import floatToGoString

from agent.metrics.family import Family, Row, family
from agent.metrics.picture import Picture
from checks.core.model import Check, Outcome, Stage, Verdict
from checks.core.verdict import DEFAULT_VERDICT

_CHECK = ("check", "method")
_spell: Callable[[float], str] = floatToGoString  # how bucket bounds must be written
_SMTP = (Stage.DNS, Stage.CONNECT, Stage.GREETING, Stage.STARTTLS, Stage.ENVELOPE, Stage.DATA)
_SMTP_LOGIN = (*_SMTP, Stage.AUTH)
_STAGES = {
    "relay": _SMTP,
    "direct_send": _SMTP,
    "submission": _SMTP_LOGIN,
    "smtp": _SMTP_LOGIN,
    "graph_send": (Stage.TOKEN, Stage.REQUEST),
}
_MECHANISMS = ("spf", "dkim", "dmarc", "compauth")
_RESULTS = frozenset(
    {
        *("pass", "fail", "softfail", "neutral", "none", "policy", "temperror", "permerror"),  # RFC 8601 2.7
        *("bestguesspass", "softpass"),  # Exchange Online's, of dmarc and compauth
    }
)


@family("counter", "canaries_started_total", "Canaries written down, before their first byte.", *_CHECK, recorded=True)
def _started(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        yield from picture.counts(check, "canaries_started")


@family(
    "counter",
    "canaries_total",
    "Canaries concluded, each exactly once, by what happened and how it was judged.",
    *_CHECK,
    "outcome",
    "verdict",
    recorded=True,
)
def _concluded(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        yield from picture.counts(check, "canaries", ("outcome", "verdict"), _conclusions(check))


@family(
    "gauge",
    "canaries_in_flight",
    "Canaries without a conclusion: started = concluded + in flight, in every scrape.",
    *_CHECK,
    recorded=True,
)
def _in_flight(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        yield (check.name, check.method), picture.in_flight(check)


@family(
    "counter",
    "canaries_recovered_total",
    "Canaries seen after they were concluded as something other than delivered, late, junk or degraded; each once.",
    *_CHECK,
    recorded=True,
)
def _recovered(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        yield from picture.counts(check, "canaries_recovered")


@family(
    "counter",
    "canaries_duplicates_total",
    "Further copies of a canary that was seen before.",
    *_CHECK,
    recorded=True,
)
def _duplicates(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        yield from picture.counts(check, "canaries_duplicates")


@family(
    "gauge",
    "oldest_in_flight_timestamp_seconds",
    "Unix time at which the oldest canary without a conclusion was started; absent while none of the check as it is"
    " configured now is in flight.",
    *_CHECK,
    recorded=True,
)
def _oldest(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        oldest_at = picture.oldest_at(check)
        if oldest_at is not None:
            yield (check.name, check.method), picture.unix(oldest_at)


@family("histogram", "submission_seconds", "From the first byte to the final reply.", *_CHECK, recorded=True)
def _submission(picture: Picture) -> Iterator[Row]:
    yield from _latencies(picture, "submission")


@family(
    "histogram",
    "delivery_seconds",
    "From the final reply to first seen in the mailbox; 0 if it was seen before the reply.",
    *_CHECK,
    recorded=True,
)
def _delivery(picture: Picture) -> Iterator[Row]:
    yield from _latencies(picture, "delivery")


@family("histogram", "end_to_end_seconds", "From the first byte to first seen in the mailbox.", *_CHECK, recorded=True)
def _end_to_end(picture: Picture) -> Iterator[Row]:
    yield from _latencies(picture, "end_to_end")


@family(
    "gauge",
    "end_to_end_last_seconds",
    "End-to-end latency of the newest-started canary that was seen; absent before the first.",
    *_CHECK,
    recorded=True,
)
def _end_to_end_last(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        standing = picture.standing(check)
        if standing is not None and standing.end_to_end is not None:
            yield (check.name, check.method), standing.end_to_end


@family(
    "gauge",
    "observation_gap_seconds",
    "How far before the reported moment that same canary may have arrived; absent before the first.",
    *_CHECK,
    recorded=True,
)
def _observation_gap(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        standing = picture.standing(check)
        if standing is not None and standing.observation_gap is not None:
            yield (check.name, check.method), standing.observation_gap


@family(
    "gauge",
    "spam_confidence_level",
    "Microsoft's spam confidence level of the newest-started canary that was seen, -1 to 9; NaN where there is none.",
    *_CHECK,
    recorded=True,
)
def _spam_confidence(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        standing = picture.standing(check)
        known = standing is not None and standing.scl is not None
        yield (check.name, check.method), standing.scl if standing is not None and known else math.nan


@family("summary", "stage_seconds", "Time spent in each stage of handing over.", *_CHECK, "stage", recorded=True)
def _stages(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        known = [(stage.value,) for stage in _STAGES.get(check.method, ())]
        sums = dict(picture.counts(check, "stage_seconds_sum", ("stage",), known))
        for labels, count in picture.counts(check, "stage_seconds_count", ("stage",), known):
            yield labels, count, sums.get(labels, 0.0)


@family(
    "counter",
    "authentication_total",
    "What the receiver found by SPF, DKIM, DMARC and composite authentication, in mail that was seen.",
    *_CHECK,
    "mechanism",
    "result",
    recorded=True,
)
def _authentication(picture: Picture) -> Iterator[Row]:
    known = [(mechanism, result) for mechanism in _MECHANISMS for result in ("pass", "fail")]
    for check in picture.checks:
        values: dict[tuple[str, ...], float] = defaultdict(float)
        for (*labels, result), value in picture.counts(check, "authentication", ("mechanism", "result"), known):
            # the word comes out of a mail header: one that no standard knows must not make a series of its own
            values[(*labels, result if result in _RESULTS else "other")] += value
        yield from values.items()


@family(
    "counter",
    "smtp_replies_total",
    "Refusals by the command that was refused, code and enhanced code; further ones of a check count as other.",
    *_CHECK,
    "stage",
    "code",
    "enhanced",
    recorded=True,
)
def _replies(picture: Picture) -> Iterator[Row]:
    for check in picture.checks:
        yield from picture.counts(check, "smtp_replies", ("stage", "code", "enhanced"), ())


def _conclusions(check: Check) -> Iterator[tuple[str, str]]:
    """List every outcome with the verdict it brings; a negative check is content with being rejected."""
    for outcome in Outcome:
        yield outcome.value, DEFAULT_VERDICT[outcome].value
    if check.expect.refused is not None:
        yield Outcome.REJECTED.value, Verdict.PASS.value


def _latencies(picture: Picture, name: str) -> Iterator[Row]:
    names = [*map(_spell, picture.bounds), "+Inf"]
    for check in picture.checks:
        for histogram in picture.histograms(check, name):
            cumulative, buckets = 0, []
            for bound, count in zip(names, histogram.counts, strict=True):
                cumulative += count
                buckets.append((bound, cumulative))
            yield (check.name, histogram.method), buckets, histogram.sum


FAMILIES: tuple[Family, ...] = (
    _started,
    _concluded,
    _in_flight,
    _recovered,
    _duplicates,
    _oldest,
    _submission,
    _delivery,
    _end_to_end,
    _end_to_end_last,
    _observation_gap,
    _spam_confidence,
    _stages,
    _authentication,
    _replies,
)
