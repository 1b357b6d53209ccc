"""Real mails that the project did not write, changed, cut off and put together: reading them ends with an answer."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.core import findings
from checks.core.bounce import classify, may_be_bounce
from checks.core.model import Findings

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpora" / "bounces"
MAILS = sorted(CORPUS.glob("*/emails/*")) if CORPUS.is_dir() else []
LONGEST = 60_000

pytestmark = pytest.mark.skipif(not MAILS, reason="the corpora of real mails are not beside the checkout")


def read(mail):
    may_be_bounce(mail)
    found = classify(mail)
    for one in found.recipients:
        assert all(text is None or text.isprintable() for text in (one.address, one.action, one.diagnostic))
    assert isinstance(findings.find(mail), Findings)
    findings.find(found.returned_headers)


def test_every_real_mail_is_read_whole():
    for mail in MAILS:
        read(mail.read_bytes())


@given(st.sampled_from(MAILS or [CORPUS]), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_a_real_mail_cut_off_at_both_ends_is_read(mail, start, end):
    content = mail.read_bytes()[:LONGEST]
    read(content[int(start * len(content)) :][: int(end * len(content))])


@given(
    st.sampled_from(MAILS or [CORPUS]),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=8), st.integers(0, 8)), min_size=1, max_size=8),
)
@settings(max_examples=150, deadline=None)
def test_a_real_mail_with_bytes_changed_is_read(mail, changes):
    content = mail.read_bytes()[:LONGEST]
    for where, put_in, taken_out in changes:
        at = int(where * len(content))
        content = content[:at] + put_in + content[at + taken_out :]
    read(content)


@given(st.sampled_from(MAILS or [CORPUS]), st.sampled_from(MAILS or [CORPUS]), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_two_real_mails_put_together_are_read(one, other, end, start):
    first, second = one.read_bytes()[:LONGEST], other.read_bytes()[:LONGEST]
    read(first[: int(end * len(first))] + second[int(start * len(second)) :])
