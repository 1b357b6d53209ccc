"""Called as ``relaycanary`` by what stands in the documents: runs each command line once, and judges its exit code."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import tempfile
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
    "report": "tests/commands/test_report_command.py makes and sends them; charts take seconds",
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


def ask(*, parse: bool) -> tuple[int, str]:
    """Have the command run, or its command line parsed; return the exit code and what it said of errors."""
    request = {"arguments": ARGUMENTS, "folder": str(Path.cwd()), "environment": dict(os.environ), "parse": parse}
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as zygote,
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
    ):
        zygote.connect(str(BOX / "zygote"))
        socket.send_fds(zygote, [json.dumps(request).encode()], [0, 1, errors.fileno()])
        code = zygote.recv(1)[0]
        errors.seek(0)
        return code, errors.read()


def main() -> int:
    parse = NAME in PARSED or any(f"{NAME} {option}" in PARSED for option in ARGUMENTS)
    writes = not sys.stdout.isatty() and NAME in {"rules", "ledger export", "hash-password"}
    if not writes and not once():
        return 0
    code, errors = ask(parse=parse)
    sys.stderr.write(errors)
    if "Traceback" in errors:
        return 70
    return code if parse or code not in CODES.get(NAME, {0}) else 0


sys.exit(main())
