"""A terminal of our own, to see what a command shows on one."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import struct
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Shown:
    """What was written to the terminal, escape sequences and all, and the exit code."""

    screen: str
    code: int


def on_a_terminal(
    *arguments: str,
    pipe: Path | None = None,
    environment: Mapping[str, str] | None = None,
    columns: int = 80,
    stop_after: str | None = None,
) -> Shown:
    """Run ``relaycanary`` on a terminal; what it prints goes into the file *pipe* if there is one, errors never do.

    Once *stop_after* has been shown, Ctrl-C is pressed.
    """
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
    with contextlib.ExitStack() as stack:
        process = subprocess.Popen(
            [sys.executable, "-m", "agent", *arguments],
            stdin=theirs,
            stdout=theirs if pipe is None else stack.enter_context(pipe.open("wb")),
            stderr=theirs,
            env={**kept, "TERM": "xterm-256color", **(environment or {})},
            cwd=ROOT,
            start_new_session=True,
        )
        os.close(theirs)
        seen = bytearray()
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(ours, 65536):
                seen += part
                if stop_after is not None and stop_after.encode() in seen:
                    process.send_signal(signal.SIGINT)  # as the terminal does
                    stop_after = None
        os.close(ours)
        return Shown(seen.decode("utf-8", "replace"), process.wait())
