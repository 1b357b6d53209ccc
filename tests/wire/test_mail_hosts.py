"""Names to addresses: MX records, what is wrong with a name, and which mail host is tried when."""

from __future__ import annotations

import dns.rcode
import pytest

from checks.core.model import Accepted, Cause, Stage
from checks.errors import LocalFault
from checks.wire.dns import MAX_HOSTS, Resolver, Unresolvable
from checks.wire.smtp_settings import split_nameserver

pytestmark = pytest.mark.anyio

DOMAIN = "tenant.example"


@pytest.fixture
def resolver(name_server):
    return Resolver([split_nameserver(name_server.address)])


async def test_mail_hosts_come_in_order_of_preference(name_server, resolver):
    name_server.records[(DOMAIN, "MX")] = ["20 mx2.tenant.example.", "10 mx1.tenant.example.", "30 mx3.tenant.example."]

    assert await resolver.mail_hosts(DOMAIN) == ["mx1.tenant.example", "mx2.tenant.example", "mx3.tenant.example"]


async def test_a_domain_without_mx_is_its_own_mail_host(name_server, resolver):
    name_server.records[(DOMAIN, "A")] = ["192.0.2.1"]

    assert await resolver.mail_hosts(DOMAIN) == [DOMAIN]


async def test_mail_hosts_are_bounded_and_have_host_names(name_server, resolver):
    name_server.records[(DOMAIN, "MX")] = ["1 a\\032b.example.", *(f"{n} mx{n}.example." for n in range(10, 40))]

    assert await resolver.mail_hosts(DOMAIN) == [f"mx{n}.example" for n in range(10, 10 + MAX_HOSTS)]


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ({}, "NXDOMAIN"),
        ({(DOMAIN, "MX"): dns.rcode.SERVFAIL}, "SERVFAIL"),
        ({(DOMAIN, "MX"): dns.rcode.REFUSED}, "REFUSED"),
        ({(DOMAIN, "MX"): ["0 ."]}, "takes no mail"),
        ({(DOMAIN, "MX"): ["10 bad\\032name.example."]}, "no valid host"),
    ],
)
async def test_what_is_wrong_with_a_domain_is_told_apart(records, words, name_server, resolver):
    name_server.records.update(records)

    with pytest.raises(Unresolvable, match=words):
        await resolver.mail_hosts(DOMAIN)


async def test_both_families_are_looked_up(name_server, resolver):
    name_server.records |= {("mx.example", "A"): ["192.0.2.1"], ("mx.example", "AAAA"): ["2001:db8::1"]}

    assert [address.ip for address in await resolver.addresses("mx.example", 25)] == ["2001:db8::1", "192.0.2.1"]


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ({}, "NXDOMAIN"),
        ({("mx.example", "TXT"): ["x"]}, "neither A nor AAAA"),
        ({("mx.example", "A"): dns.rcode.SERVFAIL, ("mx.example", "AAAA"): dns.rcode.SERVFAIL}, "SERVFAIL"),
    ],
)
async def test_what_is_wrong_with_a_host_is_told_apart(records, words, name_server, resolver):
    name_server.records.update(records)

    with pytest.raises(Unresolvable, match=words):
        await resolver.addresses("mx.example", 25)


async def test_a_plain_host_is_looked_up_by_the_system():
    found = await Resolver().addresses("localhost", 25)

    assert {address.ip for address in found} <= {"127.0.0.1", "::1"}
    assert found


async def test_a_name_that_the_system_does_not_know_is_unresolvable():
    with pytest.raises(Unresolvable, match="no-such-host"):
        await Resolver().addresses("no-such-host.invalid", 25)


@pytest.mark.parametrize("ip", ["192.0.2.1", "2001:db8::1"])
async def test_an_ip_address_is_not_looked_up(ip):
    [address] = await Resolver().addresses(ip, 2525)

    assert (address.ip, address.sockaddr[1]) == (ip, 2525)


async def test_an_interface_that_is_not_there_is_our_fault():
    with pytest.raises(LocalFault, match="nosuch0"):
        await Resolver().addresses("fe80::1%nosuch0", 25)


# ---- sending to a domain


