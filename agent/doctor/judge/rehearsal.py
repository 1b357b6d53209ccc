"""A rehearsed hand-over as a whole: every way in which it can end has a finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from agent.doctor.finding import Finding, not_tested
from agent.doctor.judge import dialogue
from agent.doctor.judge.clock import judge_clock
from agent.doctor.judge.diagnosed import of_refusal
from agent.doctor.judge.encryption import judge_tls
from agent.doctor.judge.login import ENVELOPE, judge_envelope, judge_login
from agent.doctor.judge.port import judge_port, was_reached
from checks.core.model import Check
from checks.wire.rehearsal import Rehearsal

_BANNER_STEP = 1.0  # seconds; a greeting tells whole ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the settings say about the path: where to, as whom (None where nobody logs in), for which check."""

    host: str
    port: int
    method: str
    username: str | None
    bearer: bool
    check: Check | None


def judge_rehearsal(rehearsal: Rehearsal, shown: Sequence[bytes], setting: Setting, now: datetime) -> list[Finding]:
    """Judge port, encryption, login, sender and recipient, and the server's clock.

    *shown* are the certificates that the server showed to somebody who does not verify, where it was not trusted.
    """
    method = setting.method
    findings = judge_port(rehearsal, setting.host, setting.port, method=method)
    if was_reached(rehearsal):
        findings += judge_tls(rehearsal, shown, setting.host, method=method, now=now)
        findings += judge_login(rehearsal, username=setting.username, bearer=setting.bearer, method=method)
        findings += _judge_envelope(rehearsal, setting)
        findings += _judge_clock(rehearsal)
    return findings


def _judge_envelope(rehearsal: Rehearsal, setting: Setting) -> list[Finding]:
    check, refused = setting.check, rehearsal.refused
    if check is None and refused is not None and refused.stage in ENVELOPE:
        return [of_refusal("smtp.envelope", refused, method=setting.method)]
    if check is None:
        return [not_tested("smtp.envelope", "no check goes by this path, so there is no recipient to name")]
    wanted = check.expect.refused
    return judge_envelope(rehearsal, check.sender, check.recipient, method=setting.method, wanted=wanted)


def _judge_clock(rehearsal: Rehearsal) -> list[Finding]:
    said = dialogue.greeting_date(dialogue.greeting(rehearsal.transcript.dialogue))
    if said is None or rehearsal.greeted is None:
        return []
    by = f"the greeting of {rehearsal.transcript.endpoint}"
    return [judge_clock(rehearsal.greeted, said, by=by, uncertainty=_BANNER_STEP)]
