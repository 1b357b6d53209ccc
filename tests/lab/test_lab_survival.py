"""Mail outlives the lab: accepted mail arrives, delivered mail keeps its UID, expunged mail stays away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from checks.lab import Control, Lab
from checks.lab.journal import Entry, Journal

PROGRAM = """
import asyncio, sys
from pathlib import Path
from checks.lab import FREE_PORTS, serve
asyncio.run(serve(Path(sys.argv[1]), ports=FREE_PORTS, transit=0.0, on_ready=lambda info: print("ready", flush=True)))
"""


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "lab"


class Process(Control):
    """A lab in a process of its own, which can be killed."""

    def __init__(self, directory):
        super().__init__(directory)
        self.directory = directory
        self._child = subprocess.Popen([sys.executable, "-c", PROGRAM, str(directory)], stdout=subprocess.PIPE)
        assert self._child.stdout.readline() == b"ready\n"
        ports = self.status()["ports"]
        self.port = ports.__getitem__
        self.info = type("Info", (), {"ca_file": directory / "ca.pem"})

    def kill(self):
        self._child.send_signal(signal.SIGKILL)
        self._child.wait()
        self._child.stdout.close()


def test_mail_on_the_way_arrives_after_a_restart(directory, sender, reader):
    with Lab(directory) as first:
        first.break_("direct", "delay=3600")
        first.break_("relay", "delay=0.5")
        waiting = sender("direct", first).send()
        coming = sender("relay", first).send()
        assert first.status()["on_the_way"] == 2
    with Lab(directory) as second:
        assert reader("outside", second).wait(coming.subject)
        assert second.status()["on_the_way"] == 1
        assert reader("inbox", second).uids(waiting.subject) == []


def test_uids_flags_and_uidvalidity_are_the_same_after_a_restart(directory, sender, reader):
    with Lab(directory) as first:
        box = reader("inbox", first)
        subjects = [sender("direct", first).send().subject for _ in range(3)]
        box.wait(subjects[-1])
        before = box.client.select_folder("INBOX")
        uids = [uid for subject in subjects for uid in box.uids(subject)]
        box.client.add_flags(uids[:1], [b"\\Flagged"])
        dates = [data[b"INTERNALDATE"] for data in box.client.fetch(uids, ["INTERNALDATE"]).values()]
    with Lab(directory) as second:
        box = reader("inbox", second)
        after = box.client.select_folder("INBOX")
        assert (after[b"UIDVALIDITY"], after[b"UIDNEXT"]) == (before[b"UIDVALIDITY"], before[b"UIDNEXT"])
        assert [uid for subject in subjects for uid in box.uids(subject)] == uids
        assert b"\\Flagged" in box.client.get_flags(uids[:1])[uids[0]]
        again = box.client.fetch(uids, ["INTERNALDATE"]).values()
        assert [data[b"INTERNALDATE"] for data in again] == dates


def test_expunged_mail_stays_expunged_and_its_uid_is_not_given_again(directory, sender, reader):
    with Lab(directory) as first:
        box = reader("inbox", first)
        gone = sender("direct", first).send().subject
        box.wait(gone)
        (uid,) = box.uids(gone)
        box.client.delete_messages([uid])
        box.client.expunge()
    with Lab(directory) as second:
        box = reader("inbox", second)
        assert box.uids(gone) == []
        fresh = sender("direct", second).send().subject
        box.wait(fresh)
        assert box.uids(fresh) == [uid + 1]


def test_secrets_and_authority_are_kept_and_settings_are_written_anew(directory):
    kept = ("ca.pem", "ca.key", "k1", "password-inbox", "client-secret", "entra.key")
    with Lab(directory):
        before = {name: (directory / name).read_bytes() for name in kept}
        (directory / "relaycanary.yaml").write_text("changed")
    with Lab(directory):
        assert {name: (directory / name).read_bytes() for name in kept} == before
        assert (directory / "relaycanary.yaml").read_text().startswith("# Written by the lab")


def test_nothing_that_was_answered_250_is_lost_when_the_lab_is_killed(directory, sender, reader):
    lab = Process(directory)
    lab.break_("direct", "delay=0.3")
    answered = [sender("direct", lab).send() for _ in range(5)]
    answered += [sender("submission", lab).send() for _ in range(5)]
    lab.kill()
    assert all(outcome.accepted for outcome in answered)
    with pytest.raises(Exception, match="not running"):
        lab.status()
    again = Process(directory)
    try:
        box = reader("inbox", again)
        for outcome in answered:
            assert len(box.wait(outcome.subject)) == 1
        uids = [uid for outcome in answered for uid in box.uids(outcome.subject)]
        assert len(set(uids)) == len(answered)
    finally:
        again.kill()


def test_delivered_mail_is_there_once_after_a_kill(directory, sender, reader):
    lab = Process(directory)
    subject = sender("direct", lab).send().subject
    reader("inbox", lab).wait(subject)
    lab.kill()
    with Lab(directory) as again:
        marker = sender("direct", again).send().subject
        box = reader("inbox", again)
        box.wait(marker)
        assert len(box.uids(subject)) == 1


async def _fill(path, count):
    journal = Journal(path)
    for number in range(count):
        await journal.commit({f"k{number}": Entry({"n": number}, b"body" * number)})
    await journal.commit(delete=["k1"])
    await journal.close()


@pytest.mark.anyio
async def test_a_torn_tail_is_cut_off_and_the_rest_is_read(tmp_path):
    path = tmp_path / "journal"
    await _fill(path, 4)
    whole = path.read_bytes()
    for cut in (1, 7, 13, 38):
        path.write_bytes(whole[:-cut])
        journal = Journal(path)
        assert [key for key, _ in journal.items()][:4] == ["k0", "k1", "k2", "k3"]
        await journal.commit({"after": Entry({})})
        await journal.close()
        journal = Journal(path)
        assert dict(journal.items())["after"] == Entry({})
        await journal.close()


@pytest.mark.anyio
async def test_a_journal_gives_back_what_was_put_and_forgets_what_was_deleted(tmp_path):
    path = tmp_path / "journal"
    await _fill(path, 3)
    journal = Journal(path)
    assert dict(journal.items()) == {"k0": Entry({"n": 0}), "k2": Entry({"n": 2}, b"bodybody")}
    await journal.close()


@pytest.mark.anyio
async def test_history_is_dropped_when_a_journal_is_opened(tmp_path):
    path = tmp_path / "journal"
    journal = Journal(path)
    for _ in range(50):
        await journal.commit({"same": Entry({}, b"x" * 1000)})
    await journal.close()
    before = path.stat().st_size
    await Journal(path).close()
    assert path.stat().st_size < before / 40
    assert oct(path.stat().st_mode & 0o777) == oct(0o600)


@pytest.fixture
def anyio_backend():
    return "asyncio"


def test_a_full_disk_puts_a_message_off_with_a_4xx(directory, sender):
    """The lab runs with a limit on the size of its files, as a disk without space."""
    resource = pytest.importorskip("resource")
    limited = PROGRAM.replace(
        "asyncio.run", "__import__('signal').signal(25, __import__('signal').SIG_IGN);asyncio.run"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", limited, str(directory)],
        stdout=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),  # noqa: PLW1509  no threads here
    )
    try:
        assert child.stdout.readline() == b"ready\n"
        lab = Control(directory)
        lab.port = lab.status()["ports"].__getitem__
        lab.directory = directory
        lab.info = type("Info", (), {"ca_file": directory / "ca.pem"})
        outcome = sender("direct", lab).send(body=b"x" * 70 + b"\r\n" * 20_000)
        assert (outcome.stage, outcome.code) == ("message", 452)
        assert outcome.text.startswith("4.3.1 Insufficient system resources")
        assert sender("direct", lab).send().accepted
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_the_lab_runs_as_a_process_of_its_own(directory):
    lab = Process(directory)
    assert lab.status()["pid"] not in {os.getpid(), 0}
    lab.kill()
