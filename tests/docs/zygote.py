"""Runs commands of relaycanary in copies of a process that has everything imported: half a second less for each.

A request has the arguments, the folder and the environment as JSON, and the three streams as open files; the answer is
the exit code. With `parse` the command line is only held against its parser.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import traceback

from command_line import problem

from agent.__main__ import _main_code
from agent.commands import check_config, doctor, explain, ledger, probe, report, rules, status  # noqa: F401 - to have them


def run(request: dict[str, object], streams: list[int]) -> int:
    """Be the command, in a process that ends with it."""
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
    os.chdir(str(request["folder"]))
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[arg-type]
    if request["parse"]:
        wrong = problem(request["arguments"])  # type: ignore[arg-type]
        print(wrong, file=sys.stderr)
        return 64 if wrong else 0
    try:
        return _main_code(request["arguments"])  # type: ignore[arg-type]
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - told as the interpreter would
        traceback.print_exc()
        return 70


def main() -> None:
    """Answer one request after the other, until nobody can ask any more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(sys.argv[1])
        server.listen()
        print("ready", flush=True)
        while True:
            client, _ = server.accept()
            with client:
                message, streams, _, _ = socket.recv_fds(client, 1 << 20, 3)
                child = os.fork()
                if child == 0:
                    code = run(json.loads(message), streams)
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(code)
                for stream in streams:
                    os.close(stream)
                client.send(bytes([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF]))


if __name__ == "__main__":
    main()
