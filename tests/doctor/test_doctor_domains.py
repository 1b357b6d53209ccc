"""What a domain publishes, asked of a real name server and read by the real library."""

from __future__ import annotations

import sys
import zlib

import pytest
from doctor.conftest import MX, PUBLIC, finding, statuses

pytestmark = pytest.mark.anyio

WAY = "path way"


@pytest.fixture
def publish(name_server, serve, report, request):
    """Publish records for a domain of the test's own (the library remembers answers), and examine a path that uses it.

    ``@`` stands for the domain.
    """
    domain = f"d{zlib.crc32(request.node.name.encode()) % 1000}.test"

    async def examine(records, *, kind="relay", silent=(), sender="canary@@", **path):
        def named(text):
            return text.replace("@", domain)

        local, _, place = sender.partition("@")

        given = {(named(name), rtype): [named(value) for value in values] for (name, rtype), values in records.items()}
        name_server.records |= given
        name_server.silent |= {named(name) for name in silent}
        server = await serve()
        seen = await report(server.port, path={"kind": kind, "sender": f"{local}@{named(place)}", **path})
        return seen, f"domain {named(place)}"

    return examine


HEALTHY = {
    ("@", "MX"): [f"0 {MX}."],
    ("@", "TXT"): [f'"v=spf1 ip4:{PUBLIC} include:spf.protection.outlook.com -all"'],
    ("spf.protection.outlook.com", "TXT"): ['"v=spf1 ip4:40.92.0.0/15 ip4:40.107.0.0/16 -all"'],
    ("_dmarc.@", "TXT"): ['"v=DMARC1; p=reject"'],
    ("selector1._domainkey.@", "CNAME"): ["selector1-x._domainkey.x.onmicrosoft.com."],
    ("selector1._domainkey.@", "TXT"): ['"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="'],
}


async def test_a_domain_with_mx_spf_and_dmarc_in_order_is_ok(publish):
    seen, domain = await publish(HEALTHY)

    found = statuses(seen, domain)
    assert found == {"dns.mx": "ok", "dns.spf": "ok", "dns.dmarc": "ok", "dns.dkim": "ok"}
    path = statuses(seen, WAY)
    assert (path["dns.spf_sender"], path["dns.spf_microsoft"], path["dns.endpoint"]) == ("ok", "ok", "ok")
    assert "ip4:" + PUBLIC in finding(seen, WAY, "dns.spf_sender").found


async def test_a_domain_that_publishes_nothing_is_a_failure_with_a_record_to_publish(publish):
    seen, domain = await publish({("@", "MX"): [f"0 {MX}."]})

    found = statuses(seen, domain)
    assert (found["dns.spf"], found["dns.dmarc"], found["dns.dkim"]) == ("failure", "warning", "warning")
    assert "v=spf1 include:spf.protection.outlook.com" in finding(seen, domain, "dns.spf").fix
    assert statuses(seen, WAY)["dns.spf_sender"] == "not_tested"


@pytest.mark.parametrize(
    ("record", "status", "words"),
    [
        ('"v=spf1 include:nothing.test -all"', "failure", "nothing.test"),
        ('"v=spf1 ip4:1.2.3.4.5 -all"', "failure", "1.2.3.4.5"),
        ('"v=spf1 " "ip4:20.50.0.7 -all"', "ok", "v=spf1 ip4:20.50.0.7 -all"),
    ],
)
async def test_an_spf_record_is_read_as_receivers_do(record, status, words, publish):
    seen, domain = await publish({("@", "TXT"): [record]})

    found = finding(seen, domain, "dns.spf")
    assert found.status == status
    assert words in found.found


async def test_two_spf_records_are_none(publish):
    seen, domain = await publish({("@", "TXT"): ['"v=spf1 -all"', '"v=spf1 mx -all"']})

    assert statuses(seen, domain)["dns.spf"] == "failure"


async def test_more_than_ten_look_ups_break_a_record(publish):
    records = {(f"i{n}.@", "TXT"): ['"v=spf1 -all"'] for n in range(11)}
    includes = " ".join(f"include:i{n}.@" for n in range(11))

    seen, domain = await publish({**records, ("@", "TXT"): [f'"v=spf1 {includes} -all"']})

    found = finding(seen, domain, "dns.spf")
    assert found.status == "failure"
    assert "11 of 10 look-ups" in found.found


