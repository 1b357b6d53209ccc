"""The ledger by itself: durable, exact, exclusive, and clear about what is wrong."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, insert, update
from support.make import T0, a_canary, a_check, a_sighting, accepted, refused

from agent.ledger import Judgement, Ledger, LedgerError, LedgerInUse, LedgerTooNew, LookRecord, Retention, connect
from agent.ledger.records import dump_check
from agent.ledger.schema import canaries, meta, metadata, totals
from checks.core import verdict
from checks.core.model import Stage


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'ledger.db'}"


async def prepared(ledger: Ledger, *, at: float = T0, thresholds=(60.0, 600.0)) -> Ledger:
    await ledger.begin_run(site="test", version="0", began_at=at, began_wall=at)
    await ledger.configure(watched={"inbox": ["INBOX"]}, thresholds=thresholds, at=at)
    return ledger


async def one_delivered(ledger: Ledger, *, at: float = T0) -> None:
    canary = a_canary(at=at)
    await ledger.start(canary)
    await ledger.attempted(canary, accepted(at), online=True, at=at + 1)
    await ledger.looked(a_look(at + 2, sightings=[a_sighting(canary, at + 2)]))
    await judge_all(ledger, at + 3)


async def judge_all(ledger: Ledger, at: float) -> list[str]:
    due = await ledger.due(at)
    judged = [Judgement(due=one, result=verdict.judge(one.facts, at)) for one in due]
    return [conclusion.outcome for conclusion in await ledger.judged(judged, at=at)]


def a_look(began_at: float, *, answered_at: float | None = None, **more) -> LookRecord:
    known = {"mailbox": "inbox", "folder": "INBOX", "cursor": "1:1", "complete": True}
    return LookRecord(**{**known, **more}, began_at=began_at, answered_at=answered_at or began_at, blind_after=120.0)


def test_a_migrated_ledger_has_exactly_the_tables_of_the_schema(tmp_path):
    with Ledger(url(tmp_path)):
        pass
    engine = create_engine(url(tmp_path))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_what_was_started_is_there_after_the_process_is_gone(tmp_path):
    async def story():
        with Ledger(url(tmp_path)) as ledger:
            await prepared(ledger)
            await ledger.start(a_canary())
            with sqlite3.connect(f"file:{tmp_path / 'ledger.db'}?mode=ro", uri=True) as other:
                assert other.execute("select count(*) from canaries").fetchone() == (1,)

    asyncio.run(story())


def test_a_second_agent_on_the_same_ledger_is_refused(tmp_path):
    with Ledger(url(tmp_path)), pytest.raises(LedgerInUse, match="in use by another agent"), Ledger(url(tmp_path)):
        pass
    with Ledger(url(tmp_path)):
        pass


def test_a_second_agent_on_the_same_ledger_by_another_name_is_refused(tmp_path):
    with Ledger(url(tmp_path)):
        (tmp_path / "link.db").symlink_to(tmp_path / "ledger.db")
        with pytest.raises(LedgerInUse, match="in use by another agent"), Ledger(f"sqlite:///{tmp_path / 'link.db'}"):
            pass


def test_a_ledger_of_a_later_version_is_refused_with_its_name(tmp_path):
    with Ledger(url(tmp_path)):
        pass
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        other.execute("update alembic_version set version_num = '9999'")
    with pytest.raises(LedgerTooNew, match="version 9999, which this agent does not know"), Ledger(url(tmp_path)):
        pass


def test_a_file_that_is_no_ledger_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "ledger.db").write_bytes(b"this is no database, but something precious" * 100)
    with pytest.raises(LedgerError, match="not a database"), Ledger(url(tmp_path)):
        pass
    assert (tmp_path / "ledger.db").read_bytes().startswith(b"this is no database")


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(LedgerError, match="cannot make the folder of the ledger"),
        Ledger(f"sqlite:///{tmp_path}/file/sub/ledger.db"),
    ):
        pass


def test_the_ledger_is_for_its_owner_only(tmp_path):
    with Ledger(f"sqlite:///{tmp_path}/sub/ledger.db"):
        assert stat.S_IMODE((tmp_path / "sub").stat().st_mode) == 0o700
        files = sorted((tmp_path / "sub").iterdir())
        assert len(files) >= 3
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_canary_is_concluded_once_however_often_it_is_judged(tmp_path):
    async def story():
        with Ledger(url(tmp_path)) as ledger:
            await prepared(ledger)
            canary = a_canary()
            await ledger.start(canary)
            await ledger.attempted(canary, refused(Stage.RCPT, 550, "5.7.64"), online=True, at=T0)
            due = await ledger.due(T0)
            twice = [Judgement(due=one, result=verdict.judge(one.facts, T0)) for one in due * 2]
            assert len(await ledger.judged(twice, at=T0)) == 1
            assert len(await ledger.judged(twice, at=T0)) == 0
            assert await ledger.verify() == []

    asyncio.run(story())


def test_facts_survive_the_way_to_the_disk_and_back(tmp_path):
    async def story():
        with Ledger(url(tmp_path)) as ledger:
            await prepared(ledger)
            canary = a_canary(a_check(severity="critical"))
            await ledger.start(canary)
            await ledger.attempted(canary, accepted(tls="TLSv1.3"), online=True, at=T0 + 1)
            seen = a_sighting(canary, T0 + 2, after_at=T0 + 1.5)
            await ledger.looked(a_look(T0 + 2, sightings=[seen]))
            (due,) = await ledger.due(T0 + 2)
            assert due.facts.canary == canary
            assert due.facts.attempt.transcript.tls.version == "TLSv1.3"
            assert due.facts.sightings == [seen]
            assert due.facts.watching.looked_at == {"INBOX": T0 + 2}

    asyncio.run(story())


def test_a_fact_that_comes_while_a_canary_is_judged_is_not_overlooked(tmp_path):
    async def story():
        with Ledger(url(tmp_path)) as ledger:
            await prepared(ledger)
            canary = a_canary()
            await ledger.start(canary)
            await ledger.attempted(canary, accepted(), online=True, at=T0)
            (due,) = await ledger.due(T0)
            await ledger.looked(a_look(T0, sightings=[a_sighting(canary, T0)]))
            await ledger.judged([Judgement(due=due, result=verdict.judge(due.facts, T0))], at=T0)
            assert await judge_all(ledger, T0) == ["delivered"]

    asyncio.run(story())


def test_what_fails_takes_nothing_else_of_the_same_commit_with_it(tmp_path):
    async def story():
        with Ledger(url(tmp_path)) as ledger:
            await prepared(ledger)
            canary = a_canary()
            results = await asyncio.gather(
                ledger.start(canary), ledger.start(canary), ledger.start(a_canary()), return_exceptions=True
            )
            assert [type(one) for one in results] == [type(None), LedgerError, type(None)]
            picture = await ledger.snapshot()
            assert [(one.metric, one.value) for one in picture.totals] == [("canaries_started", 2.0)]
            assert await ledger.verify() == []

    asyncio.run(story())


def test_a_change_of_thresholds_restarts_all_histograms_together_and_no_counter(tmp_path):
    async def story():
        with Ledger(url(tmp_path)) as ledger:
            await prepared(ledger)
            await one_delivered(ledger)
            assert (await ledger.snapshot()).histograms
            await prepared(ledger)
            assert (await ledger.snapshot()).histograms
            await prepared(ledger, thresholds=(45.0, 600.0))
            picture = await ledger.snapshot()
            assert not picture.histograms
            assert 45.0 in picture.bounds
            assert sum(one.value for one in picture.totals if one.metric == "canaries") == 1
            await one_delivered(ledger, at=T0 + 100)
            assert {len(one.counts) for one in (await ledger.snapshot()).histograms} == {len(picture.bounds) + 1}

    asyncio.run(story())


def test_codes_that_a_server_invents_are_bounded(tmp_path):
    async def story():
        with Ledger(url(tmp_path)) as ledger:
            await prepared(ledger)
            for number in range(80):
                canary = a_canary()
                await ledger.start(canary)
                attempt = refused(Stage.RCPT, 500 + number, "5.7.1")
                await ledger.attempted(canary, attempt, online=True, at=T0)
            replies = [one for one in (await ledger.snapshot()).totals if one.metric == "smtp_replies"]
            assert len(replies) == 51
            assert sum(one.value for one in replies) == 80

    asyncio.run(story())


def test_verify_names_what_does_not_add_up(tmp_path):
    async def story():
        with Ledger(url(tmp_path)) as ledger:
            await prepared(ledger)
            await one_delivered(ledger)
            assert await ledger.verify() == []
            engine = create_engine(url(tmp_path))
            with engine.begin() as connection:
                connection.execute(update(totals).where(totals.c.metric == "canaries_started").values(value=7))
            (problem,) = await ledger.verify()
            assert problem == "check relay: 7 started, but 1 concluded and 0 in flight"
            with engine.begin() as connection:
                connection.execute(update(canaries).values(outcome="lost"))
            assert "check relay: 1 canaries lost on record, but 0 counted" in await ledger.verify()
            engine.dispose()

    asyncio.run(story())


def test_pruning_takes_evidence_of_successes_first_rows_last_and_never_a_count(tmp_path):
    async def story():
        keep = Retention(passed_evidence=10, other_evidence=100, rows=1000)
        with Ledger(url(tmp_path)) as ledger:
            await prepared(ledger)
            await one_delivered(ledger)
            assert await ledger.prune(now=T0 + 5, keep=keep) == 0
            assert await ledger.prune(now=T0 + 50, keep=keep) == 1
            assert await ledger.prune(now=T0 + 50, keep=keep) == 0
            assert await ledger.prune(now=T0 + 2000, keep=keep) == 1
            assert await ledger.verify() == []
            picture = await ledger.snapshot()
            assert sum(one.value for one in picture.totals if one.metric == "canaries") == 1

    asyncio.run(story())


def test_a_folder_that_is_no_longer_watched_holds_nothing_up(tmp_path):
    async def story():
        with Ledger(url(tmp_path)) as ledger:
            await ledger.begin_run(site="test", version="0", began_at=T0, began_wall=T0)
            await ledger.configure(watched={"inbox": ["INBOX", "Old"]}, thresholds=(), at=T0)
            await ledger.looked(a_look(T0 + 1))
            assert (await ledger.snapshot()).looked_at == {"inbox": None}
            await ledger.configure(watched={"inbox": ["INBOX"]}, thresholds=(), at=T0)
            assert (await ledger.snapshot()).looked_at == {"inbox": T0 + 1}

    asyncio.run(story())


def test_a_disk_that_takes_nothing_is_said_and_nothing_is_sent(tmp_path):
    async def story():
        with Ledger(url(tmp_path)) as ledger:
            await prepared(ledger)
            with sqlite3.connect(tmp_path / "ledger.db", isolation_level=None) as other:
                other.execute("drop table evidence")
                other.execute("drop table canaries")
            with pytest.raises(LedgerError, match="no such table"):
                await ledger.start(a_canary())
            assert ledger.write_errors == 1

    asyncio.run(story())


def test_a_ledger_of_an_earlier_version_is_brought_up_to_date_with_its_canaries_on_their_way(tmp_path):
    at_first = create_engine(url(tmp_path))
    with at_first.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(connect.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql("insert into runs values (1, 'test', '0', ?, ?)", (T0, T0))
        _, check = dump_check(a_check())
        connection.exec_driver_sql("insert into specs values (1, 'digest', ?)", (check,))
        connection.exec_driver_sql(
            "insert into canaries (seq, id, spec, run, name, mailbox, slot, started_at, started_wall, state, late_at,"
            " deadline_at, due_at, facts, online, sightings)"
            " values (1, 'abcdefghijklmnop', 1, 1, 'relay', 'inbox', 0, ?, ?, 'started', ?, ?, ?, 0, 1, 0)",
            (T0, T0, T0 + 60, T0 + 600, T0),
        )
        connection.exec_driver_sql("insert into folders values ('inbox', 'INBOX', '1:7', ?, ?)", (T0, T0))
        connection.exec_driver_sql(
            "insert into totals values ('relay', 'canaries_started', '{\"method\":\"relay\"}', 1)"
        )
    at_first.dispose()

    async def story():
        with Ledger(url(tmp_path)) as ledger:
            await prepared(ledger, at=T0 + 10)
            assert await ledger.cursor("inbox", "INBOX") == ("1:7", T0)
            for seconds in range(100, 701, 100):
                await ledger.looked(a_look(T0 + seconds))
            assert await judge_all(ledger, T0 + 701) == ["indeterminate"]
            assert await ledger.verify() == []

    asyncio.run(story())


def test_where_the_database_gives_up_the_whole_transaction_nobody_is_told_that_anything_is_durable(tmp_path):
    """SQLite does so when it has no room: the canaries written down together are all not written down."""

    async def story():
        with Ledger(url(tmp_path)) as ledger:
            await prepared(ledger)
            before, after = a_canary(at=T0), a_canary(at=T0 + 1)
            requests = (ledger.start(before), ledger._writer.do(without_room), ledger.start(after))
            answers = await asyncio.gather(*requests, return_exceptions=True)
            known = await ledger.known([before.id, after.id])
            assert {type(answer) for answer in answers} == {LedgerError}
            assert "full" in str(answers[0])
            assert known == {}
            assert await ledger.verify() == []
            await ledger._writer.do(with_room)
            await ledger.start(a_canary(at=T0 + 2))
            assert await ledger.verify() == []

    asyncio.run(story())


def without_room(transaction) -> None:
    transaction.connection.exec_driver_sql("pragma max_page_count = 1")
    for number in range(200):
        row = {"name": f"filler {number}", "value": "x" * 4000}
        transaction.connection.execute(insert(meta).values(row))


def with_room(transaction) -> None:
    transaction.connection.exec_driver_sql("pragma max_page_count = 1000000")


def test_a_look_into_another_account_does_not_move_the_cursor_of_the_one_that_has_its_name_now(tmp_path):
    async def story(ledger):
        await prepared(ledger)
        for account, at in (("old", T0), ("new", T0 + 10)):
            await ledger.configure(watched={"inbox": ["INBOX"]}, thresholds=(60.0,), at=at, accounts={"inbox": account})
        canary = a_canary(at=T0 + 5)
        await ledger.start(canary)
        await ledger.looked(a_look(T0 + 11, account="old", cursor="1:5000", sightings=[a_sighting(canary, T0 + 11)]))
        assert await ledger.cursor("inbox", "INBOX") == (None, None)
        await ledger.looked(a_look(T0 + 12, account="new", cursor="1:7"))
        assert await ledger.cursor("inbox", "INBOX") == ("1:7", T0 + 12)

    with Ledger(url(tmp_path)) as ledger:
        asyncio.run(story(ledger))


def test_work_that_ends_with_stop_iteration_is_a_defect_that_its_caller_hears_of(tmp_path):
    async def story(ledger):
        async with asyncio.timeout(60):
            with pytest.raises(RuntimeError, match="StopIteration"):
                await ledger.write(lambda _: next(iter(())))

    with Ledger(url(tmp_path)) as ledger:
        asyncio.run(story(ledger))
