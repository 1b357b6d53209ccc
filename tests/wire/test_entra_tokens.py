import asyncio
import base64
import hashlib
import json
import logging
from datetime import UTC, date, datetime

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.entra import CLIENT, SECRET, TENANT, TOKEN, Entra, refusal
from support.https import HOST, Response, ScriptedHttps

from checks.core.model import Cause
from checks.errors import LocalFault, TokenRefused
from checks.wire.entra import CLOUDS, CertificateProof, EntraApp, Registration, SecretProof, request

pytestmark = pytest.mark.anyio


class HandClock:
    """Stands still until it is told otherwise."""

    def __init__(self):
        self.at = 1000.0

    def now(self):
        return datetime(2026, 11, 26, 3, 0, tzinfo=UTC)

    def steady(self):
        return self.at

    async def sleep(self, seconds):
        self.at += seconds


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
async def entra(good_context):
    answers = Entra()
    server = ScriptedHttps(good_context, answers)
    await server.start()
    answers.url = server.url
    answers.server = server
    yield answers
    await server.stop()


@pytest.fixture
def app(entra, ca_file, clock):
    """Make the credential; `registration` keywords replace what it is made of."""

    def make(proof=None, **changes):
        known = {
            "tenant": TENANT,
            "client_id": CLIENT,
            "authority": entra.url,
            "graph_url": "https://graph.example",
            "graph": "https://graph.microsoft.com",
            "outlook": "https://outlook.office365.com",
            "ca_file": ca_file,
        }
        registration = Registration(**(known | changes))
        return EntraApp("app", registration, proof or SecretProof(lambda: SECRET, None), clock)

    return make


def asked(entra):
    return [found for found in entra.server.requests if found.path == TOKEN]


async def refused(credential, audience="smtp"):
    with pytest.raises(TokenRefused) as caught:
        await credential.login(audience)
    return caught.value


async def test_a_secret_buys_a_token_with_its_roles(entra, app):
    login = await app().login("smtp")
    assert (login.username, login.secret, login.bearer) == ("", entra.tokens[0], True)
    assert login.roles == {"SMTP.SendAsApp", "IMAP.AccessAsApp", "Mail.ReadWrite", "Mail.Send"}
    form = asked(entra)[0].form
    assert (form["grant_type"], form["client_id"], form["client_secret"]) == ("client_credentials", CLIENT, SECRET)
    assert form["scope"] == "https://outlook.office365.com/.default"


async def test_smtp_and_imap_share_a_token_and_graph_has_its_own(entra, app):
    credential = app()
    logins = [(await credential.login(audience)).secret for audience in ("smtp", "imap", "graph", "smtp", "graph")]
    assert logins == [entra.tokens[place] for place in (0, 0, 1, 0, 1)]
    assert [found.form["scope"] for found in asked(entra)] == [
        "https://outlook.office365.com/.default",
        "https://graph.microsoft.com/.default",
    ]


async def test_many_who_wait_make_one_request(entra, app):
    credential = app()
    entra.server.gate = asyncio.Event()
    waiting = [asyncio.ensure_future(credential.login("smtp")) for _ in range(20)]
    await entra.server.asked.wait()
    entra.server.gate.set()
    assert {login.secret for login in await asyncio.gather(*waiting)} == {entra.tokens[0]}
    assert len(asked(entra)) == 1


async def test_who_is_cancelled_while_waiting_takes_nobody_along(entra, app):
    credential = app()
    entra.server.gate = asyncio.Event()
    first = asyncio.ensure_future(credential.login("smtp"))
    await entra.server.asked.wait()
    first.cancel()
    second = asyncio.ensure_future(credential.login("smtp"))
    entra.server.gate.set()
    assert (await second).secret == entra.tokens[0]
    assert first.cancelled() or first.cancelling()
    assert len(asked(entra)) == 1


async def test_a_token_that_nears_its_end_is_renewed_while_the_old_one_serves(entra, app, clock):
    credential = app()
    await credential.login("smtp")
    clock.at += 3600 - 500
    assert (await credential.login("smtp")).secret == entra.tokens[0]
    while len(entra.tokens) < 2 or (await credential.login("smtp")).secret != entra.tokens[1]:
        await asyncio.sleep(0.001)
    assert len(asked(entra)) == 2


