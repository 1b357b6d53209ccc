"""What makes a message a canary of ours, and what does not."""

from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.make import a_canary, a_check, canary_id

from checks.core import message, recognise, token
from checks.core.headers.fields import parse_headers
from checks.core.recognise import Genuine, Ignored, Sent

SECRET = b"0123456789abcdef0123456789abcdef"
SECRETS = {"k1": SECRET, "k2": b"another secret of 32 bytes......"}
RECIPIENT = "canary@outside.example"


def a_message(*, key: str = "k1", secret: bytes = SECRET) -> tuple[str, bytes]:
    canary = a_canary(a_check(recipient=RECIPIENT))
    signed = token.mint(canary.id, "relay", RECIPIENT, key=key, secret=secret)
    return canary.id, message.compose(canary, signed)


def proof(content: bytes, recipient: str = RECIPIENT, secrets=SECRETS, signature: str = ""):
    return recognise.prove(recognise.claims(parse_headers(content)), lambda _: Sent([recipient], signature), secrets)


def without(content: bytes, *names: str) -> bytes:
    lines = content.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.startswith(tuple(f"{name}:".encode() for name in names)))


def test_a_canary_is_recognised():
    canary, content = a_message()
    assert proof(content) == Genuine(canary, "relay")


@pytest.mark.parametrize(
    "stripped",
    [("X-Relaycanary",), ("X-Relaycanary", "Message-ID"), ("X-Relaycanary", "Subject"), ("Message-ID", "Subject")],
)
def test_one_of_the_three_places_is_enough(stripped):
    canary, content = a_message()
    assert proof(without(content, *stripped)) == Genuine(canary, "relay")


def test_a_tagged_subject_is_still_recognised():
    canary, content = a_message()
    tagged = without(content, "X-Relaycanary", "Message-ID").replace(b"Subject: ", b"Subject: [EXTERNAL] AW: ")
    assert proof(tagged) == Genuine(canary, "relay")


def test_a_folded_header_is_still_recognised():
    canary, content = a_message()
    folded = without(content, "Message-ID", "Subject").replace(b"X-Relaycanary: ", b"X-Relaycanary:\r\n ")
    assert proof(folded) == Genuine(canary, "relay")


def test_several_keys_are_accepted():
    canary, content = a_message(key="k2", secret=SECRETS["k2"])
    assert proof(content) == Genuine(canary, "relay")


def test_a_wrong_signature_is_forged():
    _, content = a_message(secret=b"guessed")
    assert proof(content) is Ignored.FORGED


def test_an_unknown_key_is_foreign_not_forged():
    _, content = a_message(key="other", secret=b"theirs")
    assert proof(content) is Ignored.FOREIGN


def test_a_token_is_good_for_its_own_recipient_only():
    _, content = a_message()
    assert proof(content, "boss@outside.example") is Ignored.FORGED


def test_the_case_of_the_recipient_does_not_matter():
    canary, content = a_message()
    assert proof(content, "Canary@Outside.EXAMPLE") == Genuine(canary, "relay")


@pytest.mark.parametrize("part", ["id", "check", "key"])
def test_no_part_of_a_token_can_be_exchanged(part):
    (good,) = token.find(token.mint(canary_id(1), "relay", RECIPIENT, key="k1", secret=SECRET))
    changed = {"id": good.id, "check": good.check, "key": good.key, part: {"id": canary_id(2)}.get(part, "k2")}
    assert token.verify(good, RECIPIENT, SECRETS)
    assert not token.verify(token.Token(**changed, signature=good.signature), RECIPIENT, SECRETS)


@pytest.mark.parametrize(
    "answering",
    [
        b"In-Reply-To: <x@y>\r\n",
        b"References: <x@y>\r\n",
        b"Auto-Submitted: auto-replied\r\n",
        b"X-Failed-Recipients: canary@outside.example\r\n",
        b"X-MS-Exchange-Message-Is-Ndr:\r\n",
        b"Content-Type: multipart/report; boundary=x\r\n",
    ],
)
def test_an_answer_that_quotes_a_canary_is_not_a_canary(answering):
    _, content = a_message()
    quoting = answering + without(content, "Content-Type", "Auto-Submitted")
    assert proof(quoting) is None


