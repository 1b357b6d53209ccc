"""What a disk can do to a ledger: full, locked by another process, read-only from the start or suddenly."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from support.process import AgentProcess, LedgerFile, Setup, arrived, conclude, hold_against, pass_again, until

pytestmark = pytest.mark.servers


def an_address():
    return f"disk-{uuid.uuid4().hex[:12]}@corp.test"


def command(*words):
    return subprocess.run(words, check=True, timeout=30, capture_output=True, text=True).stdout


@contextmanager
def mounted(*arguments):
    """Mount something; it is unmounted whatever happens."""
    command("mount", *arguments)
    try:
        yield
    finally:
        command("umount", arguments[-1])


@contextmanager
def a_small_disk(place, size):
    place.mkdir()
    with mounted("-t", "tmpfs", "-o", f"size={size}", "relaycanary-test", str(place)):
        yield


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
            command("mount", "-o", "remount,size=16m", str(disk))
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
        command("mount", "-o", "remount,ro,bind", str(folder))
        agent.spawn()
        assert agent.exit_code() == 1
    (line,) = [line for line in agent.log.read_text().splitlines() if not line.startswith("{")]
    assert "ledger" in line
    assert "ead-only" in line
    assert ledger.count() == before == sum(arrived(testbed, address).values())


def test_a_disk_that_turns_read_only_stops_the_sending_and_turns_no_check_green_and_nothing_is_lost(testbed, tmp_path):
    """As the kernel does to a file system with an error (ext4(5), `errors=remount-ro`), until it is repaired."""
    address = an_address()
    image, disk = tmp_path / "disk.img", tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(16 * 1_048_576)
    command("mkfs.ext4", "-q", str(image))
    disk.mkdir()
    with mounted("-o", "loop,errors=remount-ro", str(image), str(disk)):
        settings = Setup(address=address, checks=3).write(testbed, disk)
        settings = Path(shutil.move(settings, tmp_path))  # the log, too, lies beside the settings
        with AgentProcess(settings) as agent:
            until("all is well", lambda: agent.verdicts() == {"pass"})
            # What is written when the error comes is lost though fsync(2) succeeds (ext4 tells so of an aborted journal
            # only), and no program can know. So nothing is: the agent stands still, and all it wrote is on the disk.
            agent.suspend()
            command("sync", "--file-system", str(disk))
            device = command("findmnt", "--noheadings", "--output", "SOURCE", str(disk)).strip()
            Path("/sys/fs/ext4", Path(device).name, "trigger_fs_error").write_text("1")
            agent.resume()
            until("the agent says so", lambda: agent.events("canary.not_sent"))
            until("nothing is said to pass", lambda: "pass" not in agent.verdicts())
            assert agent.total("relaycanary_ledger_write_errors_total") > 0
            assert agent.total("relaycanary_canaries_total", "verdict=fail") == 0
            sent = sum(arrived(testbed, address).values())
            until("more is not sent", lambda: len(agent.events("canary.not_sent")) > 6)
            assert sum(arrived(testbed, address).values()) == sent
    subprocess.run(["e2fsck", "-p", str(image)], check=False, timeout=30, capture_output=True)
    with mounted("-o", "loop", str(image), str(disk)):
        ledger = LedgerFile(disk / "relaycanary.yaml")
        with AgentProcess(settings) as agent:
            pass_again(agent)
            assert agent.total("relaycanary_canaries_total", "verdict=fail") == 0
            assert agent.stop() == 0
        conclude(settings, ledger)
        assert hold_against(ledger, arrived(testbed, address)) == []
        assert ledger.outcomes().keys() <= {"delivered", "late", "indeterminate"}


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