async def test_an_identity_provider_that_is_down_for_a_while_harms_nobody_who_has_a_token(entra, app, clock):
    credential = app()
    await credential.login("smtp")
    entra.refuse = Response(503, "down")
    clock.at += 3600 - 500
    assert (await credential.login("smtp")).secret == entra.tokens[0]
    while credential.facts().token_requests["unavailable"] == 0:
        await asyncio.sleep(0.001)
    assert (await credential.login("smtp")).secret == entra.tokens[0]
    assert len(asked(entra)) == 2  # and it is left alone for a while
    clock.at += 500
    assert (await refused(credential)).reply.code == 503


async def test_a_token_that_a_server_did_not_take_is_not_shown_again(entra, app):
    credential = app()
    first = await credential.login("graph")
    credential.reject(first)
    assert (await credential.login("graph")).secret == entra.tokens[1]
    credential.reject(first)  # somebody who is late with the old one
    assert (await credential.login("graph")).secret == entra.tokens[1]


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "AADSTS7000215", "invalid_client"),
        (401, "AADSTS7000222", "invalid_client"),
        (400, "AADSTS700016", "unauthorized_client"),
        (400, "AADSTS500011", "invalid_resource"),
    ],
)
async def test_what_entra_says_is_a_refusal_with_its_code(entra, app, status, code, error):
    entra.refuse = refusal(status, code, error)
    found = await refused(app())
    assert (found.cause, found.reply.code, found.reply.enhanced) == (Cause.REPLY, status, code)
    assert found.reply.text.startswith("It was refused. Trace ID: 1b2c")
    assert found.connected
    assert found.endpoint == f"{HOST}:{entra.server.port}"


async def test_a_tenant_that_is_not_there_is_told_by_the_discovery(entra, app):
    entra.refuse_discovery = refusal(400, "AADSTS90002", "invalid_tenant", "Tenant 'contoso.example' not found.")
    assert (await refused(app())).reply.enhanced == "AADSTS90002"


async def test_after_a_refusal_nothing_is_asked_for_a_while_and_the_same_is_told_again(entra, app, clock):
    credential = app()
    entra.refuse = refusal(401, "AADSTS7000222")
    await refused(credential)
    clock.at += 1.0
    again = await refused(credential)
    assert (again.reply.enhanced, again.detail, again.connected) == ("AADSTS7000222", "asked 1 s ago", False)
    assert len(asked(entra)) == 1
    pauses = []
    for _ in range(8):
        began = clock.at
        while len(asked(entra)) == len(pauses) + 1:
            clock.at += 1.0
            await refused(credential)
        pauses.append(clock.at - began)
    assert pauses == [1, 4, 8, 16, 32, 60, 60, 60]
    assert credential.facts().token_requests == {"ok": 0, "refused": 9, "throttled": 0, "unavailable": 0}


async def test_a_new_secret_is_tried_at_once(entra, app):
    secrets = ["old"]
    credential = app(SecretProof(lambda: secrets[-1], None))
    entra.refuse = refusal(401, "AADSTS7000222")
    await refused(credential)
    secrets.append("new")
    entra.refuse = None
    assert (await credential.login("smtp")).secret == entra.tokens[0]
    assert asked(entra)[-1].form["client_secret"] == "new"


@pytest.mark.parametrize("wish", ["120", "Thu, 26 Nov 2026 03:02:00 GMT"])
async def test_a_wish_to_be_left_alone_is_granted(entra, app, clock, wish):
    credential = app()
    entra.refuse = Response(429, {"error": "temporarily_unavailable"}, {"Retry-After": wish})
    assert (await refused(credential)).retry_after == 120.0
    entra.refuse = None
    clock.at += 119.0
    assert (await refused(credential)).reply.code == 429
    clock.at += 1.0
    assert (await credential.login("smtp")).secret == entra.tokens[0]
    assert credential.facts().token_requests == {"ok": 1, "refused": 0, "throttled": 1, "unavailable": 0}


