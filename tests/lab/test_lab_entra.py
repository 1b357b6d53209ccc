"""Entra: tokens by secret and certificate for msal and azure-identity, and refusals in Microsoft's words."""

from __future__ import annotations

import datetime as dt
import re
import time

import azure.identity
import httpx
import jwt
import msal
import pytest
from azure.core.exceptions import ClientAuthenticationError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from lab.microsoft import GRAPH, OUTLOOK, access_token, app, ask, authority, context

from checks.lab.tenant import CLIENT_ID, TENANT_ID

DESCRIPTION = re.compile(
    r"AADSTS(\d+): .+ Trace ID: [0-9a-f-]{36} Correlation ID: [0-9a-f-]{36} "
    r"Timestamp: \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ",
    re.DOTALL,
)
BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def certificate(pem: bytes) -> dict[str, str]:
    """What msal wants of a certificate."""
    key = serialization.load_pem_private_key(pem, None)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    shown = x509.load_pem_x509_certificate(pem)
    return {"private_key": private.decode(), "thumbprint": shown.fingerprint(hashes.SHA1()).hex()}  # noqa: S303


def strangers_certificate() -> bytes:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name.from_rfc4514_string("CN=stranger")
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + made.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def post(lab):
    """Ask the token endpoint for what no library would ask."""
    with httpx.Client(verify=context(lab)) as client:

        def ask_for(tenant: str = TENANT_ID, **form: str) -> httpx.Response:
            usual = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "scope": f"{GRAPH}/.default"}
            fields = {name: value for name, value in {**usual, **form}.items() if value}
            return client.post(f"{authority(lab, tenant)}/oauth2/v2.0/token", data=fields)

        yield ask_for


@pytest.mark.parametrize(
    ("resource", "roles"),
    [(OUTLOOK, {"IMAP.AccessAsApp", "SMTP.SendAsApp"}), (GRAPH, {"Mail.ReadWrite", "Mail.Send"})],
)
def test_a_token_says_whom_it_is_for_and_what_it_allows(lab, resource, roles):
    token = access_token(lab, resource)
    keys = jwt.PyJWKClient(f"{authority(lab)}/discovery/v2.0/keys", ssl_context=context(lab))
    key = keys.get_signing_key_from_jwt(token)
    said = jwt.decode(token, key, algorithms=["RS256"], audience=resource, options={"require": ["exp"]})
    assert set(said["roles"]) == roles
    assert (said["appid"], said["tid"], said["idtyp"]) == (CLIENT_ID, TENANT_ID, "app")
    assert 3500 < said["exp"] - time.time() <= 3600


@pytest.mark.parametrize("tenant", [TENANT_ID, "contoso.example", "contoso.onmicrosoft.com"])
def test_the_tenant_may_be_named_by_its_id_or_a_domain(lab, tenant):
    assert "access_token" in ask(lab, tenant=tenant)


def test_msal_gets_a_token_by_certificate(lab):
    pem = (lab.directory / "app.pem").read_bytes()
    token = access_token(lab, credential=certificate(pem))
    assert jwt.decode(token, options={"verify_signature": False})["appidacr"] == "2"


def test_msal_gets_a_token_by_a_certificate_whose_thumbprint_it_works_out(lab):
    pem = (lab.directory / "app.pem").read_text()
    assert "access_token" in ask(lab, credential={"private_key": pem, "public_certificate": pem})


def test_msal_finds_the_authority_by_openid_discovery_alone(lab):
    found = msal.ConfidentialClientApplication(
        CLIENT_ID,
        client_credential=(lab.directory / "client-secret").read_text().strip(),
        oidc_authority=f"{authority(lab)}/v2.0",
        verify=str(lab.info.ca_file),
    )
    assert "access_token" in found.acquire_token_for_client([f"{GRAPH}/.default"])


