"""Each kind of SMTP path, whole, against aiosmtpd: a server that shares no code with the client."""

from __future__ import annotations

import asyncio
import ssl

import dns.message
import dns.rrset
import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult

from agent.clock import SystemClock
from checks.core.model import Accepted, Cause, Refused, Stage
from checks.paths.direct_send import DirectSend
from checks.paths.relay import Relay
from checks.paths.smtp import Smtp
from checks.paths.submission import Submission
from checks.ports import Endpoint, Tools
from checks.wire.credentials import Password

pytestmark = pytest.mark.anyio

SENDER = "canary@tenant.example"
MESSAGE = b"From: canary@tenant.example\r\nSubject: canary\r\n\r\n.dotted\r\n"


class Tenant:
    """Takes mail for tenant.example; from who shows the certificate or logs in, for anybody."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, list[str], bytes]] = []
        self.certificates: list[dict | None] = []

    async def handle_RCPT(self, server, session, envelope, address, _options):  # noqa: N802 - aiosmtpd's name
        self.certificates.append(server.transport.get_extra_info("peercert"))
        trusted = session.authenticated or self.certificates[-1]
        if not trusted and not address.endswith("@tenant.example"):
            return "550 5.7.64 TenantAttribution; Relay Access Denied"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Recipient OK"

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 2.6.0 Queued mail for delivery"


def right_password(_server, _session, _envelope, _mechanism, login):
    right = login.login == b"noreply" and login.password == b"correct horse"
    return AuthResult(success=right, handled=False)  # not handled: aiosmtpd sends the reply


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def ca():
    return trustme.CA()


@pytest.fixture
def ca_file(ca, tmp_path):
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


@pytest.fixture
def tenant():
    return Tenant()


@pytest.fixture
async def port(tenant, ca):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", "mx.tenant.example").configure_cert(context)
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(tenant, tls_context=context, authenticator=right_password, hostname="mx.tenant.example"),
        "127.0.0.1",
    )
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
async def send(port):
    """Build a path of a kind from its settings, send one message on it, close it."""

    async def go(kind, recipient, **settings):
        credentials = {
            "good": Password("noreply", lambda: "correct horse"),
            "bad": Password("noreply", lambda: "battery staple"),
        }
        given = {"sender": SENDER, "port": port} | settings
        path = kind("test", kind.Settings.model_validate(given), Tools(clock=SystemClock(), credentials=credentials))
        try:
            return await path.send(SENDER, recipient, MESSAGE)
        finally:
            await path.close()

    return go


async def test_relay_shows_its_certificate_and_reaches_the_outside(send, tenant, ca, ca_file, tmp_path):
    ca.issue_cert("relay.tenant.example").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "relay.pem"))
    certificate = {"file": tmp_path / "relay.pem"}

    accepted = await send(Relay, "x@outside.example", host="127.0.0.1", ca_file=ca_file, client_certificate=certificate)

    assert isinstance(accepted, Accepted)
    assert str(accepted.reply) == "250 2.6.0 Queued mail for delivery"
    assert tenant.taken == [(SENDER, ["x@outside.example"], MESSAGE)]
    assert tenant.certificates[0]


async def test_relay_without_a_matching_connector_is_refused_at_rcpt(send, ca_file):
    refused = await send(Relay, "x@outside.example", host="127.0.0.1", ca_file=ca_file)

    assert isinstance(refused, Refused)
    assert (refused.stage, refused.cause, refused.reply.enhanced) == (Stage.RCPT, Cause.REPLY, "5.7.64")


async def test_submission_logs_in_after_starttls(send, tenant, ca_file):
    accepted = await send(Submission, "x@outside.example", host="127.0.0.1", ca_file=ca_file, credential="good")

    assert isinstance(accepted, Accepted)
    assert len(tenant.taken) == 1


async def test_submission_with_a_wrong_password_is_refused_at_auth(send, tenant, ca_file):
    refused = await send(Submission, "x@outside.example", host="127.0.0.1", ca_file=ca_file, credential="bad")

    assert (refused.stage, refused.cause, refused.reply.code) == (Stage.AUTH, Cause.REPLY, 535)
    assert "battery staple" not in repr(refused)
    assert tenant.taken == []


class OneDomain(asyncio.DatagramProtocol):
    """A name server that knows mx.tenant.example as the mail host of tenant.example, at 127.0.0.1."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        query = dns.message.from_wire(data)
        known = {"MX": "10 mx.tenant.example.", "A": "127.0.0.1"}
        question = query.question[0]
        response = dns.message.make_response(query)
        if (text := known.get(question.rdtype.name)) is not None:
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", question.rdtype.name, text))
        self.transport.sendto(response.to_wire(), addr)


async def test_direct_send_looks_up_the_mail_host_and_verifies_its_name(send, tenant, ca_file):
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(OneDomain, local_addr=("127.0.0.1", 0))
    name_server = "{}:{}".format(*transport.get_extra_info("sockname"))
    try:
        accepted = await send(
            DirectSend, "inbox@tenant.example", domain="tenant.example", nameservers=[name_server], ca_file=ca_file
        )
    finally:
        transport.close()

    assert isinstance(accepted, Accepted)
    assert accepted.transcript.tls is not None
    assert accepted.transcript.endpoint.startswith("mx.tenant.example [127.0.0.1]:")
    assert len(tenant.taken) == 1


async def test_direct_send_to_the_outside_is_refused(send):
    refused = await send(DirectSend, "x@outside.example", host="127.0.0.1", tls="none")

    assert (refused.stage, refused.reply.code) == (Stage.RCPT, 550)


async def test_smtp_in_plain_text_to_a_server_without_login(send, tenant):
    accepted = await send(Smtp, "inbox@tenant.example", host="127.0.0.1", tls="none")

    assert isinstance(accepted, Accepted)
    assert accepted.transcript.tls is None
    assert tenant.taken[0][2] == MESSAGE


@pytest.mark.parametrize(
    ("kind", "settings", "endpoint"),
    [
        (Relay, {"host": "mx.tenant.example"}, Endpoint(host="mx.tenant.example", port=25, tls="required")),
        (DirectSend, {"domain": "tenant.example"}, Endpoint(host="tenant.example", port=25, tls="opportunistic")),
    ],
)
def test_the_endpoint_is_what_the_settings_say(kind, settings, endpoint):
    path = kind("test", kind.Settings(sender=SENDER, **settings), Tools(clock=SystemClock(), credentials={}))

    assert path.endpoint() == endpoint
    assert path.certificates() == []
