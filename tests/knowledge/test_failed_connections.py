"""Failures without an answer: what they mean, by how a hand-over ended."""

import pytest

from checks.core.model import Cause, Outcome, Protocol, Refused, Reply, Stage, Transcript, Untried
from checks.knowledge import Exactness, diagnose_outcome, diagnose_refusal

ENDPOINT = "contoso-com.mail.protection.outlook.com [192.0.2.1]:25"


def refused(stage, cause, detail="", *, endpoint=ENDPOINT, **more):
    transcript = Transcript(began_at=0.0, ended_at=1.0, endpoint=endpoint)
    return Refused(stage=stage, cause=cause, detail=detail, transcript=transcript, **more)


@pytest.mark.parametrize(
    ("stage", "cause", "detail", "row"),
    [
        (Stage.CONNECT, Cause.CONNECT, "no TCP connection: 192.0.2.1: Connection refused", "port-25-refused"),
        (Stage.CONNECT, Cause.CONNECT, "no TCP connection: 192.0.2.1: Connection timed out", "port-25-timeout"),
        (Stage.CONNECT, Cause.CONNECT, "no TCP connection: 192.0.2.1: No route to host", "network-unreachable"),
        (Stage.CONNECT, Cause.CONNECT, "no TCP connection: 192.0.2.1: Invalid argument", "no-connection"),
        (Stage.DNS, Cause.NAME, "NXDOMAIN: contoso.example does not exist", "name-not-found"),
        (Stage.DNS, Cause.NAME, "timeout: no name server answered for the MX record", "name-temporary"),
        (Stage.DNS, Cause.NAME, "an answer of the name servers did not come within 5 s", "name-temporary"),
        (Stage.DNS, Cause.NAME, "the MX records of contoso.example name no valid host", "name-failed"),
        (
            Stage.STARTTLS,
            Cause.TLS,
            "the certificate of mx was refused: certificate has expired",
            "certificate-has-expired",
        ),
        (
            Stage.STARTTLS,
            Cause.TLS,
            "the certificate of mx was refused: self-signed certificate",
            "certificate-self-signed",
        ),
        (Stage.STARTTLS, Cause.TLS, "the certificate of mx was refused: something new", "certificate-refused"),
        (Stage.STARTTLS, Cause.TLS, "the TLS handshake with mx failed: odd", "tls-failed"),
        (Stage.STARTTLS, Cause.DROPPED, "mx ended the connection", "tls-broken-off"),
        (Stage.STARTTLS, Cause.NOT_OFFERED, "STARTTLS is not in the list", "starttls-not-offered"),
        (Stage.AUTH, Cause.NOT_OFFERED, "XOAUTH2 is needed; offered: nothing", "auth-not-offered"),
        (Stage.MAIL, Cause.NOT_OFFERED, "SMTPUTF8", "not-offered"),
        (Stage.GREETING, Cause.TIMEOUT, "the greeting did not come within 30 s", "no-greeting"),
        (Stage.DATA, Cause.DROPPED, "the connection was reset: Connection reset by peer", "connection-reset"),
        (Stage.DATA, Cause.DROPPED, "the connection was closed instead of an answer to DATA", "connection-closed"),
        (Stage.DATA, Cause.DROPPED, "", "connection-closed"),
        (Stage.CONNECT, Cause.TIMEOUT, "a TCP connection did not come within 10 s", "port-25-timeout"),
        (Stage.EHLO, Cause.TIMEOUT, "the answer to EHLO did not come within 10 s", "timeout"),
        (Stage.DATA, Cause.TIMEOUT, "the answer to the message did not come within 60 s", "timeout"),
        (Stage.MAIL, Cause.GARBAGE, "the server speaks nonsense: HTTP", "not-smtp"),
    ],
)
def test_every_way_to_fail_has_its_row(stage, cause, detail, row):
    assert diagnose_refusal(refused(stage, cause, detail)).row == row