def test_azure_identity_gets_tokens_by_secret_and_by_certificate(lab):
    how = {
        "authority": authority(lab).rpartition("/")[0],
        "disable_instance_discovery": True,
        "connection_verify": str(lab.info.ca_file),
    }
    secret = (lab.directory / "client-secret").read_text().strip()
    pem = str(lab.directory / "app.pem")
    for credential in (
        azure.identity.ClientSecretCredential(TENANT_ID, CLIENT_ID, secret, **how),
        azure.identity.CertificateCredential(TENANT_ID, CLIENT_ID, pem, **how),
    ):
        assert credential.get_token(f"{GRAPH}/.default").token.count(".") == 2
        assert credential.get_token(f"{OUTLOOK}/.default").expires_on > time.time() + 3500


def test_instance_discovery_knows_the_lab_and_nobody_else(lab):
    with httpx.Client(verify=context(lab), base_url=authority(lab, "common")) as client:
        url = "/discovery/instance?api-version=1.1&authorization_endpoint="
        known = client.get(f"{url}https://127.0.0.1/{TENANT_ID}/oauth2/v2.0/authorize")
        assert known.json()["tenant_discovery_endpoint"].startswith(authority(lab))
        unknown = client.get(f"{url}https://elsewhere.example/{TENANT_ID}/oauth2/v2.0/authorize")
        assert (unknown.status_code, unknown.json()["error"]) == (400, "invalid_instance")


@pytest.mark.parametrize(
    ("number", "error", "how"),
    [
        (7000215, "invalid_client", {"credential": "wrong"}),
        (700016, "unauthorized_client", {"client_id": "11111111-2222-3333-4444-555555555555"}),
    ],
)
def test_msal_hears_why_there_is_no_token(lab, number, error, how):
    answer = ask(lab, **how)
    assert (answer["error"], answer["error_codes"]) == (error, [number])
    assert DESCRIPTION.fullmatch(answer["error_description"])[1] == str(number)


def test_msal_hears_that_there_is_no_such_tenant(lab):
    with pytest.raises(ValueError, match="fabrikam"):
        app(lab, tenant="fabrikam.example")


def test_a_strangers_certificate_is_not_registered_with_the_app(lab):
    answer = ask(lab, credential=certificate(strangers_certificate()))
    assert (answer["error"], answer["error_codes"]) == ("invalid_client", [700027])
    assert "not registered on application" in answer["error_description"]


def test_a_key_that_does_not_belong_to_the_registered_certificate_is_refused(lab):
    theirs = certificate(strangers_certificate())
    ours = certificate((lab.directory / "app.pem").read_bytes())
    answer = ask(lab, credential={**theirs, "thumbprint": ours["thumbprint"]})
    assert answer["error_codes"] == [700027]
    assert "use of the key to verify the signature failed" in answer["error_description"]


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({}, None),
        ({"aud": "https://login.microsoftonline.com/common/v2.0"}, 700023),
        ({"iss": "somebody", "sub": "somebody"}, 700021),
        ({"exp": 1_000_000_000}, 700024),
    ],
)
def test_an_assertion_must_be_fresh_and_addressed_to_the_tenant(lab, post, changes, number):
    pem = (lab.directory / "app.pem").read_bytes()
    thumbprint = certificate(pem)["thumbprint"]
    url = f"{authority(lab)}/oauth2/v2.0/token"
    claims = {"aud": url, "iss": CLIENT_ID, "sub": CLIENT_ID, "jti": "1", "exp": int(time.time()) + 300, **changes}
    x5t = jwt.utils.base64url_encode(bytes.fromhex(thumbprint)).decode()
    key = serialization.load_pem_private_key(pem, None)
    assertion = jwt.encode(claims, key, algorithm="RS256", headers={"x5t": x5t})
    answer = post(client_assertion=assertion, client_assertion_type=BEARER)
    assert answer.json().get("error_codes", [None]) == [number]
    assert answer.status_code == (401 if number else 200)