@pytest.mark.parametrize(
    ("response", "cause"),
    [
        (Response(503, "<html>busy</html>"), Cause.REPLY),
        (Response(fault="close"), Cause.DROPPED),
        (Response(body={"access_token": "abc" * 99}, fault="stop"), Cause.DROPPED),
        (Response(fault="garbage"), Cause.GARBAGE),
        (Response(body="no JSON"), Cause.GARBAGE),
        (Response(body=["a", "list"]), Cause.GARBAGE),
        (Response(body={"token_type": "Bearer"}), Cause.GARBAGE),
        (Response(body={"access_token": "a\r\nb", "expires_in": 60}), Cause.GARBAGE),
        (Response(body={"access_token": "ab", "expires_in": "soon"}), Cause.GARBAGE),
        (Response(body={"access_token": "ab", "expires_in": -5}), Cause.GARBAGE),
        (Response(body={"access_token": 5, "expires_in": 60}), Cause.GARBAGE),
        (Response(302, headers={"Location": "https://elsewhere.example/"}), Cause.GARBAGE),
        (Response(body=b" " * 1_100_000), Cause.GARBAGE),
    ],
)
async def test_whatever_else_it_answers_is_no_token(entra, app, response, cause):
    entra.refuse = response
    found = await refused(app())
    assert found.cause is cause
    assert str(entra.server.port) in str(found)


@pytest.mark.parametrize("fault", ["silence", "drip"])
async def test_an_answer_that_does_not_come_is_given_up(entra, app, fault, monkeypatch):
    monkeypatch.setattr(request, "LIMIT", 0.3)
    entra.refuse = Response(body=b" " * 1_000_000, fault=fault)
    credential = app()
    ticking = asyncio.ensure_future(_tick(credential))
    found = await refused(credential)
    ticking.cancel()
    assert found.cause is Cause.TIMEOUT
    assert credential.facts().token_requests["unavailable"] == 1


async def _tick(credential):
    while True:
        await asyncio.sleep(0.02)
        credential._clock.at += 0.02


async def test_where_nobody_listens_there_is_no_connection(entra, app):
    await entra.server.stop()
    found = await refused(app())
    assert (found.cause, found.connected) == (Cause.CONNECT, False)
    assert "refused" in found.detail


async def test_a_host_that_is_not_there_is_a_name_that_fails(app):
    found = await refused(app(authority="https://login.nothing.invalid"))
    assert (found.cause, found.connected) == (Cause.NAME, False)


async def test_a_certificate_that_is_not_trusted_is_a_failure_of_tls_whatever_the_environment_says(
    entra, app, ca_file, monkeypatch
):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(ca_file))
    monkeypatch.delenv("SSL_CERT_FILE")
    found = await refused(app(ca_file=None))
    assert (found.cause, found.connected) == (Cause.TLS, True)
    assert f"the certificate of {HOST} was refused" in found.detail
    assert (await app().login("smtp")).secret == entra.tokens[0]


async def test_a_private_ca_is_trusted_whatever_the_environment_says(entra, app, tmp_path, monkeypatch):
    (tmp_path / "other.pem").write_text("nothing")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(tmp_path / "other.pem"))
    assert (await app().login("smtp")).secret == entra.tokens[0]


async def test_a_token_endpoint_in_plain_text_gets_no_secret(entra, app):
    entra.token_endpoint = entra.url.replace("https", "http") + TOKEN
    await refused(app())
    assert asked(entra) == []


async def test_a_secret_that_cannot_be_read_is_our_own_fault_and_asks_nobody(entra, app):
    def gone():
        raise LocalFault("the secret file /nowhere cannot be read")

    credential = app(SecretProof(gone, None))
    for _ in range(2):
        with pytest.raises(LocalFault, match="nowhere"):
            await credential.login("smtp")
    assert entra.server.requests == []
    assert set(credential.facts().token_requests.values()) == {0}


