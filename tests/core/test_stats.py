"""Figures that were published with the methods, and rules that hold for all counts."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.core.stats import Interval, newcombe, quantile, wilson

# Newcombe (1998), Statistics in Medicine 17, 873-890, table II, method 10: 95 % intervals of the difference.
_PUBLISHED = [
    ((56, 70, 48, 80), (0.0524, 0.3339)),
    ((9, 10, 3, 10), (0.1705, 0.8090)),
    ((6, 7, 2, 7), (0.0582, 0.8062)),
    ((5, 56, 0, 29), (-0.0381, 0.1926)),
    ((0, 10, 0, 20), (-0.1611, 0.2775)),
    ((0, 10, 0, 10), (-0.2775, 0.2775)),
    ((10, 10, 0, 20), (0.6791, 1.0000)),
    ((10, 10, 0, 10), (0.6075, 1.0000)),
]


@pytest.mark.parametrize(("counts", "interval"), _PUBLISHED)
def test_the_change_of_a_share_is_bounded_as_published(counts, interval):
    found = newcombe(*counts)
    assert (found.low, found.high) == pytest.approx(interval, abs=5e-5)


# Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3.
@pytest.mark.parametrize(
    ("hits", "n", "interval"),
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0.0, 0.1611)), (1, 29, (0.0061, 0.1718))],
)
def test_a_share_is_bounded_as_published(hits, n, interval):
    found = wilson(hits, n)
    assert (found.low, found.high) == pytest.approx(interval, abs=5e-5)


@st.composite
def _counts(draw):
    n = draw(st.integers(1, 5000))
    return draw(st.integers(0, n)), n


@given(_counts(), _counts())
def test_the_observed_change_lies_inside_its_interval_and_the_interval_inside_minus_one_to_one(now, before):
    change = now[0] / now[1] - before[0] / before[1]
    found = newcombe(*now, *before)
    assert found.low - 1e-12 <= change <= found.high + 1e-12
    assert -1.0 <= found.low <= found.high <= 1.0


@given(_counts(), _counts())
def test_the_change_looked_at_from_the_other_side_has_the_mirrored_interval(now, before):
    there, back = newcombe(*now, *before), newcombe(*before, *now)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-12)


def test_nothing_is_known_of_a_share_of_nothing():
    assert wilson(0, 0) == Interval(0.0, 1.0)
    assert newcombe(0, 0, 5, 5) == newcombe(5, 5, 0, 0) == Interval(-1.0, 1.0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=200))
def test_quantiles_agree_with_the_standard_library(values):
    ordered = sorted(values)
    cuts = statistics.quantiles(ordered, n=100, method="inclusive")
    assert [quantile(ordered, share / 100) for share in (50, 95, 99)] == pytest.approx([cuts[49], cuts[94], cuts[98]])


def test_the_quantile_of_one_value_is_that_value_and_of_none_an_error():
    assert quantile([4.0], 0.99) == 4.0
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)
