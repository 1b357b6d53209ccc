"""What a machine can do to an agent: a clock that is set, suspension, no network."""

from __future__ import annotations

import tempfile
import time
import uuid
from pathlib import Path

import pytest
from mailservers.testbed import Testbed
from support.process import AgentProcess, LedgerFile, Setup, arrived, conclude, hold_against, pass_again, until

pytestmark = pytest.mark.servers

_FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


def an_address():
    return f"machine-{uuid.uuid4().hex[:12]}@corp.test"


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
