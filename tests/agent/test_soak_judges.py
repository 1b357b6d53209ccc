"""The soak can fail: an agent that is idle, or that leaves something behind with each canary, does not pass it."""

from __future__ import annotations

from soak import sample
from soak.sample import Sample

_DUE = 300


def an_hour(concluded: int = _DUE, leaked: float = 0.0, idle_from: int = 61) -> list[Sample]:
    """Make an hour of samples: so many canaries a minute until it idles, and so many kilobytes leaked with each."""
    return [
        Sample(
            at=minute,
            load=0.0,
            rss=120 + minute * concluded * leaked / 1024,
            fds=23,
            threads=8,
            ledger=18.4,
            concluded=concluded if minute < idle_from else 0,
            not_passed=0,
            cpu=20.0,
            p50=25.0,
            p95=65.0,
        )
        for minute in range(1, 61)
    ]


def test_an_hour_without_growth_in_which_all_canaries_are_concluded_passes():
    samples = an_hour()
    assert sample.grown(samples, warm_up=20) == []
    assert sample.scarce(samples, due=_DUE) == []


def test_an_agent_that_sends_nothing_does_not_pass():
    assert len(sample.scarce(an_hour(concluded=0), due=_DUE)) == 60


def test_a_schedule_that_stops_half_way_does_not_pass():
    said = sample.scarce(an_hour(idle_from=31), due=_DUE)
    assert said[0] == "only 0 of 300 canaries concluded at minute 31"
    assert len(said) == 30


def test_half_a_kilobyte_that_leaks_with_each_canary_is_noticed_within_the_hour():
    (said,) = sample.grown(an_hour(leaked=0.5), warm_up=20)
    assert said.startswith("rss grew from ")
