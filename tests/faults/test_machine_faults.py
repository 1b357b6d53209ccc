"""What a machine can do to an agent: full disk, locked or read-only ledger, a set clock, suspension, no network."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import uuid
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from mailservers.testbed import Testbed
from support.process import AgentProcess, LedgerFile, Setup, arrived, conclude, hold_against, until

pytestmark = pytest.mark.servers

_FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


def an_address():
    return f"machine-{uuid.uuid4().hex[:12]}@corp.test"


@contextmanager
def mounted(*arguments):
    """Mount something; it is unmounted whatever happens."""
    subprocess.run(["mount", *arguments], check=True, timeout=10)
    try:
        yield
    finally:
        subprocess.run(["umount", arguments[-1]], check=True, timeout=10)


@contextmanager
def a_small_disk(place, size):
    place.mkdir()
    with mounted("-t", "tmpfs", "-o", f"size={size}", "relaycanary-test", str(place)):
        yield


def pass_again(agent, *, within=30):
    passed = agent.total("relaycanary_canaries_total", "verdict=pass")
    until(
        "canaries pass again",
        lambda: agent.verdicts() == {"pass"} and agent.total("relaycanary_canaries_total", "verdict=pass") > passed + 3,
        within=within,
    )


def test_a_full_disk_stops_the_sending_and_turns_no_check_green_and_nothing_is_lost_when_it_has_room(testbed, tmp_path):
    """What cannot be written down is not sent; what was sent is kept in mind until it can be."""
    address = an_address()
    disk = tmp_path / "disk"
    with a_small_disk(disk, "900k"):
        settings = Setup(address=address, checks=10).write(testbed, disk)
        ledger = LedgerFile(settings)
        settings = Path(shutil.move(settings, tmp_path))  # the log, too, lies beside the settings
        with AgentProcess(settings) as agent:
            until("the disk is full", lambda: agent.events("canary.not_sent"), within=60)
            until("nothing is said to pass", lambda: "pass" not in agent.verdicts(), within=30)
            assert agent.total("relaycanary_ledger_write_errors_total") > 0
            assert agent.total("relaycanary_canaries_total", "verdict=fail") == 0
            subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True, timeout=10)
            pass_again(agent)
            assert agent.stop() == 0
        conclude(settings, ledger)
        assert hold_against(ledger, arrived(testbed, address)) == []
        assert ledger.outcomes().keys() <= {"delivered", "late"}


def test_a_ledger_that_another_process_locks_stops_the_sending_until_it_lets_go(testbed, tmp_path):
    address = an_address()
    settings = Setup(address=address, checks=3).write(testbed, tmp_path)
    ledger = LedgerFile(settings)
    with AgentProcess(settings) as agent:
        until("all is well", lambda: agent.verdicts() == {"pass"})
        with closing(ledger.other_process()) as other:
            other.execute("BEGIN EXCLUSIVE")
            before = other.execute("SELECT count(*) FROM canaries").fetchone()[0]
            until("the agent gives up on a canary", lambda: agent.events("canary.not_sent"))
            assert "locked" in agent.events("canary.not_sent")[0]["why"]
            assert other.execute("SELECT count(*) FROM canaries").fetchone()[0] == before
            assert agent.verdicts() & {"pass"} == set(), "nothing has been heard for longer than a verdict is good"
            other.execute("ROLLBACK")
        pass_again(agent)
        assert agent.total("relaycanary_canaries_total", "verdict=fail") == 0
        assert agent.stop() == 0
    conclude(settings, ledger)
    assert hold_against(ledger, arrived(testbed, address)) == []


def test_a_read_only_ledger_is_refused_in_one_line_and_nothing_is_sent(testbed, tmp_path):
    address = an_address()
    folder = tmp_path / "state"
    folder.mkdir()
    settings = Setup(address=address).write(testbed, folder)
    with AgentProcess(settings) as agent:
        until("it runs", lambda: agent.verdicts() == {"pass"})
        assert agent.stop() == 0
    settings = settings.rename(tmp_path / "relaycanary.yaml")
    ledger = LedgerFile(folder / "relaycanary.yaml")
    before = ledger.count()
    agent = AgentProcess(settings)
    with mounted("--bind", str(folder), str(folder)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True, timeout=10)
        agent.spawn()
        assert agent.exit_code() == 1
    (line,) = [line for line in agent.log.read_text().splitlines() if not line.startswith("{")]
    assert "ledger" in line
    assert "ead-only" in line
    assert ledger.count() == before == sum(arrived(testbed, address).values())


def test_a_second_agent_on_one_ledger_is_refused_and_the_first_is_unharmed(testbed, tmp_path):
    address = an_address()
    settings = Setup(address=address).write(testbed, tmp_path)
    ledger = LedgerFile(settings)
    with AgentProcess(settings) as first:
        until("the first runs", lambda: first.verdicts() == {"pass"})
        second = AgentProcess(settings)
        second.spawn()
        assert second.exit_code() == 1
        refusal = [line for line in second.log.read_text().splitlines() if not line.startswith("{")]
        assert refusal == [
            f"relaycanary: the ledger {ledger.path} is in use by another agent (process {first.pid}); stop it first"
        ]
        pass_again(first)
        assert first.stop() == 0
    conclude(settings, ledger)
    assert hold_against(ledger, arrived(testbed, address)) == []
    assert ledger.outcomes().keys() == {"delivered"}


def test_a_suspension_longer_than_lost_after_loses_nothing(testbed, tmp_path):
    """What arrived while it slept was in time for all that anybody knows; slots slept through are counted."""
    address = f"delay-3000-{uuid.uuid4().hex[:12]}@corp.test"
    limits = {"every": "1s", "late_after": "4s", "lost_after": "5s"}
    settings = Setup(address=address, checks=2, limits=limits).write(testbed, tmp_path)
    ledger = LedgerFile(settings)
    with AgentProcess(settings) as agent:
        until("all is well", lambda: agent.verdicts() == {"pass"})
        agent.suspend()
        on_the_way = ledger.count("outcome IS NULL")
        time.sleep(12)
        agent.resume()
        pass_again(agent)
        assert on_the_way > 0
        assert agent.total("relaycanary_check_slots_skipped_total") >= 2 * 9
        assert agent.total("relaycanary_canaries_total", "verdict=fail") == 0
        assert agent.stop() == 0
    conclude(settings, ledger)
    assert hold_against(ledger, arrived(testbed, address)) == []


def test_an_agent_that_starts_without_network_says_unknown_and_passes_as_soon_as_there_is_one(tmp_path):
    """Nobody can be reached: that is no proof that the other side is down, and never a page about it."""
    address = an_address()
    with tempfile.TemporaryDirectory(prefix="testbed-") as name:
        Path(name).chmod(0o755)
        with Testbed(Path(name)) as servers:
            settings = Setup(address=address).write(servers, tmp_path)
            ledger = LedgerFile(settings)
            servers.postfix.stop()
            servers.dovecot.stop()
            with AgentProcess(settings) as agent:
                until("a canary could not be tried", lambda: ledger.count("outcome = 'local_fault'") >= 2)
                assert agent.verdicts() == {"unknown"}
                assert agent.total("relaycanary_mailbox_up") == 0
                servers.postfix.start()
                servers.dovecot.start()
                pass_again(agent, within=60)
                assert agent.total("relaycanary_canaries_total", "verdict=fail") == 0
                assert agent.stop() == 0
            conclude(settings, ledger)
            assert hold_against(ledger, arrived(servers, address)) == []
            assert ledger.outcomes().keys() == {"delivered", "local_fault"}


@pytest.mark.parametrize("step", [3600, -3600])
def test_a_clock_that_is_set_by_an_hour_changes_no_verdict_and_no_latency(testbed, tmp_path, step):
    """The wall clock of the process is libfaketime's; its steady clocks are the system's.

    The metrics are left alone: under libfaketime 0.9.10 a thread that sleeps, as the one that writes them does, gets
    EINVAL from clock_nanosleep(2).
    """
    assert _FAKETIME, "libfaketime is not installed: deploy/testbed/install"
    stamp = tmp_path / "faketime"
    stamp.write_text("+0")
    environment = {
        "LD_PRELOAD": str(_FAKETIME[0]),
        "FAKETIME_TIMESTAMP_FILE": str(stamp),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
    }
    address = an_address()
    setup = Setup(address=address, checks=2, limits={"every": "1s", "late_after": "5s", "lost_after": "10s"})
    settings = setup.write(testbed, tmp_path)
    ledger = LedgerFile(settings)

    def four_more(since):
        until("canaries are delivered", lambda: ledger.count(f"outcome = 'delivered' AND seq > {since}") >= 4)

    with AgentProcess(settings, environment=environment) as agent:
        four_more(since=0)
        for times, now in enumerate((step, 0), start=1):
            before = ledger.count()
            _set(stamp, f"{now:+}")
            until("the agent has noticed", lambda times=times: len(agent.events("clock.jumped")) == times)
            four_more(since=max(before, ledger.count()))
        assert agent.stop() == 0
    conclude(settings, ledger)
    rows = ledger.canaries()
    assert hold_against(ledger, arrived(testbed, address)) == []
    assert {row["outcome"] for row in rows} == {"delivered"}
    assert [row["started_at"] for row in rows] == sorted(row["started_at"] for row in rows), "one steady timeline"
    assert max(row["end_to_end"] for row in rows) < 10, "no hour in any latency"
    set_back = {round((row["started_wall"] - row["started_at"]) / 600) * 600 for row in rows}
    assert set_back == {0, step}, "and the calendar is the one that was set"


def _set(stamp, step):
    """Replace the file in one step: the library reads it at any time."""
    new = stamp.with_suffix(".new")
    new.write_text(step)
    new.replace(stamp)
