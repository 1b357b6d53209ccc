"""The MX: direct send for the tenant, and relay for those whom a connector knows."""

import smtplib
import ssl

import pytest

pytestmark = pytest.mark.servers


def test_anyone_may_send_directly_to_the_tenant(testbed, message, address):
    sent = message("printer@corp.test", address)
    with smtplib.SMTP(testbed.host, testbed.ports.mx) as session:
        session.send_message(sent)
    [arrival] = testbed.wait_for_arrivals(address)
    assert arrival.headers["Subject"] == sent["Subject"]
    assert arrival.headers["Return-Path"] == "<printer@corp.test>"


def test_a_stranger_may_not_relay(testbed, message):
    with smtplib.SMTP(testbed.host, testbed.ports.mx) as session:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refusal:
            session.send_message(message("printer@corp.test", "somebody@remote.test"))
        assert refusal.value.recipients == {
            "somebody@remote.test": (554, b"5.7.1 <somebody@remote.test>: Relay access denied")
        }


def test_the_connectors_source_address_may_relay(testbed, message, address):
    recipient = address.replace("corp.test", "remote.test")
    with smtplib.SMTP(testbed.host, testbed.ports.mx, source_address=(testbed.connector_host, 0)) as session:
        session.send_message(message("printer@corp.test", recipient))
    assert testbed.wait_for_arrivals(recipient)
    assert testbed.arrivals(address) == [], "the outside mailbox is not the tenant's of the same name"


def test_the_listed_client_certificate_may_relay(testbed, message, address):
    recipient = address.replace("corp.test", "remote.test")
    with smtplib.SMTP(testbed.host, testbed.ports.mx) as session:
        session.starttls(context=testbed.client_context(testbed.certificates.client_listed))
        session.send_message(message("printer@corp.test", recipient))
    [arrival] = testbed.wait_for_arrivals(recipient)
    assert 'Client CN "relay.corp.test"' in arrival.headers.get_all("Received")[-1]


@pytest.mark.parametrize("certificate", ["client_unlisted", None])
def test_tls_without_the_listed_certificate_may_not_relay(testbed, message, certificate):
    path = certificate and getattr(testbed.certificates, certificate)
    with smtplib.SMTP(testbed.host, testbed.ports.mx) as session:
        session.starttls(context=testbed.client_context(path))
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refusal:
            session.send_message(message("printer@corp.test", "somebody@remote.test"))
        assert refusal.value.recipients["somebody@remote.test"][0] == 554


def test_mail_for_a_domain_nobody_has_does_not_leave_the_testbed(testbed, message):
    """The relay is refused by name, before Postfix would look anywhere for the domain."""
    with smtplib.SMTP(testbed.host, testbed.ports.mx, source_address=(testbed.connector_host, 0)) as session:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refusal:
            session.send_message(message("printer@corp.test", "somebody@example.org"))
        code, text = refusal.value.recipients["somebody@example.org"]
    assert (code, b"5.1.2" in text) == (550, True)


@pytest.mark.parametrize(
    ("local_part", "code", "enhanced"), [("reject-me", 550, b"5.4.1 "), ("defer-me", 451, b"4.7.500 ")]
)
def test_some_recipients_are_refused_by_name(testbed, message, local_part, code, enhanced):
    with smtplib.SMTP(testbed.host, testbed.ports.mx) as session:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refusal:
            session.send_message(message("printer@corp.test", f"{local_part}@corp.test"))
        found, text = refusal.value.recipients[f"{local_part}@corp.test"]
    assert found == code
    assert enhanced in text


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "mx.corp.test"])
def test_the_certificate_is_good_for_every_name_of_the_mx(testbed, name):
    with smtplib.SMTP(testbed.host, testbed.ports.mx) as session:
        session._host = name  # what smtplib verifies the certificate against
        code, _ = session.starttls(context=testbed.client_context())
        assert code == 220


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("mx_expired", "certificate has expired"),
        ("mx_wrong_name", "IP address mismatch"),
        ("mx_self_signed", "self-signed certificate"),
    ],
)
def test_each_faulty_certificate_fails_for_its_own_reason(testbed, endpoint, reason):
    with smtplib.SMTP(testbed.host, testbed.ports.by_name()[endpoint]) as session:
        with pytest.raises(ssl.SSLCertVerificationError) as error:
            session.starttls(context=testbed.client_context())
        session.close()
    assert reason in error.value.verify_message


def test_one_endpoint_offers_no_starttls(testbed):
    with smtplib.SMTP(testbed.host, testbed.ports.mx_no_tls) as session:
        session.ehlo()
        assert not session.has_extn("starttls")


def test_the_mx_does_not_slow_down_a_client_that_errs(testbed):
    """Postfix would sleep from the tenth error on, and hang up at the twentieth."""
    with smtplib.SMTP(testbed.host, testbed.ports.mx) as session:
        replies = {session.docmd("NONSENSE")[0] for _ in range(50)}
        assert replies == {500}
        assert session.noop()[0] == 250
