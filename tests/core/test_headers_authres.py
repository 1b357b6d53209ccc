"""Authentication-Results: the grammar, Microsoft's shapes, and whose word counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.core.headers.authres import (
    MAX_RESULTS,
    Authentication,
    MethodResult,
    arc_authentication_results,
    authentication,
    parse_authentication_results,
)
from checks.core.headers.fields import parse_headers

EXCHANGE = (
    "spf=pass (sender IP is 203.0.113.7)\r\n smtp.mailfrom=contoso.example; dkim=pass (signature was verified)\r\n"
    " header.d=contoso.example;dmarc=pass action=none\r\n header.from=contoso.example;compauth=pass reason=100"
)


def _headers(*values, name="Authentication-Results"):
    return parse_headers("".join(f"{name}: {value}\r\n" for value in values).encode())


def test_exchange_online_writes_no_authserv_id():
    found = authentication(_headers(EXCHANGE))
    assert found == Authentication(
        authserv_id=None,
        spf=MethodResult(
            "spf", "pass", None, "sender IP is 203.0.113.7", None, (("smtp.mailfrom", "contoso.example"),)
        ),
        dkim=(MethodResult("dkim", "pass", None, "signature was verified", None, (("header.d", "contoso.example"),)),),
        dmarc=MethodResult("dmarc", "pass", None, None, "none", (("header.from", "contoso.example"),)),
        compauth=MethodResult("compauth", "pass", "100"),
    )
    assert found.results() == {"spf": "pass", "dkim": "pass", "dmarc": "pass", "compauth": "pass"}


def test_the_consumer_service_repeats_its_name_before_a_result():
    parsed = parse_authentication_results("outlook.com; spf=pass smtp.mailfrom=a.example; outlook.com; dkim=none;")
    assert parsed.authserv_id == "outlook.com"
    assert [(one.method, one.result, one.authserv_id) for one in parsed.results] == [
        ("spf", "pass", None),
        ("dkim", "none", "outlook.com"),
    ]


def test_the_version_behind_the_authserv_id_is_no_part_of_it():
    parsed = parse_authentication_results("mx.microsoft.com 1; spf=pass")
    assert parsed.authserv_id == "mx.microsoft.com"


def test_several_signatures_pass_when_one_does():
    found = authentication(_headers("mx.example; dkim=fail header.d=a.example; dkim=pass header.d=b.example"))
    assert [one.property("header.d") for one in found.dkim] == ["a.example", "b.example"]
    assert found.results() == {"dkim": "pass"}
    assert authentication(_headers("x; dkim=fail; dkim=none")).results() == {"dkim": "fail"}


@pytest.mark.parametrize(
    ("value", "properties"),
    [
        ("x; spf=pass smtp.mailfrom = a@b", (("smtp.mailfrom", "a@b"),)),
        ('x; spf=pass smtp.mailfrom="a b"@c', (("smtp.mailfrom", "a b@c"),)),
        ("x; spf=pass smtp.mailfrom=(why)a=b@c (so)", (("smtp.mailfrom", "a=b@c"),)),
        ("x; spf=pass smtp.mailfrom", ()),
        ("x; spf=pass policy.iprev=192.0.2.1 (host.example)", (("policy.iprev", "192.0.2.1"),)),
    ],
)
def test_properties_are_read_around_comments_quotes_and_spaces(value, properties):
    assert parse_authentication_results(value).results[0].properties == properties


@pytest.mark.parametrize(
    "value",
    [
        "",
        ";",
        "none",
        "x; none",
        "x 1; none",
        "x; spf",
        "x; spf=",
        "x; spf= (cut",
        "i=5",
        "i=abc; x",
        "x; =pass",
        "x; s p f",
        "(",
        '"',
        "x; 1=pass",
        "x; spf/a=pass",
    ],
)
def test_what_is_broken_or_empty_has_no_results(value):
    assert parse_authentication_results(value).results == ()


def test_a_semicolon_in_a_quote_or_comment_ends_nothing():
    parsed = parse_authentication_results('x; dkim=fail reason="bad; very (bad)" (a; b); spf=none')
    assert [(one.method, one.reason, one.comment) for one in parsed.results] == [
        ("dkim", "bad; very (bad)", None),
        ("spf", None, None),
    ]


def test_by_default_only_the_topmost_header_counts():
    """The one below was in the mail when it came: anybody could have written it."""
    assert authentication(_headers("mx.example; spf=fail", "mx.example; spf=pass; dmarc=pass")).results() == {
        "spf": "fail"
    }


def test_with_named_identifiers_only_their_headers_count():
    headers = _headers("evil.example; dmarc=pass", "MX.example 1; spf=fail", "mx.example; spf=pass; dkim=pass")
    found = authentication(headers, authserv_ids={"mx.EXAMPLE"})
    assert found.results() == {"spf": "fail", "dkim": "pass"}
    assert authentication(headers, authserv_ids=["other"]) == Authentication()


def test_a_lower_header_cannot_add_a_signature_to_those_reported():
    headers = _headers("mx.example; dkim=fail header.d=a.example", "mx.example; dkim=pass header.d=evil.example")
    assert authentication(headers, authserv_ids=["mx.example"]).results() == {"dkim": "fail"}


def test_the_empty_identifier_names_exchange_onlines_own_headers():
    headers = _headers("elsewhere.example; spf=pass", EXCHANGE)
    assert authentication(headers, authserv_ids=[""]).compauth.reason == "100"


def test_a_mail_without_results_has_none():
    assert authentication(_headers()) == Authentication()
    assert authentication(_headers()).results() == {}


def test_arc_results_come_with_the_highest_instance_first():
    headers = _headers(
        "i=1; mx.microsoft.com 1; spf=pass smtp.mailfrom=a.example; arc=none",
        "i=2; mx.google.com; arc=pass",
        name="ARC-Authentication-Results",
    )
    parsed = arc_authentication_results(headers)
    assert [(one.instance, one.authserv_id, len(one.results)) for one in parsed] == [
        (2, "mx.google.com", 1),
        (1, "mx.microsoft.com", 2),
    ]
    assert authentication(headers) == Authentication()


def test_the_number_of_results_is_bounded():
    assert len(parse_authentication_results("x; " + "a=b;" * 500).results) == MAX_RESULTS


def test_a_truncated_header_never_gains_a_result():
    whole = [(one.method, one.result) for one in parse_authentication_results(EXCHANGE).results]
    for end in range(len(EXCHANGE)):
        part = [(one.method, one.result) for one in parse_authentication_results(EXCHANGE[:end]).results]
        assert part[:-1] == whole[: len(part) - 1] if part else True


@given(st.text(alphabet=' ;=()"\\/.abi1', max_size=200))
def test_any_value_is_parsed(value):
    parsed = parse_authentication_results(value)
    assert all(one.method and one.result for one in parsed.results)
