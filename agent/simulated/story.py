"""What happened in a made-up past: everyday latencies, and a few incidents that an administrator would know.

Pure: the same seed, checks and span give the same story.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from agent.ledger.simulated import Past, PastCanary
from checks.core.findings import JUNK_FROM_SCL
from checks.core.model import (
    Accepted,
    Cause,
    Check,
    Findings,
    Outcome,
    Refused,
    Reply,
    Stage,
    StageTiming,
    Transcript,
)
from checks.core.servers import ServerHop
from checks.core.verdict import DEFAULT_VERDICT

_DAY = 86400.0
_HOUR = 3600.0
_STAGES = {
    Stage.DNS: 0.012,
    Stage.CONNECT: 0.021,
    Stage.GREETING: 0.045,
    Stage.STARTTLS: 0.06,
    Stage.ENVELOPE: 0.08,
    Stage.DATA: 0.35,
}
_LOGIN = {Stage.AUTH: 0.25}
_REQUESTS = {Stage.TOKEN: 0.002, Stage.REQUEST: 0.42}  # a token is mostly kept from the request before
_TYPICAL_DELIVERY = {"relay": 4.0, "direct_send": 2.5, "submission": 3.0, "graph_send": 2.0}
_HOSTS = (
    "DB5PEPF00014B8A.mail.protection.outlook.com",
    "DB9PR08MB7001.eurprd08.prod.outlook.com",
    "AM9PR08MB6100.eurprd08.prod.outlook.com",
    "mx1.outside.example",
)
_USUAL_PATIENCE = 60.0
_SPREAD = 0.35  # sigma of the logarithm of a delivery time


@dataclass(frozen=True, slots=True)
class Trouble:
    """What goes wrong on the paths of one method, from `began` to `ended`, counted in seconds before the present."""

    method: str
    began: float
    ended: float
    outcome: Outcome
    stage: Stage = Stage.RCPT
    reply: Reply | None = None
    slower: float = 1.0
    share: float = 1.0


def _reply(code: int, enhanced: str, text: str) -> Reply:
    return Reply(code=code, enhanced=enhanced, text=text)


TROUBLES: Sequence[Trouble] = (
    Trouble(
        "relay",
        2.3 * _DAY,
        2.3 * _DAY - 2.5 * _HOUR,
        Outcome.REJECTED,
        Stage.RCPT,
        _reply(550, "5.7.64", "TenantAttribution; Relay Access Denied [AM4PEPF00027A60.eurprd04.prod.outlook.com]"),
    ),
    Trouble(
        "submission",
        5.6 * _DAY,
        5.6 * _DAY - 1.2 * _HOUR,
        Outcome.AUTH_FAILED,
        Stage.AUTH,
        _reply(
            535,
            "5.7.139",
            "Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. "
            "[AS4P190CA0034.EURP190.PROD.OUTLOOK.COM]",
        ),
    ),
    Trouble("direct_send", 8.4 * _DAY, 8.4 * _DAY - 9 * _HOUR, Outcome.JUNK, share=0.6),
    Trouble("relay", 11.2 * _DAY, 11.2 * _DAY - 5 * _HOUR, Outcome.LATE, slower=25.0),
    Trouble(
        "submission",
        16.5 * _DAY,
        16.5 * _DAY - 0.7 * _HOUR,
        Outcome.DEFERRED,
        Stage.AUTH,
        _reply(454, "4.7.0", "Temporary authentication failure [AM0PR02CA0082.eurprd02.prod.outlook.com]"),
    ),
    Trouble("relay", 24.1 * _DAY, 24.1 * _DAY - 0.5 * _HOUR, Outcome.LOST),
)
_QUEUED = _reply(250, "2.6.0", "Queued mail for delivery")
_TAKEN_BY_GRAPH = Reply(code=202, enhanced=None, text="Accepted")
UNSIGNED = ("relay", 16.8 * _DAY, 15.2 * _DAY)
"""A method, and when its DKIM signatures failed, since a key was changed too early: mail arrived all the same."""
BLIND = (13.4 * _DAY, 13.4 * _DAY - 2 * _HOUR)
"""When no mailbox could be read."""
DOWN = (19.8 * _DAY, 19.8 * _DAY - 3 * _HOUR)
"""When the agent was not running."""


def past(checks: Sequence[Check], *, site: str, until: float, days: float, every: float) -> Past:
    """Make up *days* days that end at *until* (Unix time), with one canary every *every* seconds and check."""
    since = until - days * _DAY
    mailboxes = sorted({check.mailbox for check in checks})
    began, ended = (until - ago for ago in BLIND)
    return Past(
        site=site,
        began=since,
        most=len(checks) * int((until - since) // every),
        canaries=tell(checks, since=since, until=until, every=every),
        blind=[(mailbox, "INBOX", began, ended) for mailbox in mailboxes] if began > since else [],
    )


def tell(checks: Sequence[Check], *, since: float, until: float, every: float, seed: int = 7) -> Iterator[PastCanary]:
    """Walk through the canaries of *checks* between *since* and *until*, one every *every* seconds and check."""
    dice = random.Random(seed)  # noqa: S311 - a story, no secret
    slots = int((until - since) // every)
    for slot in range(slots):
        for place, check in enumerate(checks):
            started = since + slot * every + every * place / len(checks)
            ago = until - started
            if DOWN[1] < ago <= DOWN[0]:
                continue
            yield _canary(check, slot, started, ago, dice)


def _canary(check: Check, slot: int, started: float, ago: float, dice: random.Random) -> PastCanary:
    trouble = next((one for one in TROUBLES if one.method == check.method and one.ended < ago <= one.began), None)
    if trouble is not None and dice.random() > trouble.share:
        trouble = None
    if trouble is not None and trouble.reply is not None:
        return _refused(check, slot, started, trouble, dice)
    accepted = _accepted(check, started, dice)
    submission = accepted.transcript.ended_at - started
    if trouble is not None and trouble.outcome is Outcome.LOST:
        return _unseen(check, slot, started, accepted, submission, Outcome.LOST, "not seen in any watched folder")
    if BLIND[1] < ago <= BLIND[0]:
        reason = "nobody could look into the mailbox"
        return _unseen(check, slot, started, accepted, submission, Outcome.UNOBSERVED, reason)
    patience = min(1.0, check.limits.late_after / _USUAL_PATIENCE)  # a lab in a hurry has mail in a hurry
    typical = _TYPICAL_DELIVERY.get(check.method, 3.0) * patience * _by_hour(started)
    typical *= trouble.slower if trouble else 1.0
    delivery = typical * math.exp(dice.gauss(0.0, _SPREAD))
    outcome = Outcome.LATE if submission + delivery > check.limits.late_after else Outcome.DELIVERED
    reasons: tuple[str, ...] = ()
    if trouble is not None and trouble.outcome is Outcome.JUNK:
        outcome, reasons = Outcome.JUNK, ("placement: expected inbox, found in folder Junk Email",)
    gap = dice.uniform(0.05, 0.6)
    return PastCanary(
        check=check,
        slot=slot,
        started=started,
        concluded=started + submission + delivery + 0.05,
        attempt=accepted,
        outcome=outcome,
        verdict=DEFAULT_VERDICT[outcome],
        reasons=reasons,
        submission=submission,
        delivery=delivery,
        gap=min(gap, delivery),
        findings=_findings(check.method, ago, delivery, dice, junk=outcome is Outcome.JUNK),
    )


def _findings(method: str, ago: float, delivery: float, dice: random.Random, *, junk: bool) -> Findings:
    """Make up what the headers say: the last hop took what the first ones did not."""
    first, second = dice.choice((0, 0, 1)), dice.choice((0, 1, 1, 2))
    unsigned = method == UNSIGNED[0] and UNSIGNED[2] < ago <= UNSIGNED[1]
    third = float(max(0, int(delivery) - first - second))
    return _headers(float(first), float(second), third, unsigned=unsigned, junk=junk)


@lru_cache(maxsize=10_000)
def _headers(first: float, second: float, third: float, *, unsigned: bool, junk: bool) -> Findings:
    """Put findings together; the same ones are the same object, so that each is written but once."""
    hops = [ServerHop(by=_HOSTS[0], tls="TLSv1.3")]
    hops += [
        ServerHop(by=host, delay=delay, tls="TLSv1.3", wire=True)
        for host, delay in zip(_HOSTS[1:], (first, second, third), strict=True)
    ]
    results = {"spf": "pass", "dkim": "fail" if unsigned else "pass", "dmarc": "pass"}
    level, mark = (JUNK_FROM_SCL, f"SCL:{JUNK_FROM_SCL}") if junk else (1, None)
    return Findings(results=results, marked_junk=mark, attributed=True, scl=level, hops=tuple(hops))


def _by_hour(started: float) -> float:
    """Office hours are slower than nights, Mondays most of all."""
    hour = started % _DAY / _HOUR
    weekday = int(started // _DAY + 3) % 7  # 1970-01-01 was a Thursday
    busy = max(0.0, math.sin((hour - 6.0) / 14.0 * math.pi)) if weekday < 5 else 0.1  # noqa: PLR2004 - Saturday
    return 0.8 + busy * (1.2 if weekday == 0 else 0.7)


def _accepted(check: Check, started: float, dice: random.Random) -> Accepted:
    by_request = check.method == "graph_send"
    steps = _REQUESTS if by_request else {**_STAGES, **(_LOGIN if check.method == "submission" else {})}
    stages = tuple(
        StageTiming(stage=stage, seconds=round(seconds * math.exp(dice.gauss(0.0, 0.2)), 4))
        for stage, seconds in steps.items()
    )
    seconds = sum(one.seconds for one in stages)
    reply = _TAKEN_BY_GRAPH if by_request else _QUEUED
    transcript = Transcript(
        began_at=started, ended_at=started + seconds, endpoint="simulated", stages=stages, connected=True
    )
    return Accepted(reply=reply, transcript=transcript)


def _refused(check: Check, slot: int, started: float, trouble: Trouble, dice: random.Random) -> PastCanary:
    seconds = round(0.3 * math.exp(dice.gauss(0.0, 0.2)), 4)
    refused = Refused(
        stage=trouble.stage,
        cause=Cause.REPLY,
        reply=trouble.reply,
        transcript=Transcript(began_at=started, ended_at=started + seconds, endpoint="simulated", connected=True),
    )
    return PastCanary(
        check=check,
        slot=slot,
        started=started,
        concluded=started + seconds + 0.02,
        attempt=refused,
        outcome=trouble.outcome,
        verdict=DEFAULT_VERDICT[trouble.outcome],
        reasons=(str(trouble.reply),),
        submission=None,
        delivery=None,
        gap=None,
    )


def _unseen(
    check: Check, slot: int, started: float, accepted: Accepted, submission: float, outcome: Outcome, reason: str
) -> PastCanary:
    patience = check.limits.lost_after + (check.limits.observe_within if outcome is Outcome.UNOBSERVED else 0.0)
    return PastCanary(
        check=check,
        slot=slot,
        started=started,
        concluded=started + patience + 1.0,
        attempt=accepted,
        outcome=outcome,
        verdict=DEFAULT_VERDICT[outcome],
        reasons=(reason,),
        submission=submission,
        delivery=None,
        gap=None,
    )
