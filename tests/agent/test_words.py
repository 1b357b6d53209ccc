"""What the fixed words of verdicts become where people read them."""

from __future__ import annotations

import pytest

from agent.words import told
from checks.core.model import Cause


@pytest.mark.parametrize(
    ("reasons", "gap", "wanted"),
    [
        (("timeliness_unobserved",), 68.0, "on time or not cannot be told: nobody looked for 1 min 8 s"),
        (("timeliness_unobserved",), None, "on time or not cannot be told: nobody looked for a while"),
        (("tls", "the certificate has expired"), None, "the certificate has expired"),
        (("evidence_unobserved",), None, "what its header says could not be read"),
        (("connect", "connection refused"), None, "connection refused"),
        (("550 5.7.1 no",), None, "550 5.7.1 no"),
        ((), None, ""),
    ],
)
def test_people_read_no_fixed_words_of_programs(reasons, gap, wanted):
    assert "; ".join(told(reasons, gap)) == wanted


def test_every_cause_that_stands_alone_has_words_of_its_own():
    for cause in set(Cause) - {Cause.REPLY}:
        (words,) = told((cause.value,))
        assert " " in words