@pytest.mark.parametrize(
    ("record", "status", "words"),
    [
        (f'"v=spf1 ip4:{PUBLIC} -all"', "ok", f"ip4:{PUBLIC}"),
        ('"v=spf1 a:hosts.test/24 -all"', "ok", "a:hosts.test"),
        ('"v=spf1 mx -all"', "ok", "mx:"),
        ('"v=spf1 include:other.test -all"', "ok", "other.test"),
        ('"v=spf1 redirect=other.test"', "ok", "other.test"),
        ('"v=spf1 -all"', "failure", "all"),
        ('"v=spf1 ~all"', "warning", "softfail"),
        ('"v=spf1 exists:%{i}.list.test -all"', "not_tested", "exists"),
    ],
)
async def test_spf_is_evaluated_for_the_address_that_the_server_sees(record, status, words, publish):
    seen, _ = await publish(
        {
            ("@", "TXT"): [record],
            ("@", "MX"): ["10 mail.@."],
            ("mail.@", "A"): [PUBLIC],
            ("hosts.test", "A"): ["20.50.0.99"],
            ("other.test", "TXT"): [f'"v=spf1 ip4:{PUBLIC}/32 -all"'],
        },
        kind="direct_send",
    )

    found = finding(seen, WAY, "dns.spf_sender")
    assert found.status == status
    assert words in found.found


async def test_a_gateway_before_microsoft_is_a_failure_only_for_who_goes_there_by_domain(publish):
    gateway = {("@", "MX"): ["10 mx0a.pphosted.com."], ("mx0a.pphosted.com", "A"): ["127.0.0.1"]}

    seen, domain = await publish(gateway)
    assert statuses(seen, domain)["dns.mx"] == "ok"
    assert statuses(seen, WAY)["dns.endpoint"] == "not_tested"

    seen, domain = await publish(gateway, host=None, domain=domain.removeprefix("domain "))
    found = finding(seen, domain, "dns.mx")
    assert (found.status, "Proofpoint" in found.found) == ("failure", True)


async def test_a_policy_of_a_parent_domain_holds_for_its_hosts(publish):
    seen, domain = await publish(
        {("_dmarc.@", "TXT"): ['"v=DMARC1; p=quarantine"'], ("sub.@", "A"): [PUBLIC]}, sender="canary@sub.@"
    )

    found = finding(seen, domain, "dns.dmarc")
    assert "p=quarantine" in found.found
    assert f"of {domain.partition('.')[2]}" in found.found


async def test_dkim_names_that_lead_nowhere_are_a_warning(publish):
    seen, domain = await publish({("selector1._domainkey.@", "CNAME"): ["selector1-x._domainkey.x.onmicrosoft.com."]})

    found = finding(seen, domain, "dns.dkim")
    assert (found.status, "no DKIM key" in found.found) == ("warning", True)


async def test_an_mta_sts_policy_that_cannot_be_fetched_is_a_warning(publish):
    seen, domain = await publish({("_mta-sts.@", "TXT"): ['"v=STSv1; id=1"']})

    assert statuses(seen, domain)["dns.mta_sts"] == "warning"


async def test_name_servers_that_do_not_answer_are_a_warning_and_not_a_verdict(publish, monkeypatch):
    monkeypatch.setattr("agent.doctor.kit.DNS_LIMIT", 0.3)

    seen, domain = await publish({}, silent=["@", "_dmarc.@"])

    found = finding(seen, domain, "dns.spf")
    assert (found.status, "could not be looked up" in found.found) == ("warning", True)
    assert f"see {domain}" in finding(seen, WAY, "dns.spf_sender").found


async def test_name_servers_that_answer_nothing_at_all_are_told_once(publish, monkeypatch):
    monkeypatch.setattr("agent.doctor.kit.DNS_LIMIT", 0.3)
    places = ["@", "_dmarc.@", "_mta-sts.@", "selector1._domainkey.@", "selector2._domainkey.@"]

    seen, domain = await publish({}, silent=places)

    assert statuses(seen, domain) == {"dns": "warning"}


async def test_without_the_library_records_are_found_but_not_read(publish, monkeypatch):
    for part in ("spf", "dmarc"):
        monkeypatch.setitem(sys.modules, f"checkdmarc.{part}", None)

    seen, domain = await publish(HEALTHY)

    found = statuses(seen, domain)
    assert (found["dns.mx"], found["dns.spf"], found["dns.dmarc"]) == ("ok", "not_tested", "not_tested")
    assert "the extra [doctor] of relaycanary" in finding(seen, domain, "dns.spf").found


async def test_names_for_examples_are_not_looked_up(report, serve):
    server = await serve()

    seen = await report(
        server.port, path={"sender": "canary@contoso.example", "host": "127.0.0.1", "nameservers": None}
    )

    found = finding(seen, "domain contoso.example", "dns")
    assert found.status == "not_tested"
    assert "RFC 2606" in found.found
