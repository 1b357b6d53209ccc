"""Certificates, encryption, login and envelope: from facts to findings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent.doctor.finding import Status
from agent.doctor.judge.certificates import judge_client_certificate, judge_expiry, judge_untrusted, read_chain
from agent.doctor.judge.encryption import judge_tls
from agent.doctor.judge.login import judge_envelope, judge_login
from checks.core.model import Cause, DialogueLine, Refused, Reply, Stage, TlsFacts, Transcript
from checks.wire.rehearsal import Rehearsal

OK, WARNING, FAILURE, NOT_TESTED = Status.OK, Status.WARNING, Status.FAILURE, Status.NOT_TESTED
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
MX = "contoso-com.mail.protection.outlook.com"


def issued(*names, by=None, until=timedelta(days=365), since=timedelta(days=-30)):
    return (by or trustme.CA()).issue_cert(*names, not_before=NOW + since, not_after=NOW + until)


def loaded(leaf):
    return [x509.load_pem_x509_certificate(pem.bytes()) for pem in leaf.cert_chain_pems]


def der(leaf):
    return [one.public_bytes(Encoding.DER) for one in loaded(leaf)]


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


# ---- the server's certificate


@pytest.mark.parametrize(("days", "status"), [(200, OK), (10, WARNING)])
def test_a_certificate_that_runs_out_soon_is_a_warning(days, status):
    assert judge_expiry("smtp.certificate", loaded(issued(MX, until=timedelta(days=days))), NOW).status is status


def test_the_certificate_of_the_chain_that_runs_out_first_counts():
    chain = loaded(issued(MX))[:1] + loaded(issued("ca.example", until=timedelta(days=10)))[:1]

    assert judge_expiry("smtp.certificate", chain, NOW).status is WARNING


@pytest.mark.parametrize(
    ("chain", "why", "words"),
    [
        (lambda: loaded(issued(MX, until=timedelta(days=-2))), "certificate has expired", "ran out on 2026-11-24"),
        (
            lambda: loaded(issued(MX, since=timedelta(days=2))),
            "certificate is not yet valid",
            "valid only from 2026-11-28",
        ),
        (
            lambda: loaded(issued("other.example")),
            "Hostname mismatch, not valid for x",
            "for other names: other.example",
        ),
        (lambda: [x509.load_pem_x509_certificate(trustme.CA().cert_pem.bytes())], "self-signed", "self-signed"),
        (lambda: loaded(issued(MX))[:1], "unable to get local issuer certificate", "is missing"),
        (
            lambda: loaded(issued(MX, by=trustme.CA().create_child_ca())),
            "unable to get local issuer certificate",
            "does not trust",
        ),
        (list, "wrong version number", "before the server had shown"),
    ],
)
def test_why_a_certificate_is_not_trusted_is_read_from_the_chain_itself(chain, why, words):
    finding = judge_untrusted("smtp.tls", why, chain(), MX, NOW)

    assert finding.status is FAILURE
    assert words in finding.meaning
    assert finding.fix


def test_what_is_no_certificate_is_left_out_of_a_chain():
    assert read_chain([b"nonsense"]) == []


# ---- our certificate


def client(*names, extra=(), by=None, until=timedelta(days=365)):
    leaf = issued(*names, by=by, until=until)
    return [*loaded(leaf), *extra]


def statuses(certificates, roots=()):
    return {one.id.rpartition(".")[2]: one for one in judge_client_certificate(certificates, "contoso.com", NOW, roots)}


def test_a_client_certificate_for_the_senders_domain_with_its_chain_is_good(authority):
    intermediate = authority.create_child_ca()
    root = x509.load_pem_x509_certificate(authority.cert_pem.bytes())

    found = statuses(client("*.contoso.com", by=intermediate), {root.subject.public_bytes()})

    assert {name: one.status for name, one in found.items()} == {"names": OK, "chain": OK, "expiry": OK}


@pytest.mark.parametrize(
    ("name", "status"),
    [("contoso.com", OK), ("relay.contoso.com", OK), ("*.contoso.com", OK), ("notcontoso.com", WARNING)],
)
def test_a_client_certificate_has_to_be_for_an_accepted_domain(name, status, authority):
    assert statuses(client(name, by=authority))["names"].status is status


def test_a_client_certificate_without_its_intermediate_is_a_failure(authority):
    intermediate = authority.create_child_ca()
    leaf_only = client("contoso.com", by=intermediate)[:1]
    root = x509.load_pem_x509_certificate(authority.cert_pem.bytes())

    finding = statuses(leaf_only, {root.subject.public_bytes()})["chain"]

    assert finding.status is FAILURE
    assert "5.7.64" in finding.meaning


def test_a_chain_in_disorder_with_strangers_in_it_is_still_found(authority):
    intermediate = authority.create_child_ca()
    stranger = x509.load_pem_x509_certificate(trustme.CA().cert_pem.bytes())
    leaf, between = client("contoso.com", by=intermediate)
    root = x509.load_pem_x509_certificate(authority.cert_pem.bytes())

    assert statuses([leaf, stranger, between, root])["chain"].status is OK


def test_a_self_signed_client_certificate_is_a_warning():
    own = x509.load_pem_x509_certificate(trustme.CA().cert_pem.bytes())

    assert statuses([own])["chain"].status is WARNING


def test_a_client_certificate_that_runs_out_soon_is_a_warning(authority):
    assert statuses(client("contoso.com", by=authority, until=timedelta(days=20)))["expiry"].status is WARNING


# ---- the dialogue


def rehearsal(*dialogue, stage=None, cause=Cause.REPLY, detail="", reply=None, tls=None, chain=()):
    lines = tuple(DialogueLine(at=1.0, who=text[0], text=text[3:]) for text in dialogue)
    transcript = Transcript(began_at=0, ended_at=1, endpoint=f"{MX} [192.0.2.25]:25", dialogue=lines, tls=tls)
    refused = None
    if stage is not None:
        refused = Refused(stage=stage, cause=cause, transcript=transcript, detail=detail, reply=reply)
    return Rehearsal(transcript=transcript, refused=refused, chain=chain)


def said(code, enhanced, text):
    return Reply(code=code, enhanced=enhanced, text=text)


TLS = TlsFacts(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384", chain=())
NO_STARTTLS = {"stage": Stage.STARTTLS, "cause": Cause.NOT_OFFERED, "detail": "EHLO offers no STARTTLS"}


@pytest.mark.parametrize(
    ("seen", "host", "expected"),
    [
        (rehearsal(tls=TLS), MX, {"smtp.tls": OK}),
        (rehearsal(tls=TLS, chain=der(issued(MX))), MX, {"smtp.tls": OK, "smtp.certificate": OK}),
        (rehearsal(), "mail.own.example", {"smtp.tls": WARNING}),
        (rehearsal(**NO_STARTTLS), MX, {"smtp.tls": FAILURE}),
        (rehearsal(stage=Stage.STARTTLS, cause=Cause.TLS, detail="expired"), MX, {"smtp.tls": FAILURE}),
        (rehearsal(stage=Stage.STARTTLS, reply=said(454, "4.7.0", "TLS not available")), MX, {"smtp.tls": WARNING}),
        (rehearsal(stage=Stage.EHLO, reply=said(501, "5.5.4", "no")), MX, {"smtp.tls": NOT_TESTED}),
    ],
)
def test_encryption_is_judged_from_the_handshake(seen, host, expected):
    findings = judge_tls(seen, (), host, method="relay", now=NOW)

    assert {one.id: one.status for one in findings} == expected


def test_starttls_that_microsoft_does_not_offer_has_been_taken_out_on_the_way():
    (finding,) = judge_tls(rehearsal(**NO_STARTTLS), (), MX, method="relay", now=NOW)

    assert "stripped" in finding.found


OFFERS = ("C: EHLO me", "S: 250-x", "S: 250 AUTH LOGIN XOAUTH2")


@pytest.mark.parametrize(
    ("seen", "bearer", "expected"),
    [
        (rehearsal(*OFFERS, "C: AUTH XOAUTH2 ***"), True, {"smtp.auth": OK, "smtp.login": OK}),
        (
            rehearsal(*OFFERS, stage=Stage.AUTH, reply=said(535, "5.7.139", "SmtpClientAuthentication is disabled")),
            False,
            {"smtp.auth": OK, "smtp.login": FAILURE},
        ),
        (rehearsal(stage=Stage.AUTH, cause=Cause.NOT_OFFERED), True, {"smtp.auth": FAILURE}),
        (rehearsal(stage=Stage.AUTH, cause=Cause.NOT_OFFERED), False, {"smtp.auth": FAILURE}),
        (rehearsal(stage=Stage.STARTTLS, cause=Cause.TLS, detail="expired"), True, {"smtp.login": NOT_TESTED}),
        (
            rehearsal(*OFFERS, stage=Stage.RCPT, reply=said(550, "5.1.1", "no")),
            True,
            {"smtp.auth": OK, "smtp.login": OK},
        ),
    ],
)
def test_a_login_is_judged_from_what_is_offered_and_answered(seen, bearer, expected):
    findings = judge_login(seen, username="noreply@contoso.com", bearer=bearer, method="submission")

    assert {one.id: one.status for one in findings} == expected


def test_nobody_logs_in_on_a_path_without_credential():
    assert judge_login(rehearsal(), username=None, bearer=False, method="relay") == []


REFUSED = {"stage": Stage.RCPT, "reply": said(550, "5.7.64", "TenantAttribution; Relay Access Denied")}


@pytest.mark.parametrize(
    ("seen", "wanted", "expected"),
    [
        (rehearsal(), None, {"smtp.envelope": OK, "smtp.message": NOT_TESTED}),
        (rehearsal(**REFUSED), None, {"smtp.envelope": FAILURE}),
        (rehearsal(stage=Stage.RCPT, reply=said(451, "4.7.500", "busy")), None, {"smtp.envelope": WARNING}),
        (rehearsal(stage=Stage.AUTH, reply=said(535, "5.7.3", "no")), None, {"smtp.envelope": NOT_TESTED}),
        (rehearsal(**REFUSED), r"5\.7\..*", {"smtp.envelope": OK}),
        (rehearsal(**REFUSED), r"5\.4\.1", {"smtp.envelope": WARNING}),
        (rehearsal(), r"5\.4\.1", {"smtp.envelope": NOT_TESTED}),
    ],
)
def test_sender_and_recipient_are_judged_by_what_the_check_expects(seen, wanted, expected):
    findings = judge_envelope(seen, "canary@contoso.com", "canary@outside.example", method="relay", wanted=wanted)

    assert {one.id: one.status for one in findings} == expected


def test_a_refusal_is_explained_by_the_catalogue():
    (finding,) = judge_envelope(rehearsal(**REFUSED), "a@contoso.com", "b@x.example", method="relay", wanted=None)

    assert "550 5.7.64" in finding.found
    assert "connector" in finding.fix
