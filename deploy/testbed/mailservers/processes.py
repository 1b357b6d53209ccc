"""Starting and stopping a server that makes itself a daemon.

Each of the testbed's servers (Postfix's master, Dovecot's master, the companion) leads a session of its own and its
workers stay in it, so the session finds them all, even after the leader has died. Linux only: it reads /proc (proc(5)).
"""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mailservers.errors import TestbedError

_PACKAGE_PARENT = Path(__file__).parents[1]  # where `python -m mailservers...` finds this package
_START_SECONDS = 20.0
_STOP_SECONDS = 5.0
_LOG_LINES = 12


@dataclass(frozen=True)
class Daemon:
    """One server: how it is started, and the files by which it is found again."""

    name: str
    command: Sequence[str]
    directory: Path
    pid_file: Path
    log: Path

    def is_running(self) -> bool:
        """Whether the server's first process is alive."""
        return self._leader() in self.processes()

    def processes(self) -> list[int]:
        """Every living process of this server, its first one included; [] when it is stopped."""
        leader = self._leader()
        if leader is None:
            return []
        members = list(_session(leader))
        if leader in members and not _works_in(leader, self.directory):
            return []
        return members

    def start(self) -> None:
        """Start the server and return once it listens.

        Raises:
            TestbedError: it did not start; with what it printed and the end of its log.
        """
        self.pid_file.unlink(missing_ok=True)
        # Into a file: Dovecot's daemon keeps the stream open, and a pipe would not end while it lives.
        with tempfile.TemporaryFile() as output:
            try:
                done = subprocess.run(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=_PACKAGE_PARENT,
                    timeout=_START_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise self._failure(f"did not start within {_START_SECONDS:.0f} s", output) from None
            # The command may return a moment before the daemon it leaves behind has its own session and pid file.
            if done.returncode != 0 or not _within(_START_SECONDS, self.is_running):
                raise self._failure(f"did not start (exit {done.returncode})", output)

    def stop(self) -> None:
        """Stop the server and return once none of its processes is left; nothing happens when there is none.

        Raises:
            TestbedError: a process outlived SIGKILL.
        """
        # All at once: told alone, Dovecot's master waits for its workers' idle timers.
        _signal(self.processes(), signal.SIGTERM)
        if not _within(_STOP_SECONDS, lambda: not self.processes()):
            _signal(self.processes(), signal.SIGKILL)
            if not _within(_STOP_SECONDS, lambda: not self.processes()):
                raise TestbedError(f"{self.name} has processes that cannot be killed: {self.processes()}")
        self.pid_file.unlink(missing_ok=True)

    def _leader(self) -> int | None:
        try:
            return int(self.pid_file.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None

    def _failure(self, what: str, output: IO[bytes]) -> TestbedError:
        output.seek(0)
        lines = output.read().decode(errors="replace").splitlines()
        if self.log.exists():
            lines += self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        said = "".join(f"\n  {line}" for line in lines[-_LOG_LINES:])
        return TestbedError(f"{self.name} {what}; it said:{said}")


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def _session(leader: int) -> Iterator[int]:
    """Living processes whose session id is `leader`; zombies are not alive."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        # The command name, in parentheses, may hold spaces: count fields behind it (proc(5): state ppid pgrp session).
        state, _, _, session = stat.rpartition(")")[2].split()[:4]
        if int(session) == leader and state not in "ZX":
            yield int(entry.name)


def _works_in(pid: int, directory: Path) -> bool:
    """Whether a process is ours, and not that of somebody who has an old process number of ours since a reboot."""
    try:
        return (Path("/proc") / str(pid) / "cwd").readlink().is_relative_to(directory)
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return False


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
