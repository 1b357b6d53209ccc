"""A path to a server that misbehaves: what the doctor finds, on real sockets."""

from __future__ import annotations

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from doctor.conftest import GREETING, MX, OUTSIDE, PUBLIC, SENDER, finding, statuses

pytestmark = pytest.mark.anyio

WAY = "path way"


async def test_a_server_that_does_everything_right_is_ok_and_gets_no_message(serve, report):
    server = await serve()

    found = statuses(await report(server.port), WAY)

    reached = {
        name: found[name] for name in ("smtp.port", "smtp.banner", "smtp.tls", "smtp.certificate", "smtp.envelope")
    }
    assert set(reached.values()) == {"ok"}
    assert found["smtp.message"] == "not_tested"
    assert server.messages == []
    verbs = [command.split(" ")[0].split(":")[0] for command in server.commands]
    assert "DATA" not in verbs
    assert verbs[-2:] == ["RSET", "QUIT"]
    assert f"MAIL FROM:<{SENDER}>" in server.commands
    assert f"RCPT TO:<{OUTSIDE}>" in server.commands


async def test_a_port_that_swallows_everything_is_blocked(blackhole, report):
    found = finding(await report(blackhole, path={"timeouts": {"connect": "300ms"}}), WAY, "smtp.port")

    assert found.status == "failure"
    assert found.found.startswith("blocked: ")


async def test_a_port_without_a_server_is_refused(dead_port, report):
    found = finding(await report(dead_port), WAY, "smtp.port")

    assert found.found.startswith("refused: ")
    assert "means" not in found.meaning


@pytest.mark.parametrize("greeting", ["silence", "close"])
async def test_a_connection_without_a_greeting_is_filtered(greeting, serve, report):
    server = await serve({"greeting": greeting})

    found = finding(await report(server.port, path={"timeouts": {"greeting": "300ms"}}), WAY, "smtp.port")

    assert found.found.startswith("filtered: ")


async def test_a_foreign_greeting_under_microsofts_name_is_intercepted(serve, report):
    server = await serve({"greeting": b"220 gateway.provider.example ESMTP\r\n"})

    found = finding(await report(server.port), WAY, "smtp.banner")

    assert (found.status, found.found.partition(":")[0]) == ("failure", "intercepted")


async def test_a_name_that_does_not_exist_is_told(serve, report, name_server):
    server = await serve()
    del name_server.records[(MX, "A")]

    found = finding(await report(server.port), WAY, "smtp.port")

    assert "NXDOMAIN" in found.found
    assert server.connections == 0


# ---- encryption


async def test_starttls_that_is_stripped_is_told(serve, report):
    server = await serve({"EHLO": b"250-AM0.mail.protection.outlook.com Hello\r\n250 SIZE 1000\r\n"})

    assert finding(await report(server.port), WAY, "smtp.tls").found.startswith("STARTTLS is stripped")


def _expired(context_for):
    return context_for(not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=datetime(2021, 1, 1, tzinfo=UTC))


def _without_intermediate(context_for):
    leaf = trustme.CA().create_child_ca().issue_cert(MX)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with leaf.cert_chain_pems[0].tempfile() as chain, leaf.private_key_pem.tempfile() as key:
        context.load_cert_chain(chain, key)
    del context_for
    return context


def _self_signed(context_for):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with authority.cert_pem.tempfile() as chain, authority.private_key_pem.tempfile() as key:
        context.load_cert_chain(chain, key)
    del context_for
    return context


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_expired, "ran out on 2021-01-01"),
        (lambda context_for: context_for("mail.other.example"), "for other names: mail.other.example"),
        (lambda context_for: context_for(MX, issuer=trustme.CA().create_child_ca()), "does not trust"),
        (_without_intermediate, "is missing, or nobody here trusts it"),
        (_self_signed, "self-signed"),
    ],
    ids=["expired", "wrong name", "unknown authority", "no intermediate", "self-signed"],
)
async def test_a_certificate_that_is_not_trusted_is_looked_at_and_nobody_logs_in(
    make, words, serve, report, context_for
):
    server = await serve(context=make(context_for))

    found = finding(
        await report(server.port, path={"kind": "smtp", "credential": "app", "tls": "required"}), WAY, "smtp.tls"
    )

    assert found.status == "failure"
    assert words in found.meaning
    assert not any(command.startswith(("AUTH", "MAIL")) for command in server.commands)


async def test_a_certificate_that_is_not_trusted_before_the_greeting_is_found_too(serve, report, context_for):
    server = await serve(context=_expired(context_for), implicit=True)

    found = finding(await report(server.port, path={"kind": "smtp", "tls": "implicit"}), WAY, "smtp.tls")

    assert found.status == "failure"
    assert "ran out on 2021-01-01" in found.meaning
    assert [command.split(" ")[0] for command in server.commands] == ["EHLO", "QUIT"]


async def test_tlsa_records_are_held_against_what_the_server_shows(serve, report, name_server, ca):
    server = await serve()
    root = x509.load_pem_x509_certificate(ca.cert_pem.bytes()).public_bytes(Encoding.DER)
    place = (f"_{server.port}._tcp.{MX}", "TLSA")
    name_server.authentic = True

    name_server.records[place] = [f"2 0 1 {hashlib.sha256(root).hexdigest()}"]
    assert statuses(await report(server.port), WAY)["dns.dane"] == "failure"  # the server does not send its root

    name_server.records[place] = [f"3 1 1 {'00' * 32}"]
    assert statuses(await report(server.port), WAY)["dns.dane"] == "failure"

    name_server.authentic = False
    assert statuses(await report(server.port), WAY)["dns.dane"] == "not_tested"


