"""What a report says of mailboxes that were not read, the last time of which may not be over yet."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine, insert

from agent.ledger.history import History
from agent.ledger.looks import LookRecord, record
from agent.ledger.past import Span
from agent.ledger.schema import canaries, folders, metadata, runs
from agent.ledger.writer import Transaction
from agent.report.unobserved import unobserved

DAY = 86400.0
WEEK = Span(0.0, 7 * DAY)


@pytest.fixture
def ledger() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def watch(ledger: Connection, folder: str = "INBOX", *, since: float = 0.0, looked: float | None = None) -> None:
    known = {"mailbox": "inbox", "folder": folder, "account": "", "since_at": 0.0}
    ledger.execute(insert(folders).values(**known, watched_at=since, looked_at=looked))


def look(ledger: Connection, at: float) -> None:
    known = {"mailbox": "inbox", "folder": "INBOX", "cursor": "1:1", "complete": True, "blind_after": 65.0}
    record(Transaction(ledger), LookRecord(**known, began_at=at, answered_at=at))


def begin(ledger: Connection, at: float, wall: float) -> None:
    ledger.execute(insert(runs).values(site="here", version="0", began_at=at, began_wall=wall))


def send(ledger: Connection, at: float, wall: float) -> None:
    what = {"id": f"{at:.0f}", "spec": 1, "run": 1, "name": "relay", "mailbox": "inbox", "slot": 0, "state": "started"}
    when = {"started_at": at, "started_wall": wall, "late_at": at + 300, "deadline_at": at + 3600, "due_at": at}
    ledger.execute(insert(canaries).values(**what, **when))


def told(ledger: Connection, span: Span = WEEK) -> list[tuple[str, float, float]]:
    return [(one.what, one.began, one.ended) for one in unobserved(History(ledger), [], span)]


def test_a_mailbox_that_is_still_not_read_is_told_up_to_the_end_of_the_period_as_it_is_once_it_was_read(ledger):
    watch(ledger, looked=3 * DAY)
    before = told(ledger)
    assert before == [("mailbox inbox", 3 * DAY, 7 * DAY)]
    look(ledger, 7.5 * DAY)
    assert told(ledger) == before


def test_one_that_was_never_read_is_told_since_it_is_to_be_read(ledger):
    watch(ledger, since=5 * DAY)
    assert told(ledger) == [("mailbox inbox", 5 * DAY, 7 * DAY)]


def test_one_that_has_not_been_read_since_before_the_period_is_told_for_all_of_it(ledger):
    watch(ledger, looked=-3 * DAY)
    assert told(ledger) == [("mailbox inbox", 0.0, 7 * DAY)]


def test_a_time_between_looks_as_there_always_is_one_is_not_told(ledger):
    watch(ledger, looked=7 * DAY - 120)
    assert told(ledger) == []


def test_one_that_was_read_after_the_period_was_read_at_its_end(ledger):
    watch(ledger, looked=8 * DAY)
    assert told(ledger) == []


def test_times_that_are_over_and_one_that_lasts_are_told_in_their_order_and_by_the_wall_clock(ledger):
    watch(ledger)
    for at in (50.0, 100.0, 2 * DAY, 2 * DAY + 50):
        look(ledger, at)
    watch(ledger, "Junk Email", looked=4 * DAY)
    look(ledger, 6 * DAY)
    wall = 1000.0
    begin(ledger, 0.0, wall)
    expected = [(100.0, 2 * DAY), (2 * DAY + 50, 7 * DAY)]
    span = Span(WEEK.since + wall, WEEK.until + wall)
    assert told(ledger, span) == [("mailbox inbox", began + wall, ended + wall) for began, ended in expected]


def test_one_that_is_read_all_the_time_is_not_told_because_the_clock_was_put_right_after_the_start(ledger):
    begin(ledger, 0.0, -3600.0)
    for at in (300.0, DAY):
        send(ledger, at, at)
    watch(ledger, looked=DAY + 5)
    assert told(ledger, Span(-DAY, DAY + 10)) == []


def test_one_that_is_not_read_is_told_although_the_clock_was_put_back_after_the_start(ledger):
    begin(ledger, 0.0, 3600.0)
    for at in (300.0, DAY):
        send(ledger, at, at)
    watch(ledger, looked=DAY - 1800)
    assert told(ledger, Span(-DAY, DAY + 10)) == [("mailbox inbox", DAY - 1800, DAY + 10)]


def test_since_a_start_that_is_newer_than_any_canary_moments_are_by_its_clock(ledger):
    begin(ledger, 0.0, 0.0)
    send(ledger, 300.0, 300.0)
    begin(ledger, 1000.0, DAY)  # the steady timeline stood still while the machine was off
    watch(ledger, looked=1005.0)
    assert told(ledger, Span(0.0, DAY + 600)) == [("mailbox inbox", DAY + 5, DAY + 600)]


@pytest.mark.parametrize("until", ["the end of the week", "now"])
def test_the_figures_are_those_of_the_raw_rows(until, kit, tmp_path):
    url = kit.write_past(tmp_path, [], days=1)
    now = kit.week.until if until == "the end of the week" else kit.week.until.replace(day=kit.week.until.day - 2)
    last = kit.week.since.timestamp() + 4 * DAY
    with sqlite3.connect(url.removeprefix("sqlite:///")) as raw:
        raw.execute(
            "insert into folders (mailbox, folder, watched_at, looked_at) values ('inbox', 'INBOX', 0, ?)", (last,)
        )
        raw.execute(
            "insert into blind (mailbox, folder, began_at, ended_at) values ('inbox', 'INBOX', ?, ?)",
            (last - DAY, last - DAY / 2),
        )
        (looked,) = raw.execute("select looked_at from folders").fetchone()
        spans = raw.execute("select began_at, ended_at from blind").fetchall()
    raw.close()
    figures = kit.report(url, kit.week, now=now)
    assert [(one.began, one.ended) for one in figures.unobserved] == [*spans, (looked, now.timestamp())]
