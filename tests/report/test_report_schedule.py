"""The scheduled report in simulated time: once a week, made up for once, tried again until it is sent."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from support.simulation import EPOCH, SimulatedClock, SimulatedLoop, simulate

from agent.report.archive import Archive
from agent.report.weekly import Plan, Weekly

UTC_ZONE = ZoneInfo("UTC")
DAY = 86400.0
# the simulated clock begins on Tuesday, 14 November 2023, at 22:13 UTC
FIRST_MONDAY = datetime(2023, 11, 20, 7, 0, tzinfo=UTC).timestamp()


class Post:
    """What makes and sends reports, and fails as often as it is told to; the archive knows what was sent."""

    def __init__(self, archive: Archive, clock: SimulatedClock, *, failures: int = 0) -> None:
        self.archive, self.clock, self.failures = archive, clock, failures
        self.tried: list[tuple[str, float]] = []

    async def send(self, week: str) -> bool:
        self.tried.append((week, self.clock.now().timestamp()))
        if self.failures:
            self.failures -= 1
            return False
        self.archive.put(week, {"html": b"page"})
        self.archive.note_sent(week, ["a@b.example"], self.clock.now().timestamp())
        return True


@pytest.fixture
def run(tmp_path):
    """Run the schedule for some days; the first canary was started *since* days before the beginning."""

    def start(*, days, since=400.0, failures=0, plan="mon 07:00", canaries=True):
        loop = SimulatedLoop()
        clock = SimulatedClock(loop)
        archive = Archive(tmp_path / "reports")
        post = Post(archive, clock, failures=failures)

        async def first():
            return EPOCH - since * DAY if canaries else None

        weekly = Weekly(
            clock=clock,
            archive=archive,
            plan=lambda: Plan.of(plan, UTC_ZONE) if plan else None,
            first=first,
            send=post.send,
        )

        async def story():
            task = loop.create_task(weekly.run())
            await clock.sleep(days * DAY)
            task.cancel()

        simulate(story(), loop)
        return post, weekly.status

    return start


def test_each_report_is_sent_once_within_a_minute_of_when_it_is_due(run):
    post, status = run(days=20)
    assert [week for week, _ in post.tried] == ["2023-W45", "2023-W46", "2023-W47", "2023-W48"]
    assert 0 <= post.tried[1][1] - FIRST_MONDAY <= 60
    assert 0 <= post.tried[2][1] - FIRST_MONDAY - 7 * DAY <= 60
    assert (status.sent, status.failed) == (4, 0)


def test_a_report_that_was_missed_is_made_up_for_once_and_older_ones_are_not(run):
    post, _ = run(days=1)
    assert [week for week, _ in post.tried] == ["2023-W45"]
    again, status = run(days=1)
    assert again.tried == []
    assert status.sent_at == post.tried[0][1]


def test_a_report_that_fails_is_tried_again_at_growing_intervals_until_it_is_sent(run):
    post, status = run(days=1, failures=6)
    assert {week for week, _ in post.tried} == {"2023-W45"}
    moments = [at for _, at in post.tried]
    assert [later - earlier for earlier, later in itertools.pairwise(moments)] == [
        60,
        300,
        900,
        3600,
        3600,
        3600,
    ]
    assert (status.sent, status.failed) == (1, 6)


def test_a_week_before_the_first_canary_is_not_reported(run):
    post, _ = run(days=6, since=1.0)
    assert [week for week, _ in post.tried] == ["2023-W46"]


@pytest.mark.parametrize("without", [{"canaries": False}, {"plan": None}])
def test_without_canaries_or_without_a_schedule_nothing_is_sent(run, without):
    post, status = run(days=20, **without)
    assert post.tried == []
    assert status.sent_at is None
