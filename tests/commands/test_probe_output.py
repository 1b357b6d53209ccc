from __future__ import annotations

import json

import pytest

from agent.commands.output import OUTCOMES, age, console, span
from agent.commands.probing.machine import as_json, as_plugin_output
from agent.commands.probing.result import Result, headline
from agent.commands.probing.screen import Screen
from agent.ledger.inspect import Case
from checks.core.model import (
    Accepted,
    Attempt,
    Cause,
    Check,
    Conclusion,
    Limits,
    Outcome,
    Refused,
    Reply,
    Stage,
    StageTiming,
    Transcript,
    Untried,
    Verdict,
)

HOSTILE = "no | end_to_end=0s\r\nRELAYCANARY OK \x1b[2J[red]:smile:\u202e" + "x" * 5000

CHECK = Check(
    name="relay",
    path="relay",
    method="relay",
    mailbox="outside",
    sender="canary@contoso.example",
    recipient="canary@outside.example",
    limits=Limits(every=60, late_after=60, lost_after=600),
)
TRANSCRIPT = Transcript(
    began_at=1000.0,
    ended_at=1000.25,
    endpoint="mx.example [192.0.2.1]:25",
    stages=(StageTiming(stage=Stage.CONNECT, seconds=0.05), StageTiming(stage=Stage.DATA, seconds=0.2)),
)
ACCEPTED = Accepted(reply=Reply(code=250, enhanced="2.6.0", text="Queued"), transcript=TRANSCRIPT)


def result(
    attempt: Attempt, outcome: Outcome, verdict: Verdict, *reasons: str, delivery: float | None = None
) -> Result:
    conclusion = Conclusion(
        canary="a" * 16,
        outcome=outcome,
        verdict=verdict,
        reasons=reasons,
        submission=0.25 if isinstance(attempt, Accepted) else None,
        delivery=delivery,
        end_to_end=None if delivery is None else delivery + 0.25,
        observation_gap=None if delivery is None else 0.01,
    )
    folder = None if delivery is None else "INBOX"
    return Result(
        check=CHECK,
        attempt=attempt,
        case=Case(canary="a" * 16, conclusion=conclusion, folder=folder, headers=None),
    )


def refused(text: str) -> Refused:
    reply = Reply(code=550, enhanced="5.7.64", text=text)
    return Refused(stage=Stage.RCPT, cause=Cause.REPLY, reply=reply, transcript=TRANSCRIPT)


def test_the_plug_in_output_of_a_delivery_is_word_for_word_this() -> None:
    delivered = result(ACCEPTED, Outcome.DELIVERED, Verdict.PASS, delivery=0.99)
    assert as_plugin_output(delivered).splitlines() == [
        (
            "RELAYCANARY OK - relay delivered in 1.24 s"
            " | submission=0.250s;;;0 delivery=0.990s;60;600;0 end_to_end=1.240s;60;600;0"
        ),
        "stages at mx.example [192.0.2.1]:25: connect 50 ms, data 200 ms",
        "reply at data: 250 2.6.0 Queued",
        "seen in: INBOX",
    ]


def test_words_of_a_server_forge_neither_perfdata_nor_lines() -> None:
    lines = as_plugin_output(
        result(refused(HOSTILE), Outcome.REJECTED, Verdict.FAIL, f"550 5.7.64 {HOSTILE}")
    ).splitlines()
    assert [line.count("|") for line in lines] == [1, 0, 0, 0, 0, 0]
    assert [line.partition(":")[0] for line in lines[-2:]] == ["meaning", "fix"]
    assert lines[0].startswith("RELAYCANARY CRITICAL - relay rejected: 550 5.7.64 no / end_to_end=0s\\u000d\\u000a")
    assert lines[0].endswith("... | submission=U;;;0 delivery=U;60;600;0 end_to_end=U;60;600;0")
    assert max(len(line) for line in lines) < 500
    assert not any(char in line for line in lines for char in "\x1b\r\u202e")


def test_words_of_a_server_cannot_act_on_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(console())
    screen.handed_over(refused(HOSTILE))
    screen.unreadable(HOSTILE)
    screen.verdict(result(refused(HOSTILE), Outcome.REJECTED, Verdict.FAIL, HOSTILE))
    said = capsys.readouterr().out
    assert len(said.splitlines()) == 6
    assert not any(char in said for char in "\x1b\r\u202e")
    assert said.count(r"\u001b[2J[red]:smile:\u202e") == 3


def test_json_survives_whatever_a_server_says() -> None:
    made = as_json(result(refused(HOSTILE), Outcome.REJECTED, Verdict.FAIL, HOSTILE))
    assert json.loads(json.dumps(made)) == made


def test_mail_that_was_seen_before_the_reply_took_no_time_in_perfdata_and_is_raw_in_json() -> None:
    early = result(ACCEPTED, Outcome.DELIVERED, Verdict.PASS, delivery=-0.05)
    assert " delivery=0.000s;60;600;0 " in as_plugin_output(early)
    assert as_json(early)["delivery_seconds"] == -0.05


def test_what_could_not_be_tried_says_why() -> None:
    untried = result(Untried(at=1000.0, detail="no route"), Outcome.LOCAL_FAULT, Verdict.UNKNOWN, "no route")
    assert headline(untried) == "relay could not be tried: no route"
    assert as_json(untried)["stages"] == []
    assert as_plugin_output(untried).splitlines() == [
        (
            "RELAYCANARY UNKNOWN - relay could not be tried: no route"
            " | submission=U;;;0 delivery=U;60;600;0 end_to_end=U;60;600;0"
        ),
        "reason: no route",
        "meaning: The agent itself could not try: this says nothing about the path.",
        "fix: Read the reason, and check this host: network, files and secrets that the settings refer to, disk.",
    ]


def test_a_verdict_that_is_not_unknown_does_not_mention_the_mailbox() -> None:
    unreadable = "the mailbox outside cannot be read: login"
    failed = Result(check=CHECK, attempt=refused("no"), unreadable=unreadable)
    assert failed.reasons == (unreadable,)
    case = result(refused("no"), Outcome.REJECTED, Verdict.FAIL, "550 no").case
    assert Result(check=CHECK, attempt=refused("no"), case=case, unreadable=unreadable).reasons == ("550 no",)


def test_every_outcome_has_words() -> None:
    assert set(OUTCOMES) == set(Outcome)
    assert len(set(OUTCOMES.values())) == len(Outcome)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-0.05, "-50 ms"),
        (0.0, "0.0 ms"),
        (0.0031, "3.1 ms"),
        (0.25, "250 ms"),
        (1.239, "1.24 s"),
        (59.5, "59.50 s"),
        (125, "2 min 5 s"),
    ],
)
def test_times_are_written_as_people_read_them(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (12.9, "12 s"),
        (300, "5 min"),
        (303, "5 min 3 s"),
        (11_520, "3 h 12 min"),
        (180_000, "2 d 2 h"),
        (172_800, "2 d"),
    ],
)
def test_ages_have_their_two_largest_units(seconds: float, words: str) -> None:
    assert age(seconds) == words