@pytest.fixture
def certificate(ca, tmp_path):
    issued = ca.issue_cert("app.contoso.example", key_type=trustme.KeyType.RSA)
    path = tmp_path / "app.pem"
    path.write_bytes(issued.private_key_pem.bytes() + b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return path


def _part(token, place):
    part = token.split(".")[place]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


async def test_a_certificate_signs_an_assertion_with_its_sha256_thumbprint(entra, app, certificate):
    credential = app(CertificateProof(certificate))
    assert (await credential.login("smtp")).secret == entra.tokens[0]
    form = asked(entra)[0].form
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert "client_secret" not in form
    header, claims = (json.loads(_part(form["client_assertion"], place)) for place in (0, 1))
    leaf = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    digest = hashlib.sha256(leaf.public_bytes(Encoding.DER)).digest()
    assert header["x5t#S256"].rstrip("=") == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert header["alg"] == "PS256"
    assert (claims["iss"], claims["sub"], claims["aud"]) == (CLIENT, CLIENT, f"{entra.url}{TOKEN}")
    signed = form["client_assertion"].rpartition(".")[0].encode()
    scheme = padding.PSS(padding.MGF1(SHA256()), SHA256.digest_size)
    leaf.public_key().verify(_part(form["client_assertion"], 2), signed, scheme, SHA256())
    assert credential.facts().not_after == leaf.not_valid_after_utc


async def test_a_certificate_that_cannot_serve_is_our_own_fault(entra, app, certificate, ca, tmp_path):
    lone = tmp_path / "lone.pem"
    lone.write_bytes(ca.cert_pem.bytes())
    elliptic = tmp_path / "elliptic.pem"
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    elliptic.write_bytes(key + ca.cert_pem.bytes())
    mixed = tmp_path / "mixed.pem"
    mixed.write_bytes(certificate.read_bytes().partition(b"-----BEGIN CERT")[0] + ca.cert_pem.bytes())
    for file, words in ((lone, "no private key"), (elliptic, "not RSA"), (mixed, "does not belong")):
        with pytest.raises(LocalFault, match=words):
            await app(CertificateProof(file)).login("smtp")
    assert entra.server.requests == []


def test_a_secret_ends_on_the_day_that_the_settings_say():
    proof = SecretProof(lambda: SECRET, date(2027, 6, 30))
    assert proof.not_after() == datetime(2027, 6, 30, tzinfo=UTC)
    assert SecretProof(lambda: SECRET, None).not_after() is None


def test_each_cloud_has_its_own_hosts():
    assert {name: (cloud.authority, cloud.graph, cloud.outlook) for name, cloud in CLOUDS.items()} == {
        "global": (
            "https://login.microsoftonline.com",
            "https://graph.microsoft.com",
            "https://outlook.office365.com",
        ),
        "gcc-high": (
            "https://login.microsoftonline.us",
            "https://graph.microsoft.us",
            "https://outlook.office365.us",
        ),
        "dod": (
            "https://login.microsoftonline.us",
            "https://dod-graph.microsoft.us",
            "https://outlook-dod.office365.us",
        ),
        "china": (
            "https://login.partner.microsoftonline.cn",
            "https://microsoftgraph.chinacloudapi.cn",
            "https://partner.outlook.cn",
        ),
    }


async def test_neither_secret_nor_token_shows_in_a_repr_a_log_or_an_error(entra, app, certificate, caplog):
    caplog.set_level(logging.DEBUG)
    credential = app()
    login = await credential.login("smtp")
    told = [repr(credential), repr(login), repr(credential._slots), repr(credential.facts())]
    credential.reject(login)
    entra.refuse = lambda request: refusal(401, "AADSTS7000215", words=f"you sent {request.form}")
    for refusing in (app(), app(CertificateProof(certificate))):
        error = await refused(refusing)
        told += [str(error), repr(error), repr(vars(error)), repr(refusing._slots)]
        assert "***" in str(error)
        assert error.__cause__ is None
    assertion = asked(entra)[-1].form["client_assertion"]
    private = certificate.read_text().partition("-----BEGIN")[2][40:80]
    everything = "\n".join([*told, caplog.text])
    for secret in (SECRET, login.secret, assertion, private):
        assert secret not in everything
