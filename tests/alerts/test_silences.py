"""Silences: who wants quiet says who, why, about what and until when; the ledger keeps it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from support.make import T0

from agent.alerts.silencing import LONGEST, Names, SilenceRefused, new_silence
from agent.ledger import Ledger, Retention, Silence

pytestmark = pytest.mark.anyio
NAMES = Names(site="ams1", checks=("relay", "direct"), paths=("mx",))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def a_silence(**changes: Any) -> Silence:
    known: dict[str, Any] = {"author": "Ada", "reason": "new firewall", "ends": T0 + 3600, "now": T0, "check": "relay"}
    return new_silence(names=NAMES, **{**known, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"author": " "}, "author: is missing"),
        ({"reason": "\x1b\n"}, "reason: is missing"),
        ({"reason": "x" * 1001}, "reason: is longer than 1000"),
        ({"ends": T0}, "ends: it is over already"),
        ({"ends": math.nan}, "ends: it is over already"),
        ({"starts": math.nan}, "ends: it ends before"),
        ({"starts": T0 + 3600}, "ends: it ends before it starts"),
        ({"ends": T0 + LONGEST + 1}, "ends: the longest silence is 30 d"),
        ({"check": None}, "say what it is about: a check, a path, or site: ams1"),
        ({"check": "rely"}, "check: there is no check 'rely'; there is direct, relay"),
        ({"path": "relay"}, "path: there is no path 'relay'; there is mx"),
        ({"site": "ams2"}, "site: there is no site 'ams2'; there is ams1"),
    ],
)
def test_a_silence_that_makes_no_sense_is_refused_with_the_field_and_what_is_allowed(changes, said):
    with pytest.raises(SilenceRefused, match=said):
        a_silence(**changes)


def test_a_line_of_a_silence_cannot_break_into_two():
    assert a_silence(reason="patch\r\nInjected: yes").reason == "patch  Injected: yes"


def test_a_silence_fits_what_all_of_its_names_fit():
    both = a_silence(path="mx")
    assert both.fits(check="relay", path="mx", site="ams1")
    assert not both.fits(check="relay", path="other", site="ams1")
    assert a_silence(check=None, site="ams1").fits(check="any", path="any", site="ams1")


def test_a_silence_holds_from_its_start_until_just_before_its_end():
    one = a_silence(starts=T0 + 60)
    assert [one.holds(T0 + at) for at in (59, 60, 3599, 3600)] == [False, True, True, False]


async def test_silences_outlive_the_agent_and_can_be_ended_once_by_somebody_with_a_name(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    early, later = a_silence(), a_silence(starts=T0 + 100)
    with Ledger(url) as ledger:
        await ledger.silence(later)
        await ledger.silence(early)
    with Ledger(url) as ledger:
        assert await ledger.silences(ending_after=T0) == [early, later]
        ended = await ledger.end_silence(early.id, author="Grace", at=T0 + 10)
        assert ended is not None
        assert (ended.ended_by, ended.ends_wall, ended.holds(T0 + 10)) == ("Grace", T0 + 10, False)
        assert await ledger.end_silence(early.id, author="Eve", at=T0 + 11) is None
        assert await ledger.end_silence("nobody", author="Eve", at=T0) is None
        assert await ledger.silences(ending_after=T0 + 10) == [later]


async def test_a_silence_that_is_taken_back_before_it_begins_never_holds(tmp_path: Path) -> None:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        await ledger.silence(one := a_silence(starts=T0 + 1000))
        ended = await ledger.end_silence(one.id, author="Grace", at=T0 + 10)
        assert ended is not None
        assert not any(ended.holds(T0 + at) for at in (5, 10, 1000, 2000))


async def test_silences_are_kept_as_long_as_the_record(tmp_path: Path) -> None:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        await ledger.silence(a_silence())
        keep = Retention(rows=86400)
        await ledger.prune(now=T0 + 3600 + 86400, keep=keep)
        assert len(await ledger.silences(ending_after=0)) == 1
        assert await ledger.prune(now=T0 + 3601 + 86400, keep=keep) == 1
        assert await ledger.silences(ending_after=0) == []