@pytest.fixture
def domain_path(name_server, path_to):
    """A path to the domain, whose mail hosts have the given addresses, most preferred first."""

    def make(*addresses: str, **settings):
        for number, address in enumerate(addresses, 1):
            host = f"mx{number}.tenant.example"
            name_server.records.setdefault((DOMAIN, "MX"), []).append(f"{number} {host}.")
            name_server.records[(host, "A")] = [address]
        return path_to(domain=DOMAIN, nameservers=[name_server.address], **settings)

    return make


async def test_the_mail_host_of_the_domain_is_used_and_named_in_the_handshake(serve, domain_path, send, ca_file):
    server = await serve()
    accepted = await send(domain_path("127.0.0.1", port=server.port, tls="required", ca_file=ca_file))

    assert isinstance(accepted, Accepted)
    assert accepted.transcript.endpoint == f"mx1.tenant.example [127.0.0.1]:{server.port}"


@pytest.fixture
async def two_hosts(serve):
    """Start two servers on the same port of two addresses; Linux has all of 127.0.0.0/8."""

    async def start(first):
        one = await serve(first)
        try:
            two = await serve(host="127.0.0.2", port=one.port)
        except OSError:
            pytest.skip("127.0.0.2 is not an address of this machine")
        return one, two

    return start


@pytest.mark.parametrize("greeting", [b"421 4.3.2 busy\r\n", b"450 4.7.1 later\r\n", "close", b"HTTP/1.1 200 OK\r\n"])
async def test_a_host_that_is_not_ready_is_followed_by_the_next(greeting, two_hosts, domain_path, send):
    one, two = await two_hosts({"greeting": greeting})

    assert isinstance(await send(domain_path("127.0.0.1", "127.0.0.2", port=one.port)), Accepted)
    assert (one.connections, two.connections) == (1, 1)


async def test_a_host_that_refuses_for_good_is_the_answer(two_hosts, domain_path, send):
    one, two = await two_hosts({"greeting": b"554 5.7.1 not you\r\n"})

    refused = await send(domain_path("127.0.0.1", "127.0.0.2", port=one.port))

    assert (refused.stage, str(refused.reply)) == (Stage.GREETING, "554 5.7.1 not you")
    assert two.connections == 0


async def test_a_message_refused_by_one_host_is_not_tried_at_another(two_hosts, domain_path, send):
    one, two = await two_hosts({"RCPT": b"451 4.7.1 greylisted\r\n"})

    refused = await send(domain_path("127.0.0.1", "127.0.0.2", port=one.port))

    assert (refused.stage, refused.reply.code) == (Stage.RCPT, 451)
    assert two.connections == 0


async def test_a_dead_host_is_followed_by_the_next(serve, domain_path, send):
    server = await serve()

    accepted = await send(domain_path("127.0.0.3", "127.0.0.1", port=server.port))

    assert isinstance(accepted, Accepted)
    assert any("mx1.tenant.example" in line.text for line in accepted.transcript.dialogue)


async def test_of_several_failures_the_one_with_a_reply_is_told(serve, domain_path, send):
    server = await serve({"greeting": b"421 4.3.2 busy\r\n"})

    refused = await send(domain_path("127.0.0.1", "127.0.0.3", port=server.port))

    assert (refused.stage, refused.reply.code) == (Stage.GREETING, 421)


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ({(DOMAIN, "MX"): ["0 ."]}, "null MX"),
        ({}, "NXDOMAIN"),
        ({(DOMAIN, "MX"): ["10 mx1.tenant.example."]}, "mx1.tenant.example does not exist"),
    ],
)
async def test_a_domain_without_mail_host_is_a_name_failure(records, words, name_server, domain_path, send):
    name_server.records.update(records)

    refused = await send(domain_path())

    assert (refused.stage, refused.cause, refused.sent) == (Stage.DNS, Cause.NAME, False)
    assert words in refused.detail
    assert not refused.transcript.connected


async def test_name_servers_that_are_silent_are_a_name_failure(name_server, domain_path, send):
    name_server.silent.add(DOMAIN)

    refused = await send(domain_path(timeouts={"dns": "300ms"}))

    assert (refused.stage, refused.cause) == (Stage.DNS, Cause.NAME)
    assert "did not come within 0.3 s" in refused.detail
