"""The command line of the testbed."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mailservers.endpoints import DESCRIPTIONS
from mailservers.errors import TestbedError
from mailservers.readiness import require_root
from mailservers.testbed import Testbed

_DEFAULT_DIRECTORY = Path(".testbed")
_EXIT_FAILED, _EXIT_NOT_RUNNING = 1, 3  # as an init script's status: LSB Core 5.0, section 22.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    options = _parser().parse_args(arguments)
    testbed = Testbed(options.directory, base_port=getattr(options, "base_port", None))
    try:
        require_root()
        status: int = options.run(testbed, options)
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return _EXIT_FAILED
    return status


def _start(testbed: Testbed, _: argparse.Namespace) -> int:
    if testbed.is_running():
        print("already running")
    else:
        testbed.start()
    _print_endpoints(testbed)
    return 0


def _stop(testbed: Testbed, _: argparse.Namespace) -> int:
    testbed.stop()
    print(f"stopped: {testbed.directory}")
    return 0


def _status(testbed: Testbed, _: argparse.Namespace) -> int:
    if testbed.is_running():
        _print_endpoints(testbed)
        return 0
    for daemon in (testbed.postfix, testbed.dovecot, testbed.companion):
        print(f"{daemon.name:<10} {len(daemon.processes())} processes")
    return _EXIT_FAILED if testbed.processes() else _EXIT_NOT_RUNNING


def _token(testbed: Testbed, options: argparse.Namespace) -> int:
    print(testbed.issue_token(options.address, lifetime=options.lifetime))
    return 0


def _print_endpoints(testbed: Testbed) -> None:
    lines = [
        f"{name:<15} {testbed.host}:{port}  {DESCRIPTIONS[name]}" for name, port in testbed.ports.by_name().items()
    ]
    lines += [
        f"mailboxes: any address of corp.test and remote.test, password {testbed.password}",
        f"authority: {testbed.certificates.ca}",
        f"connector: source address {testbed.connector_host}, or {testbed.certificates.client_listed}",
    ]
    print("\n".join(lines))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="testbed", description="Postfix and Dovecot on loopback, for the tests of relaycanary."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--directory", type=Path, default=_DEFAULT_DIRECTORY, help="where everything lives (default: .testbed)"
    )
    start = commands.add_parser("start", parents=[common], help="start, print the endpoints, and return")
    start.add_argument("--base-port", type=int, help="first of the block of ports (default: a free block)")
    start.set_defaults(run=_start)
    commands.add_parser("stop", parents=[common], help="stop every process").set_defaults(run=_stop)
    commands.add_parser("status", parents=[common], help="exit 0 running, 3 stopped, 1 in between").set_defaults(
        run=_status
    )
    token = commands.add_parser("token", parents=[common], help="print a new bearer token for XOAUTH2")
    token.add_argument("address", help="the mailbox that it opens")
    token.add_argument("--lifetime", type=float, default=3600.0, help="seconds (default: 3600)")
    token.set_defaults(run=_token)
    return parser
