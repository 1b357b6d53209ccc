"""Starting and stopping: one command each, nothing left behind, nothing outside the directory."""

import os
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from mailservers import Testbed, TestbedError
from mailservers.readiness import require_servers

pytestmark = pytest.mark.servers

INSTALL = Path(__file__).parents[2] / "deploy" / "testbed" / "install"
COMMAND = [sys.executable, str(INSTALL.with_name("testbed"))]


@pytest.fixture
def directory():
    with tempfile.TemporaryDirectory(prefix="testbed-") as path:
        Path(path).chmod(0o755)
        yield Path(path)
        Testbed(Path(path)).stop()


def command(*words):
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False, timeout=60)


def processes_in(directory):
    """Every living process that works in a directory; found without the testbed's own files."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(directory):
                found.append(int(entry.name))
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
    return found


def test_the_command_starts_and_stops_it(directory):
    """`start` prints a line for each endpoint and returns when all answer; `stop` leaves no process."""
    started = command("start", "--directory", str(directory))
    assert started.returncode == 0, started.stderr
    testbed = Testbed(directory)
    for name, port in testbed.ports.by_name().items():
        assert f"{name:<15} 127.0.0.1:{port} " in started.stdout
    with smtplib.SMTP(testbed.host, testbed.ports.mx) as session:
        assert session.noop()[0] == 250
    assert command("status", "--directory", str(directory)).returncode == 0
    token = command("token", "--directory", str(directory), "canary@corp.test").stdout.strip()
    testbed.revoke_token(token)

    again = command("start", "--directory", str(directory))
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, "already running")
    assert again.stdout.splitlines()[1:] == started.stdout.splitlines()

    assert len(processes_in(directory)) > 3
    assert command("stop", "--directory", str(directory)).returncode == 0
    assert processes_in(directory) == []
    assert command("status", "--directory", str(directory)).returncode == 3
    assert command("stop", "--directory", str(directory)).returncode == 0


def test_it_starts_over_a_dead_instance_and_keeps_ports_and_mail(directory):
    first = Testbed(directory).start()
    ports = first.ports
    with smtplib.SMTP(first.host, first.ports.mx) as session:
        session.sendmail("printer@corp.test", "canary@corp.test", "Subject: kept\r\n\r\n")
    first.wait_for_arrivals("canary@corp.test")
    for daemon in (first.dovecot, first.companion):
        os.kill(int(daemon.pid_file.read_text()), signal.SIGKILL)
    assert command("status", "--directory", str(directory)).returncode == 1

    with Testbed(directory) as second:
        assert second.ports == ports
        # Twice, where Dovecot died between keeping the message and saying so.
        assert {arrival.headers["Subject"] for arrival in second.arrivals("canary@corp.test")} == {"kept"}
    assert processes_in(directory) == []


def test_two_run_at_once(testbed, directory):
    with Testbed(directory) as other:
        assert not set(other.ports.by_name().values()) & set(testbed.ports.by_name().values())
        with smtplib.SMTP(other.host, other.ports.mx) as session:
            session.sendmail("printer@corp.test", "canary@corp.test", "Subject: other\r\n\r\n")
        other.wait_for_arrivals("canary@corp.test")
        assert testbed.arrivals("canary@corp.test") == []
    assert testbed.is_running()


def test_one_server_can_be_stopped_alone_and_no_mail_is_lost(directory):
    with Testbed(directory) as testbed:
        testbed.dovecot.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((testbed.host, testbed.ports.imaps))
        with smtplib.SMTP(testbed.host, testbed.ports.mx) as session:
            session.sendmail("printer@corp.test", "canary@corp.test", "Subject: patience\r\n\r\n")
        testbed.dovecot.start()
        assert testbed.wait_for_arrivals("canary@corp.test", timeout=20)


def test_starting_a_running_testbed_again_is_refused(testbed):
    with pytest.raises(TestbedError, match="a testbed is running in"):
        Testbed(testbed.directory).start()
    assert testbed.is_running()


def test_a_port_in_use_is_named_and_nothing_is_left_running(testbed, directory):
    taken = testbed.ports.mx
    with pytest.raises(TestbedError, match=f"port {taken} is in use"):
        Testbed(directory, base_port=taken).start()
    assert processes_in(directory) == []


def test_a_server_that_does_not_start_says_why(directory):
    """Dovecot finds a file where it wants a folder; the error quotes its words, and Postfix is stopped again."""
    (directory / "dovecot/run").mkdir(parents=True)
    (directory / "dovecot/run/login").write_text("in the way")
    with pytest.raises(TestbedError, match=r"^Dovecot did not start") as error:
        Testbed(directory).start()
    assert f"{directory}/dovecot/run/login" in str(error.value)
    assert processes_in(directory) == []


def test_a_file_in_the_place_of_the_directory_is_refused(directory):
    (directory / "file").write_text("in the way")
    with pytest.raises(TestbedError, match="cannot make a folder of the testbed"):
        Testbed(directory / "file").start()


def test_a_directory_closed_to_the_servers_is_refused(directory):
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(TestbedError, match=f"^{closed} must be open to the servers"):
        Testbed(closed / "testbed").start()


@pytest.mark.parametrize(("name", "reason"), [("two words", "letters, digits"), ("x" * 80, "too long a name")])
def test_a_directory_that_the_servers_cannot_spell_is_refused(directory, name, reason):
    with pytest.raises(TestbedError, match=reason):
        Testbed(directory / name).start()
    assert not (directory / name).exists()


def test_a_symbolic_link_leads_to_the_same_testbed(testbed, directory):
    (directory / "link").symlink_to(testbed.directory)
    assert Testbed(directory / "link").is_running()


def test_where_a_server_is_missing_one_sentence_says_what_to_install():
    with pytest.raises(TestbedError) as error:
        require_servers([Path("/nowhere/postfix"), Path(sys.executable)])
    assert str(error.value) == (f"Postfix and Dovecot are needed: run {INSTALL} as root (missing: /nowhere/postfix)")


def test_installing_again_changes_nothing():
    done = subprocess.run([INSTALL], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("install: nothing to do")


def test_asking_for_the_ports_of_a_testbed_that_never_ran_is_an_error(directory):
    with pytest.raises(TestbedError, match="no testbed was started in"):
        _ = Testbed(directory).ports
