"""A ledger with a made-up past of five weeks, and the report of one of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from support.make import a_check

from agent.ledger import inspect, simulated
from agent.report import period
from agent.report.compute import Wishes, compute
from agent.report.figures import Figures
from agent.report.period import Period
from agent.simulated import story
from checks.core.model import Check

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
AMSTERDAM = ZoneInfo("Europe/Amsterdam")
WEEK = period.week("2026-W47", AMSTERDAM)
CHECKS = [
    a_check("relay"),
    a_check("relay-other", path="relay", mailbox="outside"),
    a_check("submission", method="submission"),
    a_check("direct", path="direct", method="direct_send"),
]


class Kit:
    """What the tests of this folder share."""

    now, week, zone, checks = NOW, WEEK, AMSTERDAM, CHECKS

    @staticmethod
    def write_past(folder: Path, checks: list[Check], *, days: float, every: float = 900.0) -> str:
        """Write a made-up past of *days* days until `now`; return the URL of its ledger."""
        url = f"sqlite:///{folder / 'ledger.db'}"
        simulated.fill(url, story.past(checks, site="ams1", until=NOW.timestamp(), days=days, every=every))
        return url

    @staticmethod
    def report(url: str, about: Period, *, now: datetime = NOW, **wishes) -> Figures:
        with inspect.history(url) as history:
            return compute(history, about, now, Wishes(**wishes))


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    return Kit


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> str:
    return Kit.write_past(tmp_path_factory.mktemp("past"), CHECKS, days=36)


@pytest.fixture(scope="session")
def figures(past: str) -> Figures:
    return Kit.report(past, WEEK)