def test_a_refused_connection_on_another_port_does_not_speak_of_port_25():
    found = diagnose_refusal(
        refused(Stage.CONNECT, Cause.CONNECT, "Connection refused", endpoint="smtp.office365.com [192.0.2.1]:587")
    )
    assert found.row == "connection-refused"


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause is not Cause.REPLY])
@pytest.mark.parametrize("stage", list(Stage))
def test_no_failure_is_left_without_a_fix(stage, cause):
    found = diagnose_refusal(refused(stage, cause, "something that nobody has seen before"))
    assert found.fix


def test_an_answer_counts_before_the_way_it_failed():
    reply = Reply(
        code=535, enhanced="5.7.139", text="Authentication unsuccessful, the user credentials were incorrect."
    )
    found = diagnose_refusal(refused(Stage.AUTH, Cause.REPLY, reply=reply), method="submission")
    assert (found.row, found.exactness) == ("wrong-credentials", Exactness.TEXT)


def test_an_answer_of_the_identity_provider_is_one_of_entra():
    reply = Reply(code=401, enhanced="AADSTS7000222", text="The provided client secret keys are expired.")
    found = diagnose_refusal(refused(Stage.TOKEN, Cause.REPLY, reply=reply, protocol=Protocol.ENTRA))
    assert found.row == "entra-secret-expired"


ANSWER = Reply(code=550, enhanced="5.7.64", text="TenantAttribution; Relay Access Denied")


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.DELIVERED])
def test_no_outcome_is_left_without_a_fix(outcome):
    assert diagnose_outcome(outcome).fix


def test_what_was_delivered_needs_no_fix():
    assert diagnose_outcome(Outcome.DELIVERED, ("timeliness_unobserved",)) is None
    assert diagnose_outcome(Outcome.DELIVERED, ("evidence_unobserved",)).fix


@pytest.mark.parametrize(
    ("outcome", "reasons", "row"),
    [
        (Outcome.REJECTED, (str(ANSWER),), "relay-access-denied"),
        (Outcome.REJECTED, ("refused: expected 5.4.1, found 5.7.64", str(ANSWER)), "relay-access-denied"),
        (Outcome.UNREACHABLE, ("connect", "no TCP connection: 192.0.2.1: Connection refused"), "connection-refused"),
        (Outcome.BOUNCED, ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found",), "recipient-not-found"),
        (Outcome.BOUNCED, ("failed",), "outcome-bounced"),
        (Outcome.DEGRADED, ("spf: expected pass, found fail",), "outcome-degraded-spf"),
        (Outcome.DEGRADED, ("header: expected List-Id, found nothing",), "outcome-degraded"),
        (Outcome.LATE, ("tls: expected 1.3 or later, found TLSv1.2",), "outcome-degraded-tls"),
        (Outcome.LATE, (), "outcome-late"),
        (Outcome.UNOBSERVED, ("the mailbox inbox cannot be read: NO AUTHENTICATE failed.",), "imap-login-refused"),
        (Outcome.LOST, ("not seen in any watched folder",), "outcome-lost"),
    ],
)
def test_a_verdict_is_explained_by_the_most_exact_of_its_reasons(outcome, reasons, row):
    assert diagnose_outcome(outcome, reasons).row == row


def test_the_attempt_tells_more_than_the_reasons():
    attempt = refused(Stage.CONNECT, Cause.CONNECT, "no TCP connection: 192.0.2.1: Connection refused")
    reasons = ("connect", attempt.detail)
    assert diagnose_outcome(Outcome.UNREACHABLE, reasons, attempt=attempt).row == "port-25-refused"


def test_what_could_not_be_tried_is_explained_by_its_words_if_they_are_known():
    untried = Untried(at=1.0, detail="NXDOMAIN: mx.contoso.example does not exist")
    assert diagnose_outcome(Outcome.LOCAL_FAULT, (), attempt=untried).row == "name-not-found"
