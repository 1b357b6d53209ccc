"""What Exchange Online writes into a message, by the way it came."""

from __future__ import annotations

import email
import email.utils
import re
from datetime import UTC, datetime, timedelta

import pytest

from checks.lab.forgery import forge
from checks.lab.headers import Trace, stamp

TENANT = "X-MS-Exchange-CrossTenant-"
ORGANISATION = "X-MS-Exchange-Organization-"


@pytest.fixture
def arrived(sender, reader):
    """Send by a path, and return the message as it was found."""

    def send(path: str, mailbox: str, **changes):
        outcome = sender(path, **changes).send()
        assert outcome.accepted
        return email.message_from_bytes(reader(mailbox).wait(outcome.subject)[0])

    return send


def test_submission_is_hosted_mail_from_inside(arrived):
    message = arrived("submission", "inbox")
    assert message[f"{TENANT}FromEntityHeader"] == "Hosted"
    assert message[f"{TENANT}AuthAs"] == "Internal"
    assert message[f"{TENANT}MailboxType"] == "HOSTED"
    assert message[f"{ORGANISATION}MessageDirectionality"] == "Originating"
    assert message[f"{TENANT}OriginalAttributedTenantConnectingIp"] is None
    assert "mapi id 15.20." in message.get_all("Received")[-1]
    assert message["X-ClientProxiedBy"] is not None
    assert "SFV:SKI" in message["X-Forefront-Antispam-Report"]


def test_relay_shows_the_connector_and_the_address_it_knew(arrived, sender):
    message = arrived("relay", "outside")
    source = re.escape(sender("relay").source)
    assert message[f"{TENANT}FromEntityHeader"] == "HybridOnPrem"
    assert message[f"{TENANT}AuthAs"] == "Anonymous"
    connecting = re.sub(r"\s", "", message[f"{TENANT}OriginalAttributedTenantConnectingIp"])
    assert re.fullmatch(rf"TenantId=[0-9a-f-]{{36}};Ip=\[{source}\];Helo=\[client\.example\]", connecting)
    assert message["Authentication-Results"].startswith("mx1.outside.example;")
    assert not [name for name in message if name.startswith(ORGANISATION)]
    assert f"from client.example ({sender('relay').source})" in message.get_all("Received")[-1]


def test_relay_to_a_hosted_mailbox_is_originating(arrived):
    message = arrived("relay", "inbox", recipient="canary@contoso.example")
    assert message[f"{ORGANISATION}MessageDirectionality"] == "Originating"
    assert message[f"{TENANT}FromEntityHeader"] == "HybridOnPrem"


def test_direct_send_is_anonymous_mail_from_the_tenants_own_domain(arrived):
    message = arrived("direct", "inbox")
    assert message[f"{TENANT}FromEntityHeader"] == "Internet"
    assert message[f"{TENANT}AuthAs"] == "Anonymous"
    assert message[f"{ORGANISATION}MessageDirectionality"] == "Incoming"
    assert message[f"{ORGANISATION}InternalOrgSender"] == "True"
    assert message[f"{ORGANISATION}IsAnonymousDirectSend"] == "True"
    assert message[f"{TENANT}OriginalAttributedTenantConnectingIp"] is None
    assert message["Authentication-Results"].startswith("spf=pass (sender IP is 127.0.0.1)")
    assert "compauth=pass reason=100" in message["Authentication-Results"]


def test_mail_from_the_internet_is_no_direct_send(arrived):
    message = arrived("direct", "inbox", sender="someone@outside.example")
    assert message[f"{ORGANISATION}IsAnonymousDirectSend"] is None
    assert message[f"{TENANT}FromEntityHeader"] == "Internet"


def test_the_received_chain_leads_from_the_mailbox_to_the_client(arrived):
    hops = arrived("direct", "inbox").get_all("Received")
    assert [
        bool(re.search(word, hop)) for word, hop in zip(["with HTTPS", "id 15", "Frontend"], hops, strict=True)
    ] == [True] * 3
    assert "version=TLS1_3, cipher=TLS_" in hops[-1]
    times = [email.utils.parsedate_to_datetime(hop.rpartition(";")[2].strip()) for hop in hops]
    assert times == sorted(times, reverse=True)


def test_a_session_without_tls_shows_none(sender, reader):
    client = sender("direct")
    with client.connect() as smtp:
        message = client.message("plain-session-without-tls", client.sender, b"hello\r\n")
        smtp.sendmail(client.sender, [client.recipient], message)
    received = email.message_from_bytes(reader("inbox").wait("plain-session-without-tls")[0])
    assert "version=" not in received.get_all("Received")[-1]


def test_the_body_and_the_senders_own_fields_arrive_unchanged(sender, reader):
    client = sender("direct")
    outcome = client.send(body=b".leading dot\r\n\r\n..two\r\nend\r\n".replace(b"\r\n.", b"\r\n.."))
    (raw,) = reader("inbox").wait(outcome.subject)
    assert raw.endswith(client.message(outcome.subject, client.sender, b"leading dot\r\n\r\n..two\r\nend\r\n"))


def _trace(**changes):
    usual = {
        "path": "direct",
        "ip": "127.0.0.1",
        "helo": "h.example",
        "tls": "",
        "mail_from": "canary@contoso.example",
        "recipient": "canary@contoso.example",
        "accepted": 0.0,
        "network_id": "00000000-0000-4000-8000-000000000000",
        "attributed": False,
    }
    return Trace(**{**usual, **changes})


def test_latency_and_arrival_are_written_as_exchange_writes_them():
    accepted = datetime(2026, 11, 23, 9, 10, 25, 449_400, tzinfo=UTC)
    text = stamp(_trace(), b"", accepted, accepted + timedelta(hours=1, seconds=4, microseconds=656_051)).decode()
    assert "X-MS-Exchange-Transport-EndToEndLatency: 01:00:04.6560510\r\n" in text
    assert "X-MS-Exchange-CrossTenant-OriginalArrivalTime: 23 Nov 2026 09:10:25.4494 (UTC)\r\n" in text


def test_a_clock_that_was_set_back_gives_no_negative_latency():
    accepted = datetime(2026, 11, 23, tzinfo=UTC)
    assert b"EndToEndLatency: 00:00:00.0000000\r\n" in stamp(_trace(), b"", accepted, accepted - timedelta(seconds=9))


def test_a_forgery_changes_the_signature_wherever_it_stands_and_nothing_else():
    token = "rc1.abcdefgh.check.k1.Zm9yZ2VkIHNpZ25hdHVyZSBvZiBhIGNhbmFyeQ"
    message = (
        f"Subject: canary\r\n {token}\r\nMessage-ID: <{token}@contoso.example>\r\nX-Relaycanary: {token}\r\n"
        f"X-Other: {token}\r\n\r\nbody {token}\r\n"
    ).encode()
    forged = forge(message)
    assert len(forged) == len(message)
    assert forged.count(token.encode()) == 2
    spoilt = token.encode()[:-12]
    assert forged.count(spoilt) == message.count(spoilt) == 5
    assert len(set(re.findall(spoilt + rb"(.{12})", forged))) == 2


def test_a_forgery_of_a_message_without_any_signature_is_the_message():
    assert forge(b"Subject: short\r\n\r\nbody\r\n") == b"Subject: short\r\n\r\nbody\r\n"
