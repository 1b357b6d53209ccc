"""SPF for one address: the first mechanism that matches decides."""

from __future__ import annotations

import pytest

from checks.core.spf import SpfRecord, SpfResult, SpfTerm, chain, evaluate

PASS, FAIL, SOFTFAIL, NEUTRAL = SpfResult.PASS, SpfResult.FAIL, SpfResult.SOFTFAIL, SpfResult.NEUTRAL


def ip(network, result=PASS):
    return SpfTerm(text=f"ip4:{network}", result=result, networks=(network,))


def include(record, result=PASS):
    return SpfTerm(text=f"include:{record.domain}", result=result, included=record)


def record(*terms, domain="contoso.test", otherwise=None, redirect=None):
    return SpfRecord(domain=domain, text="v=spf1 ...", terms=terms, otherwise=otherwise, redirect=redirect)


MICROSOFT = record(ip("40.92.0.0/15"), ip("2a01:111::/32"), domain="spf.protection.outlook.com", otherwise=FAIL)


@pytest.mark.parametrize(
    ("published", "address", "result", "way"),
    [
        (record(ip("192.0.2.0/24"), otherwise=FAIL), "192.0.2.7", PASS, ("contoso.test", "ip4:192.0.2.0/24")),
        (record(ip("192.0.2.0/24"), otherwise=FAIL), "192.0.3.7", FAIL, ("contoso.test", "all")),
        (record(ip("192.0.2.0/24"), otherwise=FAIL), "::ffff:192.0.2.7", PASS, ("contoso.test", "ip4:192.0.2.0/24")),
        (
            record(ip("192.0.2.7", SOFTFAIL), ip("192.0.2.0/24")),
            "192.0.2.7",
            SOFTFAIL,
            ("contoso.test", "ip4:192.0.2.7"),
        ),
        (
            record(include(MICROSOFT), otherwise=SOFTFAIL),
            "40.93.1.1",
            PASS,
            ("contoso.test", "spf.protection.outlook.com", "ip4:40.92.0.0/15"),
        ),
        (record(include(MICROSOFT), otherwise=SOFTFAIL), "192.0.2.7", SOFTFAIL, ("contoso.test", "all")),
        (record(include(MICROSOFT), otherwise=FAIL), "2a01:111::5", PASS, None),
        (record(ip("192.0.2.7")), "192.0.2.8", NEUTRAL, ("contoso.test", "no mechanism matches")),
        (record(redirect=MICROSOFT), "40.93.1.1", PASS, None),
        (record(redirect=MICROSOFT), "192.0.2.7", FAIL, ("contoso.test", "spf.protection.outlook.com", "all")),
        (record(redirect=MICROSOFT, otherwise=NEUTRAL), "40.93.1.1", NEUTRAL, ("contoso.test", "all")),
    ],
)
def test_the_first_mechanism_that_matches_decides_and_the_way_to_it_is_told(published, address, result, way):
    verdict = evaluate(published, address)

    assert verdict.result is result
    assert way is None or verdict.way == way


def test_what_only_a_receiver_can_evaluate_leaves_it_undecided_unless_something_matches_before():
    exists = SpfTerm(text="exists:%{i}.list.test", result=PASS, open_ended=True)

    assert evaluate(record(exists, otherwise=FAIL), "192.0.2.7").result is SpfResult.UNDECIDED
    assert evaluate(record(ip("192.0.2.7"), exists, otherwise=FAIL), "192.0.2.7").result is PASS
    inside = record(include(record(exists, domain="a.test")), otherwise=FAIL)
    assert evaluate(inside, "192.0.2.7").result is SpfResult.UNDECIDED


def test_the_chain_lists_every_record_that_is_referred_to():
    deeper = record(include(MICROSOFT), domain="relays.test")

    assert list(chain(record(include(deeper), redirect=record(domain="rest.test")))) == [
        "contoso.test",
        "relays.test",
        "spf.protection.outlook.com",
        "rest.test",
    ]
