"""Recipients whose mail is mistreated, by name, in both domains."""

import email
import email.policy

import pytest

pytestmark = pytest.mark.servers


@pytest.fixture(params=["corp.test", "remote.test"])
def special(request, address):
    """Makes the address of a kind of special recipient that no other test uses."""
    unique = address.partition("@")[0]
    return lambda kind: f"{kind}-{unique}@{request.param}"


def parse(arrival):
    return email.message_from_bytes(arrival.path.read_bytes(), policy=email.policy.default)


def test_lose_is_accepted_and_never_arrives(testbed, deliver, special):
    """Only Postfix' log can tell: a mailbox does not say that nothing will come."""
    deliver(special("lose"))
    assert "status=sent (lost on purpose)" in testbed.wait_for_log(f"to=<{special('lose')}>")
    assert testbed.arrivals(special("lose")) == []


def test_bounce_is_accepted_and_comes_back_as_a_status_notification(testbed, deliver, special, address):
    sent = deliver(special("bounce"), sender=address)
    [arrival] = testbed.wait_for_arrivals(address)
    report = parse(arrival)
    assert report.get_content_type() == "multipart/report"
    assert report["Return-Path"] == "<>"
    _, status, returned = report.iter_parts()
    assert status.get_content_type() == "message/delivery-status"
    fields = status.get_payload(1)
    assert fields["Action"] == "failed"
    assert fields["Status"] == "5.1.1"
    assert fields["Final-Recipient"] == f"rfc822; {special('bounce')}"
    assert sent["Message-ID"] in returned.as_string()


def test_ndr_is_accepted_and_comes_back_as_exchange_writes_it(testbed, deliver, special, address):
    sent = deliver(special("ndr"), sender=address)
    [arrival] = testbed.wait_for_arrivals(address)
    report = parse(arrival)
    assert report["Subject"] == f"Undeliverable: {sent['Subject']}"
    assert report["X-MS-Exchange-Message-Is-Ndr"] == ""
    assert report["In-Reply-To"] == sent["Message-ID"]
    assert report["Return-Path"] == "<>"
    assert report["Content-Type"].params["report-type"] == "delivery-status"
    explanation, status, returned = report.iter_parts()
    assert special("ndr") in explanation.get_content()
    assert status.get_payload(1)["Status"] == "5.1.351"
    assert sent["Message-ID"] in returned.get_content()


def test_an_ndr_of_a_null_sender_is_not_sent(testbed, deliver, special):
    """A report on a report would go round for ever (RFC 5321, section 6.1)."""
    deliver(special("ndr"), sender="")
    deliver(special("canary"))
    testbed.wait_for_arrivals(special("canary"))
    assert testbed.arrivals("mailer-daemon@corp.test") == []


def test_delay_arrives_in_its_own_mailbox_no_sooner_than_asked(testbed, deliver, special):
    recipient = special("delay-400")
    deliver(recipient)
    [arrival] = testbed.wait_for_arrivals(recipient)
    assert arrival.delivered - arrival.queued >= 0.4


def test_junk_is_filed_in_junk(testbed, deliver, special):
    sent = deliver(special("junk"))
    [arrival] = testbed.wait_for_arrivals(special("junk"), "Junk")
    assert arrival.headers["Subject"] == sent["Subject"]
    assert testbed.arrivals(special("junk")) == []


def test_duplicate_arrives_twice(testbed, deliver, special):
    sent = deliver(special("duplicate"))
    arrivals = testbed.wait_for_arrivals(special("duplicate"), count=2)
    assert [arrival.headers["Message-ID"] for arrival in arrivals] == [sent["Message-ID"]] * 2


def test_a_longer_name_that_begins_alike_is_an_ordinary_mailbox(testbed, deliver, address):
    recipient = f"losers{address}"
    deliver(recipient)
    assert testbed.wait_for_arrivals(recipient)
