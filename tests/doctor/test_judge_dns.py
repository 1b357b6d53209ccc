"""What is published, from nothing at all to everything right."""

from __future__ import annotations

import base64
import hashlib

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.doctor.finding import Status
from agent.doctor.judge.dkim import Selector, judge_dkim
from agent.doctor.judge.dmarc import judge_dmarc
from agent.doctor.judge.encryption import judge_dane
from agent.doctor.judge.mx import judge_endpoint, judge_mta_sts, judge_mx
from agent.doctor.judge.pointer import judge_helo, judge_pointer
from agent.doctor.judge.spf import judge_path, judge_record
from checks.core.spf import SpfRecord, SpfResult, SpfTerm
from checks.wire.dns import Records
from checks.wire.policies import DmarcReading, SpfReading, StsReading

OK, WARNING, FAILURE, NOT_TESTED = Status.OK, Status.WARNING, Status.FAILURE, Status.NOT_TESTED
DOMAIN = "contoso.com"
MX = "contoso-com.mail.protection.outlook.com"


def told(finding):
    """Check that what needs doing says what it means, what to do, and where that is written."""
    if finding.status in {FAILURE, WARNING}:
        assert finding.meaning
        assert finding.fix
        assert finding.source
    return finding


# ---- MX


@pytest.mark.parametrize(
    ("hosts", "by_domain", "status", "words"),
    [
        ([MX], ["direct"], OK, "Microsoft 365"),
        (["contoso-com.e-v1.mx.microsoft"], [], OK, "Microsoft 365"),
        (["mx0a-1.pphosted.com", "mx0b-1.pphosted.com"], [], OK, "Proofpoint"),
        (["mx0a-1.pphosted.com"], ["direct"], FAILURE, "by domain: direct"),
        (["mx.somewhere.example"], ["direct"], FAILURE, "a gateway"),
        ([], [], WARNING, "no MX"),
        ([""], [], WARNING, "null MX"),
    ],
)
def test_mx_is_microsofts_a_gateway_or_none(hosts, by_domain, status, words):
    finding = told(judge_mx(DOMAIN, hosts, by_domain))

    assert finding.status is status
    assert words in finding.found


@pytest.mark.parametrize(
    ("host", "hosts", "statuses"),
    [
        (MX, [MX], [OK]),
        (MX, ["contoso-com.e-v1.mx.microsoft"], [WARNING]),
        (MX, ["mx0a-1.pphosted.com"], [NOT_TESTED]),
        ("mail.own.example", [MX], []),
    ],
)
def test_an_endpoint_of_microsoft_is_held_against_the_mx(host, hosts, statuses):
    assert [told(one).status for one in judge_endpoint(host, hosts, DOMAIN)] == statuses


# ---- SPF


def reading(*terms, otherwise=SpfResult.FAIL, lookups=3, **more):
    record = SpfRecord(domain=DOMAIN, text="v=spf1 ...", terms=terms, otherwise=otherwise)
    return SpfReading(record=record, lookups=lookups, **more)


MICROSOFT = SpfTerm(
    text="include:spf.protection.outlook.com",
    result=SpfResult.PASS,
    included=SpfRecord(domain="spf.protection.outlook.com", text="", terms=(), otherwise=SpfResult.FAIL),
)
OURS = SpfTerm(text="ip4:203.0.113.7", result=SpfResult.PASS, networks=("203.0.113.7",))


@pytest.mark.parametrize(
    ("found", "status", "words"),
    [
        (None, FAILURE, "no SPF record"),
        (SpfReading(record=None, error="Two or more records"), FAILURE, "Two or more records"),
        (reading(lookups=12, error="more than 10"), FAILURE, "12 of 10 look-ups"),
        (reading(lookups=9), WARNING, "9 of 10 look-ups"),
        (reading(remarks=("the ptr mechanism should not be used",)), WARNING, "ptr"),
        (reading(), OK, "3 of 10 look-ups"),
    ],
)
def test_an_spf_record_is_there_sound_and_short_of_the_limit(found, status, words):
    finding = told(judge_record(DOMAIN, found))

    assert finding.status is status
    assert words in finding.found


@pytest.mark.parametrize(
    ("kind", "published", "sending", "expected"),
    [
        ("submission", reading(MICROSOFT), None, {"dns.spf_microsoft": OK}),
        ("graph_send", reading(OURS), None, {"dns.spf_microsoft": FAILURE}),
        ("relay", reading(MICROSOFT, OURS), "203.0.113.7", {"dns.spf_microsoft": OK, "dns.spf_sender": OK}),
        ("relay", reading(MICROSOFT), "203.0.113.7", {"dns.spf_microsoft": OK, "dns.spf_sender": FAILURE}),
        ("direct_send", reading(OURS), "203.0.113.7", {"dns.spf_sender": OK}),
        ("direct_send", reading(otherwise=SpfResult.SOFTFAIL), "203.0.113.7", {"dns.spf_sender": WARNING}),
        ("direct_send", reading(OURS), None, {"dns.spf_sender": NOT_TESTED}),
        ("direct_send", SpfReading(record=None, error="broken"), "203.0.113.7", {"dns.spf_sender": NOT_TESTED}),
        ("smtp", reading(OURS), "203.0.113.7", {"dns.spf_sender": NOT_TESTED}),
    ],
)
def test_spf_is_judged_for_whoever_sends_the_mail_on(kind, published, sending, expected):
    findings = judge_path(published, kind, sending, "mail.provider.example")

    assert {told(one).id: one.status for one in findings} == expected


def test_the_fix_for_an_address_that_spf_does_not_cover_names_the_mechanism():
    (finding,) = judge_path(reading(), "direct_send", "2001:db8::7", MX)

    assert "ip6:2001:db8::7" in finding.fix