@pytest.mark.parametrize(
    ("form", "status", "number"),
    [
        ({}, 401, 7000218),
        ({"client_assertion": "no.such.jwt", "client_assertion_type": BEARER}, 401, 50027),
        ({"client_secret": "wrong"}, 401, 7000215),
        ({"grant_type": ""}, 400, 900144),
        ({"grant_type": "password"}, 400, 70003),
        ({"client_secret": "right", "scope": f"{GRAPH}/Mail.Send"}, 400, 1002012),
        ({"client_secret": "right", "scope": "https://graph.microsoft.us/.default"}, 400, 500011),
        ({"client_secret": "right", "scope": "https://api.fabrikam.example/.default"}, 400, 500011),
        ({"tenant": "fabrikam.example"}, 400, 90002),
        ({"tenant": "common", "client_secret": "right"}, 400, 50059),
    ],
)
def test_each_mistake_has_its_number(lab, post, form, status, number):
    if form.get("client_secret") == "right":
        form = {**form, "client_secret": (lab.directory / "client-secret").read_text().strip()}
    answer = post(**form)
    body = answer.json()
    assert (answer.status_code, body["error_codes"]) == (status, [number])
    assert DESCRIPTION.fullmatch(body["error_description"])[1] == str(number)
    assert set(body) == {
        *("error", "error_description", "error_codes", "timestamp", "trace_id", "correlation_id", "error_uri")
    }


@pytest.mark.parametrize(
    ("fault", "number", "error"),
    [
        ("secret_wrong", 7000215, "invalid_client"),
        ("secret_expired", 7000222, "invalid_client"),
        ("app_unknown", 700016, "unauthorized_client"),
        ("wrong_cloud", 900382, "invalid_request"),
    ],
)
def test_a_fault_of_entra_refuses_the_secret_until_it_is_healed(lab, fault, number, error):
    lab.break_("entra", fault)
    answer = ask(lab)
    assert (answer["error"], answer["error_codes"]) == (error, [number])
    lab.heal("entra")
    assert "access_token" in ask(lab)


def test_entra_that_is_unavailable_says_so(lab, post):
    lab.break_("entra", "entra_unavailable")
    answer = post(client_secret="any")
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert answer.json()["error_codes"] == [90033]


def test_an_unknown_certificate_leaves_the_secret_alone(lab):
    pem = (lab.directory / "app.pem").read_bytes()
    lab.break_("entra", "certificate_unknown")
    assert ask(lab, credential=certificate(pem))["error_codes"] == [700027]
    assert "access_token" in ask(lab)


def test_azure_identity_names_the_fault_too(lab):
    lab.break_("entra", "secret_expired")
    credential = azure.identity.ClientSecretCredential(
        TENANT_ID,
        CLIENT_ID,
        (lab.directory / "client-secret").read_text().strip(),
        authority=authority(lab).rpartition("/")[0],
        disable_instance_discovery=True,
        connection_verify=str(lab.info.ca_file),
    )
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000222"):
        credential.get_token(f"{GRAPH}/.default")


def test_a_token_may_be_made_to_expire_soon(lab):
    lab.break_("entra", "token_expires_soon=90")
    answer = ask(lab)
    assert answer["expires_in"] == 90
    said = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert said["exp"] - said["iat"] == 90


def test_entra_that_is_down_refuses_connections(lab):
    known = app(lab)
    lab.break_("entra", "entra_down")
    with pytest.raises(OSError):  # noqa: PT011  refused, or cut in the middle
        known.acquire_token_for_client([f"{GRAPH}/.default"])
    lab.heal("entra")
    assert "access_token" in known.acquire_token_for_client([f"{GRAPH}/.default"])


def test_entra_that_is_silent_never_answers(lab, post):
    lab.break_("entra", "entra_silent")
    with httpx.Client(verify=context(lab), timeout=0.3) as client, pytest.raises(httpx.ReadTimeout):
        client.post(f"{authority(lab)}/oauth2/v2.0/token", data={"grant_type": "client_credentials"})
    lab.heal("entra")
    assert post().status_code == 401


def test_what_is_not_there_is_not_found(lab):
    with httpx.Client(verify=context(lab)) as client:
        assert client.get(f"{authority(lab)}/oauth2/v2.0/authorize").status_code == 404
        assert client.get(f"{authority(lab)}/oauth2/v2.0/token").status_code == 405
