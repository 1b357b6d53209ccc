"""Faults on the way to the mailbox: the server has said 250, and the mail does not arrive as it should."""

from __future__ import annotations

import email
import email.policy

import pytest

PATHS = ["relay", "direct", "submission"]
LANDS = {"relay": "outside", "direct": "inbox", "submission": "inbox"}
RETURNS = {"relay": "inbox", "direct": "inbox", "submission": "noreply"}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("fault", ["lose", "delay", "delay=3600"])
def test_mail_that_is_lost_or_late_does_not_hold_up_the_next(lab, sender, reader, path, fault):
    lab.break_(path, fault)
    missing = sender(path).send()
    assert missing.accepted
    lab.heal()
    box = reader(LANDS[path])
    box.wait(sender(path).send().subject)
    assert box.uids(missing.subject) == []


@pytest.mark.parametrize("path", PATHS)
def test_delayed_mail_arrives_after_its_time(lab, sender, reader, path):
    lab.break_(path, "delay=0.2")
    outcome = sender(path).send()
    assert outcome.accepted
    assert reader(LANDS[path]).wait(outcome.subject)


@pytest.mark.parametrize("path", PATHS)
def test_junk_lands_in_the_junk_folder_and_is_marked(lab, sender, reader, path):
    lab.break_(path, "junk")
    outcome = sender(path).send()
    box = reader(LANDS[path])
    (message,) = box.wait(outcome.subject, "Junk Email")
    assert box.uids(outcome.subject) == []
    assert (b"X-Spam-Status: Yes" if path == "relay" else b"SFV:SPM") in message
    if path != "relay":
        assert b"dest:J" in message
        assert b"X-MS-Exchange-Organization-SCL: 5\r\n" in message


@pytest.mark.parametrize("path", PATHS)
def test_a_duplicate_arrives_twice(lab, sender, reader, path):
    lab.break_(path, "duplicate")
    outcome = sender(path).send()
    assert len(reader(LANDS[path]).wait(outcome.subject, count=2)) == 2


@pytest.mark.parametrize("path", PATHS)
def test_a_bounce_comes_to_the_senders_mailbox_as_a_report(lab, sender, reader, path):
    lab.break_(path, "bounce")
    outcome = sender(path).send()
    assert outcome.accepted
    (raw,) = reader(RETURNS[path]).wait(f"Undeliverable: {outcome.subject}")
    report = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    assert report["In-Reply-To"] == f"<{outcome.subject}@client.example>"
    assert report["X-MS-Exchange-Message-Is-Ndr"] == ""
    assert report["Auto-Submitted"] == "auto-replied"
    assert report["Return-Path"] == "<>"
    _, status, headers = report.iter_parts()
    per_message, per_recipient = status.get_payload()
    assert per_message["Reporting-MTA"].startswith("dns;")
    assert per_recipient["Action"] == "failed"
    assert per_recipient["Status"] == "5.1.10"
    assert per_recipient["Diagnostic-Code"].startswith("smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound;")
    assert headers.get_content_type() == "text/rfc822-headers"
    assert f"Message-ID: <{outcome.subject}@client.example>" in headers.as_string()
    assert reader(LANDS[path]).uids(f'"{outcome.subject}"') == [] or LANDS[path] == RETURNS[path]


@pytest.mark.parametrize("path", PATHS)
def test_a_forged_canary_replaces_the_real_one(lab, sender, reader, path):
    lab.break_(path, "forged_canary")
    client = sender(path)
    outcome = client.send()
    marker = b"X-Relaycanary: "
    sent = _field(client.message(outcome.subject, client.sender, b""), marker)
    box = reader(LANDS[path])
    # The subject carries what could be a token, so it is changed too: look for its unchanged beginning.
    (message,) = box.wait(outcome.subject[:-12])
    forged = _field(message, marker)
    assert forged != sent
    assert forged[:-12] == sent[:-12]
    assert len(forged) == len(sent)
    assert box.uids(outcome.subject) == []


def _field(message: bytes, name: bytes) -> bytes:
    return message.partition(name)[2].partition(b"\r\n")[0]


def test_a_delivery_fault_of_one_path_leaves_the_others_alone(lab, sender, reader):
    lab.break_("relay", "lose")
    lab.break_("direct", "junk")
    lab.break_("submission", "duplicate")
    direct, submission = sender("direct").send(), sender("submission").send()
    assert len(reader("inbox").wait(submission.subject, count=2)) == 2
    assert len(reader("inbox").wait(direct.subject, "Junk Email")) == 1
    lab.heal("relay")
    assert len(reader("outside").wait(sender("relay").send().subject)) == 1


def test_faults_of_one_path_add_up(lab, sender, reader):
    lab.break_("direct", "junk")
    lab.break_("direct", "duplicate")
    outcome = sender("direct").send()
    assert len(reader("inbox").wait(outcome.subject, "Junk Email", count=2)) == 2
