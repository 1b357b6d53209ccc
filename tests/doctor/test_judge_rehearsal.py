"""Whatever way a rehearsed hand-over ends: a path that does not work is never without a finding that says so."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from support.make import a_check

from agent.doctor.finding import Status, worst
from agent.doctor.judge.rehearsal import Setting, judge_rehearsal
from checks.core.model import Cause, DialogueLine, Expectations, Protocol, Refused, Reply, Stage, Transcript
from checks.wire.rehearsal import Rehearsal

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
STAGES = (
    Stage.DNS,
    Stage.CONNECT,
    Stage.GREETING,
    Stage.EHLO,
    Stage.STARTTLS,
    Stage.TOKEN,
    Stage.AUTH,
    Stage.MAIL,
    Stage.RCPT,
    Stage.ENVELOPE,
)
WITHOUT_REPLY = [cause for cause in Cause if cause is not Cause.REPLY]
ENDS = [
    *((stage, Cause.REPLY, code) for stage, code in itertools.product(STAGES[2:], (421, 454, 550))),
    *((stage, cause, None) for stage, cause in itertools.product(STAGES, WITHOUT_REPLY)),
]


def ended(stage, cause, code, *, greeted):
    dialogue = (DialogueLine(at=1.0, who="S", text="220 mx.example ready"),) if greeted else ()
    transcript = Transcript(began_at=0, ended_at=1, endpoint="mx.example [192.0.2.1]:25", dialogue=dialogue)
    reply = None if code is None else Reply(code=code, enhanced=None, text="no")
    protocol = Protocol.ENTRA if stage is Stage.TOKEN else Protocol.SMTP
    refused = Refused(stage=stage, cause=cause, transcript=transcript, reply=reply, detail="x", protocol=protocol)
    return Rehearsal(transcript=transcript, refused=refused)


def setting(stage, check):
    logs_in = stage in {Stage.AUTH, Stage.TOKEN}
    username = "canary@contoso.example" if logs_in else None
    return Setting(host="mx.example", port=25, method="smtp", username=username, bearer=logs_in, check=check)


@pytest.mark.parametrize("greeted", [True, False], ids=["greeted", "before the greeting"])
@pytest.mark.parametrize(("stage", "cause", "code"), ENDS)
def test_every_bad_end_is_a_failure_or_a_warning(stage, cause, code, greeted):
    seen = ended(stage, cause, code, greeted=greeted)

    findings = judge_rehearsal(seen, (), setting(stage, a_check()), NOW)

    assert worst(findings) in {Status.FAILURE, Status.WARNING}
    bad = [one for one in findings if one.status in {Status.FAILURE, Status.WARNING}]
    assert all(one.meaning and one.fix and one.source for one in bad)


@pytest.mark.parametrize(("stage", "cause", "code"), [end for end in ENDS if end[0] not in STAGES[7:]])
def test_a_negative_check_excuses_refusals_of_its_recipient_only(stage, cause, code):
    check = a_check(expect=Expectations(refused=".*"))

    findings = judge_rehearsal(ended(stage, cause, code, greeted=True), (), setting(stage, check), NOW)

    assert worst(findings) in {Status.FAILURE, Status.WARNING}


@pytest.mark.parametrize("check", [None, a_check()])
@pytest.mark.parametrize("stage", STAGES[7:])
def test_a_path_that_no_check_uses_is_judged_as_well(stage, check):
    findings = judge_rehearsal(ended(stage, Cause.REPLY, 550, greeted=True), (), setting(stage, check), NOW)

    assert worst(findings) is Status.FAILURE