@pytest.mark.parametrize(
    "notice",
    [
        b"From: MAILER-DAEMON@mx.contoso.example\r\nSubject: Returned mail: %b\r\n",
        b"From: x@contoso.example\r\nReturn-Path: <>\r\nSubject: %b\r\n",
        b"From: x@contoso.example\r\nSubject: Undeliverable: %b\r\n",
    ],
)
def test_a_plain_notice_that_quotes_the_subject_is_not_a_canary(notice):
    _, content = a_message()
    (subject,) = [line for line in content.split(b"\r\n") if line.startswith(b"Subject: ")]
    assert proof(notice % subject.removeprefix(b"Subject: ")) is None


def test_a_sender_that_is_called_like_a_daemon_still_has_canaries():
    canary, content = a_message()
    assert proof(content.replace(b"From: <canary@", b"From: <postmaster@")) == Genuine(canary, "relay")


def test_ordinary_mail_is_none_of_our_business():
    assert proof(b"Subject: hello\r\nMessage-ID: <1@x>\r\n\r\n") is None


@given(st.binary(max_size=2000))
def test_recognition_is_total_over_arbitrary_bytes(content):
    assert proof(content) in (None, Ignored.FORGED, Ignored.FOREIGN)


@given(st.integers(0, 1500), st.binary(min_size=1, max_size=4))
def test_a_damaged_message_is_never_more_than_what_its_signature_proves(at, junk):
    canary, content = a_message()
    found = proof(content[:at] + junk + content[at:])
    assert found in (None, Ignored.FORGED, Ignored.FOREIGN, Genuine(canary, "relay"))


def test_an_id_needs_exactly_ten_random_bytes():
    assert len(token.canary_id(b"\xff" * 10)) == 16
    with pytest.raises(ValueError, match="10 random bytes"):
        token.canary_id(b"short")


class TestMessage:
    """The mail itself, read by the standard library's parser."""

    def parsed(self):
        canary, content = a_message()
        return canary, content, email.message_from_bytes(content, policy=email.policy.default)

    def test_it_is_a_complete_plain_message(self):
        _, content, parsed = self.parsed()
        assert not parsed.defects
        assert parsed["From"] == "canary@contoso.example"
        assert parsed["To"] == "canary@outside.example"
        assert parsed["Date"].datetime.tzinfo is not None
        assert parsed.get_content_type() == "text/plain"
        assert content.isascii()
        assert len(content) < 2048

    def test_every_line_ends_with_crlf_and_none_is_too_long(self):
        _, content, _ = self.parsed()
        assert content.replace(b"\r\n", b"").find(b"\n") == -1
        assert max(len(line) for line in content.split(b"\r\n")) <= 200

    def test_it_asks_nobody_to_answer(self):
        _, _, parsed = self.parsed()
        assert parsed["Auto-Submitted"] == "auto-generated"
        assert parsed["X-Auto-Response-Suppress"] == "All"

    def test_it_tells_a_person_what_it_is(self):
        _, _, parsed = self.parsed()
        body = parsed.get_content()
        assert "automatic test message" in body
        assert "please do not answer" in body

    def test_the_token_stands_in_three_places(self):
        canary, _, parsed = self.parsed()
        for name in ("X-Relaycanary", "Message-ID", "Subject"):
            assert f"rc1.{canary}.relay.k1." in parsed[name]


def test_a_canary_is_recognised_by_the_signature_that_it_was_sent_with_after_its_key_is_gone():
    canary, content = a_message()
    known = token.signature(token.mint(canary, "relay", RECIPIENT, key="k1", secret=SECRET))
    new = {"k1": b"a new secret of at least 32 bytes"}
    assert proof(content, secrets=new, signature=known) == Genuine(canary, "relay")
    assert proof(content, secrets={}, signature=known) == Genuine(canary, "relay")


def test_a_signature_that_is_not_the_one_on_record_proves_nothing_even_with_a_known_key():
    _, content = a_message()
    assert proof(content, signature="A" * 43) is Ignored.FORGED
