"""What a notice means for one recipient of the several that it may name."""

from __future__ import annotations

import pytest

from checks.core.bounce import Kind, classify, fate_of

OURS = "canary@outside.example"


def report(*recipients):
    """Write a report (RFC 3464); a recipient is its final address, action, and original address if any."""
    groups = b""
    for final, action, *original in recipients:
        groups += b"".join(b"Original-Recipient: rfc822; %s\r\n" % one.encode() for one in original)
        groups += b"Final-Recipient: rfc822; %s\r\nAction: %s\r\n" % (final.encode(), action.encode())
        code = {"failed": b"5.1.1", "delayed": b"4.4.7"}.get(action, b"2.0.0")
        groups += b"Status: %s\r\nDiagnostic-Code: smtp; 550 %s of %s\r\n\r\n" % (code, code, final.encode())
    return classify(
        b"From: MAILER-DAEMON@mx.outside.example\r\nSubject: Delivery report\r\n"
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.outside.example\r\n\r\n"
        + groups
        + b"--b--\r\n"
    )


@pytest.mark.parametrize(
    ("recipients", "kind", "address"),
    [
        # one alone is the one, whatever it is called by now
        ([(OURS, "failed")], Kind.BOUNCE, OURS),
        ([("renamed@elsewhere.example", "failed")], Kind.BOUNCE, "renamed@elsewhere.example"),
        ([(OURS, "delayed")], Kind.DELAYED, OURS),
        ([(OURS, "delivered")], Kind.OTHER, OURS),
        ([(OURS, "relayed")], Kind.OTHER, OURS),
        ([(OURS, "expanded")], Kind.OTHER, OURS),
        # of several, ours alone counts, in either order
        ([(OURS, "delivered"), ("b@elsewhere.example", "failed")], Kind.OTHER, OURS),
        ([("b@elsewhere.example", "failed"), (OURS, "delivered")], Kind.OTHER, OURS),
        ([("b@elsewhere.example", "failed"), (OURS, "delayed")], Kind.DELAYED, OURS),
        ([("b@elsewhere.example", "delivered"), (OURS, "failed")], Kind.BOUNCE, OURS),
        (
            [("b@elsewhere.example", "failed"), ("CANARY+x@Outside.Example", "relayed")],
            Kind.OTHER,
            "CANARY+x@Outside.Example",
        ),
        # a forwarded copy keeps our original address; our own mailbox weighs more
        ([(OURS, "delivered", OURS), ("b@elsewhere.example", "failed", OURS)], Kind.OTHER, OURS),
        (
            [("a@x.example", "failed", OURS), ("b@x.example", "delivered", "other@x.example")],
            Kind.BOUNCE,
            "a@x.example",
        ),
        ([("a@x.example", "failed", OURS), ("b@x.example", "delivered", OURS)], Kind.OTHER, "a@x.example"),
        # none is ours by name: only if nobody got it
        ([("a@x.example", "failed"), ("b@x.example", "failed")], Kind.BOUNCE, "a@x.example"),
        ([("a@x.example", "failed"), ("b@x.example", "delivered")], Kind.OTHER, "a@x.example"),
        ([("a@x.example", "failed"), ("b@x.example", "delayed")], Kind.DELAYED, "b@x.example"),
    ],
)
def test_the_fate_of_a_canary_is_that_of_its_own_recipient(recipients, kind, address):
    found, recipient = fate_of(report(*recipients), OURS)
    assert (found, recipient.address) == (kind, address)


def test_the_words_are_those_of_the_server_that_refused_our_recipient():
    notice = report(("b@elsewhere.example", "failed"), (OURS, "failed"))
    assert fate_of(notice, OURS)[1].diagnostic == f"550 5.1.1 of {OURS}"
