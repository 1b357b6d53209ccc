"""The servers' series: what their stamps say, and how far their clocks may be off."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.core import findings
from checks.core.servers import Known, ServerHop, server_times

T0 = datetime(2026, 11, 26, 10, 0, 0, tzinfo=UTC)
AT = T0.timestamp()


def times(hops=(), *, stored=None, arrived=None, accepted=0.2, after=None, seen=3.0):
    known = Known(
        began_at=AT,
        accepted_at=None if accepted is None else AT + accepted,
        after_at=None if after is None else AT + after,
        seen_at=AT + seen,
    )
    return server_times(hops, end_to_end=None, arrived=arrived, stored=stored, known=known)


def test_a_delay_between_clocks_that_disagree_stays_negative():
    block = (
        b"Received: from hub.example by box.example with HTTPS; Thu, 26 Nov 2026 09:59:55 +0000\r\n"
        b"Received: from edge.example by hub.example with ESMTPS; Thu, 26 Nov 2026 10:00:04 +0000\r\n"
        b"Received: from client.example by edge.example with ESMTPS; Thu, 26 Nov 2026 10:00:00 +0000\r\n"
    )
    found = times(findings.find(block).hops)
    assert [hop.delay for hop in found.hops] == [None, 4.0, -9.0]
    assert found.transit == -5.0


def test_the_edges_clock_is_bounded_by_our_hand_over():
    (clock,) = times([ServerHop(by="edge.example", at=T0 + timedelta(microseconds=500_000))]).clocks
    assert (clock.server, clock.host) == ("edge", "edge.example")
    assert clock.offset == pytest.approx(0.4)  # between 0.5 s and 0.3 s ahead
    assert clock.uncertainty == pytest.approx(0.1)


def test_a_stamp_in_whole_seconds_leaves_a_second_open():
    (clock,) = times([ServerHop(at=T0)]).clocks
    assert (clock.offset, clock.uncertainty) == (pytest.approx(0.4), pytest.approx(0.6))


def test_exchanges_date_of_arrival_is_finer_than_its_received_line():
    (clock,) = times([ServerHop(at=T0)], arrived=T0 + timedelta(microseconds=100_000)).clocks
    assert (clock.offset, clock.uncertainty) == (pytest.approx(0.0, abs=1e-6), pytest.approx(0.1))


def test_the_mailboxs_clock_is_bounded_by_the_looks():
    (clock,) = times(stored=T0 + timedelta(hours=1), after=2.0, seen=3.0).clocks
    assert (clock.server, clock.offset, clock.uncertainty) == ("mailbox", pytest.approx(3598.0), pytest.approx(1.0))


def test_without_a_reply_the_first_sighting_bounds_the_hand_over():
    (clock,) = times([ServerHop(at=T0)], accepted=None).clocks
    assert clock.uncertainty == pytest.approx(2.0)


@given(
    offset=st.floats(-1e5, 1e5),
    accepted=st.floats(0, 60),
    at=st.floats(0, 1),
    seen=st.floats(60, 600),
    whole=st.booleans(),
)
def test_the_true_offset_always_lies_within_the_uncertainty(offset, accepted, at, seen, whole):
    stamp = datetime.fromtimestamp(AT + at * accepted + offset, UTC)
    stamp = stamp.replace(microsecond=0) if whole else stamp
    (clock,) = times([ServerHop(at=stamp)], accepted=accepted, seen=seen).clocks
    assert abs(clock.offset - offset) <= clock.uncertainty + 1e-4


@pytest.mark.parametrize(
    ("line", "wire", "tls"),
    [
        (
            "from a.example (192.0.2.1) by b.example with Microsoft SMTP Server (version=TLS1_2, cipher=X) id 1",
            True,
            "TLSv1.2",
        ),
        ("from a.example (192.0.2.1) by b.example with Microsoft SMTP Server id 1 via Frontend Transport", True, None),
        ("from a.example by b.example with ESMTPS id 1", True, ""),
        ("from a.example by a.example with mapi id 1", False, None),
        ("from a.example by b.example with HTTPS", False, None),
        ("from localhost (localhost [127.0.0.1]) by b.example with ESMTP id 1", False, None),
        ("from b.example by B.example with LMTP id 1", False, None),
        ("by 2002:a17:906:4cca:0:0:0:0 with SMTP id 1", False, None),
    ],
)
def test_only_what_came_from_another_host_by_smtp_has_to_be_encrypted(line, wire, tls):
    (hop,) = findings.find(f"Received: {line}; Thu, 26 Nov 2026 10:00:00 +0000\r\n".encode()).hops
    assert (hop.wire, hop.tls) == (wire, tls)
