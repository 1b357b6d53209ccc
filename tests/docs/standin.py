"""Stands in for programs that a test cannot have: it is called by their names.

What they are told is held against what there is; a command that runs inside a container, or as another user, is run.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
from pathlib import Path
from typing import NoReturn

NAME, ARGUMENTS = Path(sys.argv[0]).name, sys.argv[1:]
UNITS = {
    *("relaycanary", "relaycanary.service", "relaycanary@contoso"),
    *("relaycanary-backup", "relaycanary-backup.timer", "relaycanary-backup@contoso.timer"),
    *("prometheus", "prometheus-alertmanager", "prometheus-node-exporter"),
}
USERS = ("relaycanary", "relaycanary-contoso")
NUMBERS = {"10001", "65534", "472"}
"""Users in containers."""
IMAGES = {"relaycanary", "YOUR/relaycanary"}
VERBS = {
    "systemctl": {
        *("daemon-reload", "enable", "list-timers", "reload", "reset-failed", "restart", "start", "status", "stop"),
    },
    "compose": {"build", "config", "exec", "kill", "logs", "run", "start", "stop", "up"},
    "docker": {"build", "compose", "exec", "kill", "logs", "ps", "rm", "run", "start", "stop", "tag"},
    "kubectl": {"apply", "create", "exec", "rollout", "get"},
}


def refuse(why: str) -> NoReturn:
    print(f"{NAME} {' '.join(ARGUMENTS)}: {why}", file=sys.stderr)
    sys.exit(64)


def run(command: list[str]) -> NoReturn:
    os.execvp(command[0], command)


def words(arguments: list[str]) -> list[str]:
    return [one for one in arguments if not one.startswith("-")]


def known(kind: str, verb: str) -> None:
    if verb not in VERBS[kind]:
        refuse(f"{verb} is not among the verbs {', '.join(sorted(VERBS[kind]))}")


def there(*files: str) -> None:
    for file in files:
        if not Path(file).exists():
            refuse(f"there is no {file}")


def value(*options: str) -> list[str]:
    """Return what the options are given, as another word or behind a sign."""
    found = [after for before, after in itertools.pairwise(ARGUMENTS) if before in options]
    return found + [one.partition("=")[2] for one in ARGUMENTS if one.partition("=")[0] in options and "=" in one]


def inside(arguments: list[str]) -> NoReturn:
    """Run what a container is told to run; its settings are at the usual place."""
    if not arguments:
        sys.exit(0)
    os.environ["RELAYCANARY_CONFIG"] = f"{os.environ['BOX']}/etc/relaycanary/relaycanary.yaml"
    run(arguments)


def compose(verb: str, rest: list[str], services: list[str]) -> None:
    """Run what a service is told to, as far as it is the agent; Prometheus says which rules its user could read."""
    entrypoint = value("--entrypoint")
    service, *command = [one for one in rest if one not in {"-T", "--rm", "--entrypoint", *entrypoint}]
    if service not in services:
        refuse(f"{service} is not a service of compose.yaml")
    if service == "relaycanary":
        inside(command if verb == "exec" else ["relaycanary", *command])
    if service == "prometheus" and command[-1].endswith("/api/v1/rules"):
        for file in Path("rules").glob("*.yaml"):
            if file.stat().st_mode & 0o004 and file.parent.stat().st_mode & 0o001:
                for name in re.findall(r"alert: (\w+)", file.read_text(encoding="utf-8")):
                    print(f'"name":"{name}"')


def docker() -> None:
    known("docker", ARGUMENTS[0])
    if ARGUMENTS[0] == "compose":
        rest = ARGUMENTS[1:]
        known("compose", rest[0])
        there("compose.yaml")
        services = re.findall(r"^  ([a-z-]+):$", Path("compose.yaml").read_text(encoding="utf-8"), re.MULTILINE)
        if rest[0] in {"exec", "run"}:
            compose(rest[0], rest[1:], services)
    elif ARGUMENTS[0] == "exec":
        container, *command = itertools.dropwhile(lambda one: one.startswith("-"), ARGUMENTS[1:])
        if container not in IMAGES:
            refuse(f"nothing has made a container {container}")
        inside(command)
    elif ARGUMENTS[0] == "build":
        there(*value("-f"), ARGUMENTS[-1])
    elif ARGUMENTS[0] == "run":
        (image,) = [place for place, one in enumerate(ARGUMENTS) if one in IMAGES and ARGUMENTS[place - 1] != "--name"]
        command = ARGUMENTS[image + 1 :]
        inside(["relaycanary", *command] if command else [])


def kubectl() -> None:
    verb = next(one for one in ARGUMENTS if one in VERBS["kubectl"])
    there(*(one for one in value("-f", "-k", "--from-file") if one != "-"))
    if verb == "exec":
        inside(ARGUMENTS[ARGUMENTS.index("--") + 1 :])


def make() -> None:
    targets = re.findall(r"^([a-z0-9-]+):", Path("Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for one in words(ARGUMENTS):
        if "=" not in one and one not in targets:
            refuse("the Makefile has no such target")


def systemctl() -> None:
    verb, *units = words(ARGUMENTS)
    known("systemctl", verb)
    if strange := set(units) - UNITS:
        refuse(f"there is no unit {', '.join(strange)}")


def journalctl() -> None:
    if not set(value("-u")) <= UNITS:
        refuse("there is no such unit")


def runuser() -> None:
    if ARGUMENTS[:3] not in (["-u", user, "--"] for user in USERS):
        refuse("it is the user relaycanary, or the customer's, that owns the ledger")
    run(ARGUMENTS[3:])


def install() -> None:
    run(["/usr/bin/install", *(one for one in ARGUMENTS if one not in {"-o", "-g", "root", *USERS, *NUMBERS})])


def chown() -> None:
    there(*words(ARGUMENTS)[1:])


STANDINS = {
    "chown": chown,
    "docker": docker,
    "install": install,
    "journalctl": journalctl,
    "kubectl": kubectl,
    "make": make,
    "runuser": runuser,
    "systemctl": systemctl,
}
"""Those that have something to hold what they are told against; of the others only the name is known."""

STANDINS.get(NAME, sys.exit)()
