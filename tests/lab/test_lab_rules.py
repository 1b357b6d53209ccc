"""Who may send what where: attribution, direct send, submission, and what becomes of it."""

from __future__ import annotations

import contextlib
import uuid

import pytest
import trustme

from checks.lab.settings import has_connector_address


@pytest.mark.skipif(not has_connector_address(), reason="this machine has no 127.0.0.2; the certificate is tested")
def test_relay_by_source_address_reaches_the_outside(sender, reader):
    outcome = sender("relay", source="127.0.0.2", certificate=False).send()
    assert outcome.accepted
    assert reader("outside").wait(outcome.subject)


def test_relay_by_client_certificate_reaches_the_outside(sender, reader):
    outcome = sender("relay", source="127.0.0.1", certificate=True).send()
    assert outcome.accepted
    assert reader("outside").wait(outcome.subject)


def test_an_unknown_client_cannot_relay(sender):
    outcome = sender("relay", source="127.0.0.1", certificate=False).send()
    assert (outcome.stage, outcome.code) == ("rcpt", 550)
    assert outcome.text.startswith("5.7.64 TenantAttribution; Relay Access Denied [")


def test_a_known_address_with_a_foreign_sender_cannot_relay(sender):
    assert sender("relay", sender="someone@outside.example", certificate=False).send().text.startswith("5.7.64")


def test_the_null_sender_needs_the_certificate(sender):
    assert sender("relay", sender="", certificate=False).send().text.startswith("5.7.64")
    assert sender("relay", sender="", certificate=True).send(author="canary@contoso.example").accepted


def test_an_unknown_client_may_write_to_hosted_mailboxes(sender, reader):
    outcome = sender("direct").send()
    assert outcome.accepted
    assert reader("inbox").wait(outcome.subject)


@pytest.mark.parametrize("path", ["direct", "relay"])
def test_an_unknown_recipient_of_the_tenant_is_refused(sender, path):
    outcome = sender(path, recipient="nobody@contoso.example").send()
    assert (outcome.stage, outcome.code) == ("rcpt", 550)
    assert outcome.text.startswith("5.4.1 [nobody@contoso.example]: Recipient address rejected: Access denied [")


def test_direct_send_to_the_outside_is_refused(sender):
    assert sender("direct", recipient="canary@outside.example").send().text.startswith("5.7.64")


def test_submission_refuses_another_sender_in_the_envelope(sender):
    outcome = sender("submission", sender="canary@contoso.example").send()
    assert (outcome.stage, outcome.code) == ("mail", 550)
    assert "does not have permissions to send as this sender" in outcome.text
    assert outcome.text.startswith("5.7.60")


def test_submission_refuses_another_author_in_the_header(sender):
    outcome = sender("submission").send(author="canary@contoso.example")
    assert (outcome.stage, outcome.code) == ("message", 554)
    assert outcome.text.startswith("5.2.252 SendAsDenied; noreply@contoso.example not allowed")


def test_submission_leaves_a_copy_in_sent_items(sender, reader):
    outcome = sender("submission").send()
    assert reader("noreply").wait(outcome.subject, "Sent Items")


def test_the_fourth_connection_of_a_mailbox_may_not_send(sender):
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(sender("submission").secured())
        outcome = sender("submission").send()
    assert (outcome.stage, outcome.code) == ("message", 432)
    assert outcome.text.startswith("4.3.2 Concurrent connections limit exceeded.")
    assert sender("submission").send().accepted


def test_a_certificate_that_nobody_here_issued_ends_the_handshake(sender, tmp_path):
    stranger = trustme.CA().issue_cert("contoso.example")
    stranger.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "stranger.pem"))
    client = sender("relay")
    context = client.context()
    context.load_cert_chain(tmp_path / "stranger.pem")
    client.context = lambda: context
    outcome = client.send()
    assert not outcome.accepted
    assert outcome.fault is not None


@pytest.mark.parametrize(
    ("recipient", "status"),
    [("nobody@outside.example", "5.1.351"), ("someone@nowhere.example", "5.4.310")],
)
def test_what_cannot_be_delivered_outside_comes_back_as_a_report(sender, reader, recipient, status):
    outcome = sender("relay", recipient=recipient).send()
    assert outcome.accepted
    (report,) = reader("inbox").wait(f"Undeliverable: {outcome.subject}")
    assert f"Status: {status}\r\n".encode() in report
    assert f"Final-Recipient: rfc822;{recipient}\r\n".encode() in report


def test_one_message_to_two_recipients_arrives_at_both(sender, reader):
    subject = f"s{uuid.uuid4().hex}"
    one = sender("direct")
    with one.secured() as client:
        client.sendmail(
            one.sender,
            ["canary@contoso.example", "NOREPLY@contoso.example"],
            one.message(subject, one.sender, b"hello\r\n"),
        )
    assert reader("inbox").wait(subject)
    assert reader("noreply").wait(subject)