# ---- login and envelope

SUBMISSION = {"kind": "submission", "credential": "app"}


async def test_a_refused_login_is_a_failure_that_shows_no_secret(serve, report):
    server = await serve({"AUTH": [b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n", b"535 5.7.3 no luck\r\n"]})

    seen = await report(server.port, path=SUBMISSION)

    found = finding(seen, WAY, "smtp.login")
    assert found.status == "failure"
    assert "535 5.7.3" in found.found
    assert "a-secret-of-many-letters" not in repr(seen)
    assert statuses(seen, WAY)["smtp.envelope"] == "not_tested"


async def test_a_server_that_takes_no_passwords_any_more_is_told(serve, report):
    server = await serve({"EHLO over TLS": b"250-x\r\n250 AUTH XOAUTH2\r\n"})

    found = finding(await report(server.port, path=SUBMISSION), WAY, "smtp.auth")

    assert found.status == "failure"
    assert "OAuth" in found.fix


async def test_a_connector_that_does_not_know_us_is_found_without_sending(serve, report):
    server = await serve({"RCPT": b"550 5.7.64 TenantAttribution; Relay Access Denied SMTP\r\n"})

    found = finding(await report(server.port), WAY, "smtp.envelope")

    assert found.status == "failure"
    assert "5.7.64" in found.found
    assert server.messages == []


async def test_a_refusal_that_a_negative_check_expects_is_ok(serve, report):
    server = await serve({"RCPT": b"550 5.4.1 Recipient address rejected: Access denied\r\n"})

    seen = await report(
        server.port,
        path={"kind": "direct_send"},
        check={"to": OUTSIDE, "expect": {"refused": r"5\.4\.1"}},
    )

    assert statuses(seen, WAY)["smtp.envelope"] == "ok"


async def test_a_clock_that_is_wrong_shows_in_the_greeting(serve, report):
    ahead = format_datetime(datetime.now(UTC) + timedelta(hours=2)).encode()
    server = await serve({"greeting": GREETING.rstrip() + b" at " + ahead + b"\r\n"})

    found = finding(await report(server.port), WAY, "clock.offset")

    assert found.status == "failure"
    assert "behind the greeting of" in found.found


async def test_a_server_that_tells_no_time_leaves_the_clock_untested(serve, report):
    server = await serve()

    assert statuses(await report(server.port), "this machine") == {"clock.offset": "not_tested"}


# ---- the sending address


async def test_the_address_that_the_server_sees_is_looked_up_both_ways(serve, report, name_server):
    server = await serve()
    name_server.records |= {
        ("7.0.50.20.in-addr.arpa", "PTR"): ["relay.contoso.test."],
        ("relay.contoso.test", "A"): [PUBLIC],
    }

    found = statuses(await report(server.port, path={"helo": "relay.contoso.test"}), WAY)

    assert (found["smtp.source"], found["dns.ptr"], found["dns.helo"]) == ("ok", "ok", "ok")


async def test_an_address_without_a_name_is_a_warning(serve, report):
    server = await serve()

    found = statuses(await report(server.port, path={"helo": "relay.contoso.test"}), WAY)

    assert (found["dns.ptr"], found["dns.helo"]) == ("warning", "warning")


async def test_without_a_public_address_neither_name_nor_spf_is_guessed(serve, report, name_server):
    server = await serve({"EHLO over TLS": b"250-x\r\n250 SIZE 10\r\n", "EHLO": b"250-x\r\n250 STARTTLS\r\n"})
    name_server.records[("contoso.test", "TXT")] = ['"v=spf1 ip4:20.50.0.7 -all"']

    found = statuses(await report(server.port, path={"kind": "direct_send"}), WAY)

    assert {found[name] for name in ("dns.ptr", "dns.helo", "dns.spf_sender")} == {"not_tested"}


# ---- our certificate


async def test_a_client_certificate_of_the_servers_private_authority_needs_no_more(serve, report, tmp_path, ca):
    file = tmp_path / "client.pem"
    ca.issue_cert("contoso.test").private_key_and_cert_chain_pem.write_to_path(str(file))
    server = await serve()

    found = statuses(await report(server.port, path={"client_certificate": {"file": str(file)}}), WAY)

    assert found["smtp.client_certificate.chain"] == "ok"


async def test_a_client_certificate_without_its_intermediate_is_found_before_the_connector_refuses_it(
    serve, report, tmp_path
):
    leaf = trustme.CA().create_child_ca().issue_cert("contoso.test")
    file = tmp_path / "client.pem"
    file.write_bytes(leaf.private_key_pem.bytes() + leaf.cert_chain_pems[0].bytes())
    server = await serve()

    found = statuses(await report(server.port, path={"client_certificate": {"file": str(file)}}), WAY)

    assert found["smtp.client_certificate.chain"] == "failure"
    assert found["smtp.client_certificate.names"] == "ok"
