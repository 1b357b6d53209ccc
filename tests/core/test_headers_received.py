"""The Received chain: hops, their dates, delays and TLS."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.core.headers.fields import parse_headers
from checks.core.headers.hop_tls import HopTls
from checks.core.headers.received import MAX_HOPS, Hop, parse_received, received_chain

FRONT_END = (
    "from relay.contoso.example (203.0.113.7) by\r\n"
    " AM1EPF0001.mail.protection.outlook.com (2603:10a6:208::22) with Microsoft\r\n"
    " SMTP Server (version=TLS1_3, cipher=TLS_AES_256_GCM_SHA384) id 15.20.8678.23\r\n via Frontend Transport;"
    " Wed, 23 Apr 2025 09:10:25 +0000"
)


def test_an_exchange_front_end_line_is_read_clause_by_clause():
    assert parse_received(FRONT_END) == Hop(
        from_="relay.contoso.example",
        from_info="203.0.113.7",
        from_ip="203.0.113.7",
        by="AM1EPF0001.mail.protection.outlook.com",
        by_info="2603:10a6:208::22",
        via="Frontend Transport",
        with_="Microsoft SMTP Server",
        id="15.20.8678.23",
        date=datetime(2025, 4, 23, 9, 10, 25, tzinfo=UTC),
        tls=HopTls("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
    )


def test_delivery_to_the_mailbox_server_is_https_via_a_host():
    hop = parse_received(
        "from A.prod.outlook.com (2603::1) by B.prod.outlook.com with HTTPS via C.PROD.OUTLOOK.COM; 1 Oct "
        "2025 09:00:00 GMT"
    )
    assert (hop.with_, hop.via, hop.from_ip) == ("HTTPS", "C.PROD.OUTLOOK.COM", "2603::1")


def test_mailbox_submission_is_mapi_between_link_local_addresses():
    hop = parse_received(
        "from A.prod.outlook.com ([fe80::a460:e299]) by A.prod.outlook.com ([fe80::a460:e299%6]) with mapi "
        "id 15.20.1987.010;"
        " Fri, 14 Jun 2019 07:18:57 +0000"
    )
    assert (hop.with_, hop.id, hop.from_ip, hop.tls) == ("mapi", "15.20.1987.010", "fe80::a460:e299", None)


def test_the_hops_are_oldest_first_with_the_delay_since_the_one_before():
    headers = parse_headers(
        b"Received: from c by d; Wed, 23 Apr 2025 09:10:29 +0000\r\n"
        b"Subject: between\r\n"
        b"Received: from b by c; no date here\r\n"
        b"Received: from a by b; Wed, 23 Apr 2025 11:10:25.5 +0200\r\n"
    )
    hops = received_chain(headers)
    assert [(hop.by, hop.delay) for hop in hops] == [("b", None), ("c", None), ("d", timedelta(seconds=3.5))]
    assert not any(hop.skewed for hop in hops)


def test_a_negative_delay_is_kept_and_flagged():
    headers = parse_headers(
        b"Received: from b by c; Wed, 23 Apr 2025 09:10:20 +0000\n"
        b"Received: from a by b; Wed, 23 Apr 2025 09:10:25 +0000"
    )
    newest = received_chain(headers)[-1]
    assert newest.delay == timedelta(seconds=-5)
    assert newest.skewed


def test_of_an_endless_chain_the_newest_hops_are_kept():
    headers = parse_headers(b"".join(b"Received: by h%d; 1 Jan 2025 00:00:00 +0000\n" % n for n in range(150)))
    hops = received_chain(headers)
    assert len(hops) == MAX_HOPS
    assert hops[-1].by == "h0"


@pytest.mark.parametrize(
    ("line", "tls"),
    [
        (
            "by a (using TLSv1.2 with cipher ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits)) with ESMTPS",
            HopTls("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384"),
        ),
        ("by a with esmtps (TLS1.3:ECDHE_X25519__RSA:256) (Exim 4.92)", HopTls("TLSv1.3", "ECDHE_X25519__RSA")),
        (
            "by a with esmtps (TLS1.3) tls TLS_AES_256_GCM_SHA384 (Exim 4.96)",
            HopTls("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
        ),
        ("by a with ESMTP id x (version=TLSv1/SSLv3 cipher=RC4-MD5 bits=128)", HopTls("TLSv1.0", "RC4-MD5")),
        ("by a with ESMTP id x (version=SSLv3 cipher=RC4-MD5)", HopTls("SSLv3", "RC4-MD5")),
        ("by a with ESMTP/TLS/ECDHE-RSA-AES128-GCM-SHA256", HopTls(None, "ECDHE-RSA-AES128-GCM-SHA256")),
        ("by a with Microsoft SMTP Server (TLS) id 14.3", HopTls()),
        ("by a with ESMTPSA id x", HopTls()),
        ("by a with ESMTPA id x", None),
        ("by a (TLS is great) id x", None),
    ],
)
def test_the_tls_of_a_hop_is_what_the_line_names(line, tls):
    assert parse_received(f"{line}; 1 Jan 2025 00:00:00 +0000").tls == tls


@pytest.mark.parametrize(
    ("line", "ip"),
    [
        ("from h (HELO [10.0.0.1]) ([203.0.113.9]:4711) by a", "203.0.113.9"),
        ("from h (helo=198.51.100.1) [203.0.113.9] by a", "203.0.113.9"),
        ("from h ([::ffff:203.0.113.9]) by a", "203.0.113.9"),
        ("from h (x [IPv6:2001:db8::1]) by a", "2001:db8::1"),
        ("from [203.0.113.9] by a", "203.0.113.9"),
        ("(from USER [203.0.113.9]) by a", "203.0.113.9"),
        ("from h (999.1.1.1) by a", None),
        ("from h (unknown) by a", None),
    ],
)
def test_the_client_address_is_what_the_host_saw_not_what_the_client_said(line, ip):
    assert parse_received(line).from_ip == ip


def test_the_envelope_sender_stands_in_a_comment_or_a_second_from():
    assert parse_received("from h by a (envelope-from <s@b.example>) id 1").envelope_from == "s@b.example"
    assert parse_received("from h by a for <r@c.example> from <s@b.example>").envelope_from == "s@b.example"


def test_a_repeated_clause_does_not_replace_the_first():
    hop = parse_received("from a by b by c with ESMTP with SMTP id 1 id 2; 1 Jan 2025 00:00:00 +0000")
    assert (hop.by, hop.with_, hop.id) == ("b", "ESMTP", "1")


@pytest.mark.parametrize(
    "line", ["", ";", "from", "from (", "from a by (never closed", "(((", ";;;; ", 'from "', "by ; x"]
)
def test_broken_lines_give_what_they_hold(line):
    hop = parse_received(line)
    assert (hop.date, hop.delay) == (None, None)


def test_a_date_without_a_semicolon_ends_the_line():
    hop = parse_received("by filter.example with SMTP id f-1\n 2018-03-26 13:35:36.270951634 +0000 UTC")
    assert hop.id == "f-1"
    assert hop.date == datetime(2018, 3, 26, 13, 35, 36, 270951, tzinfo=UTC)


def test_a_truncated_line_never_gains_words():
    """Cutting a line anywhere leaves a prefix of the values, or nothing, but no other value."""
    whole = parse_received(FRONT_END)
    for end in range(len(FRONT_END)):
        part = parse_received(FRONT_END[:end])
        assert whole.from_.startswith(part.from_ or "")
        assert whole.by.startswith(part.by or "")


@given(st.text(max_size=500), st.sampled_from(["", "from a by b; ", "Received: from ", "with x (", "; 1 Jan "]))
def test_any_line_gives_a_hop(text, prefix):
    hop = parse_received(prefix + text)
    assert hop.date is None or hop.date.tzinfo is not None


def test_a_day_name_is_no_word_of_the_clause_before_it():
    assert parse_received("by a with SMTP Mon, 26 Mar 2018 13:35:36 +0000").with_ == "SMTP"


def test_the_offset_of_a_date_is_kept():
    assert parse_received("by a; 1 Jan 2025 00:00:00 +0530").date.tzinfo == timezone(timedelta(hours=5, minutes=30))
