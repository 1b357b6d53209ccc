"""The agent starts on Windows: no module that only POSIX has is imported before it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
POSIX_ONLY = ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty")
"""https://docs.python.org/3/library/unix.html, and what signal and os have on POSIX only."""
AS_ON_WINDOWS = f"""
import os, signal, socket, importlib, pkgutil, sys

# Python's own and libraries know where they run.
import asyncio, multiprocessing, shutil, subprocess, tempfile
import matplotlib.figure, msal, numpy, reportlab, sentry_sdk, uvicorn
for name in ("SIGHUP", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "SIGSTOP", "SIGCONT"):
    delattr(signal, name)
for name in ("geteuid", "getuid", "getgid", "fork", "chown", "fchown", "fchmod", "statvfs", "uname", "nice", "setsid"):
    delattr(os, name)
if hasattr(socket, "AF_UNIX"):
    del socket.AF_UNIX


class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in {POSIX_ONLY!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


for name in {POSIX_ONLY!r}:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Missing())

"""
IMPORT_ALL = """
import agent, checks
modules = []
for package in (agent, checks):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if ".migrations" in found.name or found.name == "checks.lab" or found.name.startswith("checks.lab."):
            continue  # Alembic loads the first by path; the lab is for Linux and macOS
        if found.name in {"agent.commands.lab", "agent.commands.history"}:
            continue
        importlib.import_module(found.name)
        modules.append(found.name)
print(len(modules))
"""

LOOP_OF_WINDOWS = """
import asyncio, importlib, sys, types
from asyncio import base_events

sys.platform = "win32"
for name in ("_overlapped", "_winapi", "msvcrt"):  # written in C, for Windows: nothing of them is called here
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__getattr__ = lambda wanted: 0
theirs = importlib.import_module("asyncio.windows_events")
asyncio.SelectorEventLoop, asyncio.ProactorEventLoop = theirs.SelectorEventLoop, theirs.ProactorEventLoop
loop = importlib.import_module("agent.loop").Loop
lacking = base_events.BaseEventLoop
print([one for one in ("_make_subprocess_transport", "getaddrinfo") if getattr(loop, one) is getattr(lacking, one)])
"""


def as_on_windows(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", AS_ON_WINDOWS + program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_every_module_but_the_lab_can_be_imported_on_windows() -> None:
    done = as_on_windows(IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 200


def test_settings_are_read_on_windows(tmp_path: Path) -> None:
    file = tmp_path / "relaycanary.yaml"
    (tmp_path / "k1").write_text("0123456789abcdef0123456789abcdef")
    (tmp_path / "k1").chmod(0o666)  # as every file looks there
    file.write_text(
        "agent: {signing_keys: [{id: k1, secret: {file: k1}}]}\n"
        "credentials: {outside: {kind: password, username: a@outside.example, password: {file: k1}}}\n"
        "paths: {relay: {kind: relay, host: contoso-com.mail.protection.outlook.com, sender: canary@contoso.com}}\n"
        "mailboxes: {outside: {kind: imap, host: imap.example, credential: outside, address: a@outside.example}}\n"
        "checks: {relay: {path: relay, mailbox: outside, every: 60s}}\n"
    )
    program = "from agent.__main__ import _main_code\nsys.exit(_main_code(sys.argv[1:]))"
    done = as_on_windows(program, "check-config", "--print", "-c", str(file))
    assert done.returncode == 0, done.stderr
    assert "site: default" in done.stdout
    assert "chmod" not in done.stderr


def test_the_event_loop_has_subprocesses_on_windows_which_the_report_is_sent_by() -> None:
    command = [sys.executable, "-c", LOOP_OF_WINDOWS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_what_is_missing_on_windows_is_missing_in_this_test() -> None:
    done = as_on_windows("import fcntl")
    assert "No module named 'fcntl'" in done.stderr
