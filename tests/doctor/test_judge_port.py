"""Blocked, refused, cut off, intercepted: told apart from what was seen."""

from __future__ import annotations

import pytest

from agent.doctor.finding import Status
from agent.doctor.judge.dialogue import greeting_date, mechanisms, offered, said_hello, seen_address
from agent.doctor.judge.port import judge_port
from checks.core.model import Cause, DialogueLine, Refused, Reply, Stage, Transcript
from checks.wire.rehearsal import Rehearsal

MX = "contoso-com.mail.protection.outlook.com"
GREETING = "220 AM0.mail.protection.outlook.com Microsoft ESMTP MAIL Service ready at Wed, 9 Nov 2022 10:09:41 +0000"


def lines(*texts: str) -> tuple[DialogueLine, ...]:
    return tuple(DialogueLine(at=1.0, who=text[0], text=text[3:]) for text in texts)


def rehearsal(*dialogue, stage=None, cause=Cause.REPLY, detail="", reply=None):
    transcript = Transcript(began_at=0, ended_at=1, endpoint=f"{MX} [192.0.2.25]:25", dialogue=lines(*dialogue))
    refused = None
    if stage is not None:
        refused = Refused(stage=stage, cause=cause, transcript=transcript, detail=detail, reply=reply)
    return Rehearsal(transcript=transcript, refused=refused)


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (rehearsal(stage=Stage.DNS, cause=Cause.NAME, detail="NXDOMAIN: no such host"), "NXDOMAIN"),
        (rehearsal(stage=Stage.CONNECT, cause=Cause.TIMEOUT, detail="did not come within 6 s"), "blocked"),
        (rehearsal(stage=Stage.CONNECT, cause=Cause.CONNECT, detail="192.0.2.25: Connection timed out"), "blocked"),
        (rehearsal(stage=Stage.CONNECT, cause=Cause.CONNECT, detail="192.0.2.25: Connection refused"), "refused"),
        (rehearsal(stage=Stage.CONNECT, cause=Cause.CONNECT, detail="192.0.2.25: No route to host"), "unreachable"),
        (rehearsal(stage=Stage.GREETING, cause=Cause.TIMEOUT, detail="the greeting did not come"), "filtered"),
        (rehearsal(stage=Stage.GREETING, cause=Cause.DROPPED, detail="the connection was closed"), "filtered"),
    ],
)
def test_a_server_that_cannot_be_reached_is_a_failure_that_names_how(seen, word):
    (finding,) = judge_port(seen, MX, 25, method="relay")

    assert (finding.id, finding.status) == ("smtp.port", Status.FAILURE)
    assert word in finding.found
    assert finding.meaning
    assert finding.fix
    assert finding.source


def test_the_way_round_a_closed_port_is_told_for_port_25_only():
    blocked = rehearsal(stage=Stage.CONNECT, cause=Cause.TIMEOUT, detail="nothing")

    assert "Microsoft Graph" in judge_port(blocked, MX, 25, method="relay")[0].fix
    assert "Microsoft Graph" not in judge_port(blocked, "smtp.office365.com", 587, method="relay")[0].fix


@pytest.mark.parametrize(
    ("stage", "cause", "code", "status"),
    [
        (Stage.GREETING, Cause.REPLY, 554, Status.FAILURE),
        (Stage.GREETING, Cause.REPLY, 421, Status.WARNING),
        (Stage.EHLO, Cause.REPLY, 501, Status.FAILURE),
        (Stage.EHLO, Cause.DROPPED, None, Status.FAILURE),
    ],
)
def test_a_server_that_sends_us_away_before_anything_else_is_told(stage, cause, code, status):
    reply = None if code is None else Reply(code=code, enhanced=None, text="go away")

    judged = judge_port(rehearsal(f"S: {GREETING}", stage=stage, cause=cause, reply=reply), MX, 25, method="relay")[-1]

    assert (judged.id, judged.status) == ("smtp.session", status)


@pytest.mark.parametrize(
    ("banner", "host", "status", "word"),
    [
        (GREETING, MX, Status.OK, "greeting"),
        ("220 proxy.provider.example ESMTP", MX, Status.FAILURE, "intercepted"),
        ("220 firewall ESMTP", "smtp.office365.com", Status.FAILURE, "intercepted"),
        ("220 mail.own.example ESMTP Postfix", "mail.own.example", Status.OK, "greeting"),
        ("220 *************************", "mail.own.example", Status.FAILURE, "masked"),
    ],
)
def test_a_greeting_that_is_not_microsofts_gives_an_interceptor_away(banner, host, status, word):
    reached, judged = judge_port(rehearsal(f"S: {banner}"), host, 25, method="relay")

    assert (reached.id, reached.status) == ("smtp.port", Status.OK)
    assert (judged.id, judged.status) == ("smtp.banner", status)
    assert word in judged.found


def test_the_dialogue_tells_offers_names_and_addresses_of_the_last_ehlo():
    said = lines(
        f"S: {GREETING}",
        "C: EHLO printer.contoso.com",
        "S: 250-AM0.outlook.office365.com Hello [203.0.113.7]",
        "S: 250-STARTTLS",
        "S: 250 8BITMIME",
        "C: STARTTLS",
        "S: 220 2.0.0 SMTP server ready",
        "C: EHLO printer.contoso.com",
        "S: 250-AM0.outlook.office365.com Hello [2001:db8::7]",
        "S: 250-AUTH LOGIN XOAUTH2",
        "S: 250 8BITMIME",
        "C: AUTH XOAUTH2 ***",
        "S: 535 5.7.3 Authentication unsuccessful",
    )

    assert offered(said) == ["AUTH LOGIN XOAUTH2", "8BITMIME"]
    assert mechanisms(said) == ["LOGIN", "XOAUTH2"]
    assert said_hello(said) == "printer.contoso.com"
    assert seen_address(said) == "2001:db8::7"
    assert str(greeting_date(GREETING)) == "2022-11-09 10:09:41+00:00"


@pytest.mark.parametrize("text", ["", "220 ready", "220 ready at Xxx, 99 Abc 2022 99:99:99 +0000"])
def test_a_greeting_without_a_date_has_none(text):
    assert greeting_date(text) is None


def test_a_silent_server_offers_nothing():
    assert (offered(()), mechanisms(()), said_hello(()), seen_address(())) == ([], [], "", None)
    hostile = lines("C: EHLO me", "S: 250 x Hello [999.999.999.999]")
    assert seen_address(hostile) is None