# ---- DMARC


@pytest.mark.parametrize(
    ("found", "status", "words"),
    [
        (None, WARNING, "no DMARC record"),
        (DmarcReading(error="no p tag"), WARNING, "cannot be used: no p tag"),
        (DmarcReading(text="v=DMARC1; p=reject", location=DOMAIN, tags={"p": "reject"}), OK, "p=reject"),
        (DmarcReading(text="v=DMARC1; p=reject", location="parent.com", tags={"p": "reject"}), OK, "of parent.com"),
        (DmarcReading(text="v=DMARC1; p=none", location=DOMAIN, tags={"p": "none"}), OK, "only watches"),
        (DmarcReading(text="v=DMARC1; p=none", location=DOMAIN, remarks=("rua has no MX",)), OK, "rua has no MX"),
    ],
)
def test_a_dmarc_record_is_there_and_can_be_used(found, status, words):
    finding = told(judge_dmarc(DOMAIN, found))

    assert finding.status is status
    assert words in finding.found


# ---- DKIM


def rsa_key(bits):
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"


ALIAS = "selector1-contoso-com._domainkey.contoso.onmicrosoft.com"
GOOD, SHORT = rsa_key(2048), rsa_key(1024)
ED25519 = base64.b64encode(ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()


@pytest.mark.parametrize(
    ("first", "second", "status", "words"),
    [
        (Selector(), Selector(), WARNING, "no DKIM records"),
        (Selector(ALIAS), Selector(ALIAS), WARNING, "no DKIM key"),
        (Selector(ALIAS, "v=DKIM1; p="), Selector(ALIAS), WARNING, "no DKIM key"),
        (Selector(ALIAS, "v=DKIM1; p=%%%"), Selector(), WARNING, "no DKIM key"),
        (Selector(ALIAS, GOOD), Selector(ALIAS), OK, "2048 bits"),
        (Selector(ALIAS, SHORT), Selector(ALIAS, GOOD), WARNING, "1024 bits"),
        (Selector("", f"v=DKIM1; k=ed25519; p={ED25519}"), Selector(), OK, "a key"),
    ],
)
def test_dkim_needs_a_key_behind_one_of_the_selectors(first, second, status, words):
    finding = told(judge_dkim(DOMAIN, {"selector1": first, "selector2": second}))

    assert finding.status is status
    assert words in finding.found


# ---- MTA-STS and DANE


@pytest.mark.parametrize(
    ("policy", "status"),
    [
        (StsReading(mode="enforce", hosts=("*.mail.protection.outlook.com",)), OK),
        (StsReading(mode="enforce", hosts=("mail.protection.outlook.com",)), FAILURE),
        (StsReading(mode="testing", hosts=("mx.old.example",)), WARNING),
        (StsReading(mode="none", hosts=("mx.old.example",)), OK),
        (StsReading(error="HTTP status 404"), WARNING),
    ],
)
def test_an_mta_sts_policy_has_to_name_every_mx(policy, status):
    assert told(judge_mta_sts(DOMAIN, policy, [MX])).status is status


@pytest.fixture(scope="module")
def shown():
    """A chain as a server sends it: leaf and CA, in DER."""
    authority = trustme.CA()
    leaf = authority.issue_cert(MX)
    pems = [leaf.cert_chain_pems[0].bytes(), authority.cert_pem.bytes()]
    return [x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER) for pem in pems]


def spki(der):
    key = x509.load_der_x509_certificate(der).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


@pytest.mark.parametrize(
    ("record", "authentic", "statuses"),
    [
        (None, True, []),
        (lambda chain: f"3 1 1 {spki(chain[0])}", True, [OK]),
        (lambda chain: f"2 1 1 {spki(chain[1])}", True, [OK]),
        (lambda chain: f"3 0 2 {hashlib.sha512(chain[0]).hexdigest()}", True, [OK]),
        (lambda chain: f"3 0 0 {chain[0].hex()}", True, [OK]),
        (lambda chain: f"3 1 1 {spki(chain[1])}", True, [FAILURE]),
        (lambda _: "3 1 1 00ff", True, [FAILURE]),
        (lambda _: "3 7 9 00ff", True, [FAILURE]),
        (lambda _: "nonsense", True, [FAILURE]),
        (lambda chain: f"1 1 1 {spki(chain[0])}", True, [FAILURE]),
        (lambda _: "3 1 1 00ff", False, [NOT_TESTED]),
    ],
)
def test_tlsa_records_count_only_when_dnssec_vouches_for_them(record, authentic, statuses, shown):
    values = () if record is None else (record(shown),)

    findings = judge_dane(MX, 25, Records(values=values, authentic=authentic), shown)

    assert [told(one).status for one in findings] == statuses


# ---- the sending address


@pytest.mark.parametrize(
    ("address", "names", "status"),
    [
        ("203.0.113.7", {"mail.contoso.com": ["203.0.113.7"]}, OK),
        ("203.0.113.7", {"other.example": ["192.0.2.1"], "mail.contoso.com": ["203.0.113.7"]}, OK),
        ("203.0.113.7", {"dynamic.provider.example": []}, WARNING),
        ("203.0.113.7", {}, WARNING),
        ("2001:db8::7", {}, FAILURE),
    ],
)
def test_address_and_name_should_lead_to_each_other_and_must_for_ipv6(address, names, status):
    assert told(judge_pointer(address, names)).status is status


@pytest.mark.parametrize(
    ("name", "addresses", "status"),
    [("mail.contoso.com", ["203.0.113.7"], OK), ("mail.contoso.com", [], WARNING), ("[203.0.113.7]", [], WARNING)],
)
def test_the_name_that_we_greet_with_should_be_ours(name, addresses, status):
    assert told(judge_helo(name, "203.0.113.7", addresses)).status is status
