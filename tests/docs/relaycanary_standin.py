"""Called as ``relaycanary`` by what stands in the documents: runs each command line once, and judges its exit code."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

ARGUMENTS = sys.argv[1:]
BOX = Path(os.environ["BOX"])
GROUPS = {"ledger", "lab", "silence"}
NAME = " ".join(ARGUMENTS[: 2 if ARGUMENTS[:1] and ARGUMENTS[0] in GROUPS else 1])
CODES = {
    "status": {0, 1, 2, 3},
    "probe": {0, 1, 2, 3},
    "doctor": {0, 1, 2},
    "explain": {0},
}
"""The exit codes that say something about mail, and nothing about how the command was written."""

PARSED = {
    "run": "the agent is at work in this folder already",
    "lab": "so is the lab",
    "init": "tests/commands/test_init_command.py runs it; here it would replace the settings",
    "ledger restore": "tests/deploy/test_procedures.py runs it; here an agent is at work with the ledger",
    "ledger prune": "as above: with --compact it wants the ledger for itself",
    "report --send": "there is nobody whom a report could be sent to",
}
"""Commands that are only held against the command line's own parser, and why."""


def once() -> bool:
    """Tell whether this command line has not been run yet; all settings files of the box are the same."""
    with (BOX / "command-lines").open("a+") as seen:
        fcntl.flock(seen, fcntl.LOCK_EX)
        seen.seek(0)
        mine = "\t".join(one for one in ARGUMENTS if one not in {"-c", "--config"} and not one.endswith(".yaml"))
        if f"{mine}\n" in seen.readlines():
            return False
        seen.write(f"{mine}\n")
        return True


def main() -> int:
    if NAME in PARSED or any(f"{NAME} {option}" in PARSED for option in ARGUMENTS):
        command = [sys.executable, str(Path(__file__).with_name("command_line.py")), *ARGUMENTS]
        return subprocess.run(command, check=False).returncode
    writes = not sys.stdout.isatty() and NAME in {"rules", "ledger export", "hash-password"}
    if not writes and not once():
        return 0
    done = subprocess.run([sys.executable, "-m", "agent", *ARGUMENTS], check=False, stderr=subprocess.PIPE, text=True)
    sys.stderr.write(done.stderr)
    if "Traceback" in done.stderr:
        return 70
    return 0 if done.returncode in CODES.get(NAME, {0}) else done.returncode


sys.exit(main())
