"""``relaycanary lab``: run the simulated tenant alone, or break and heal the one that runs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agent.commands import output
from agent.commands.signals import until_told_to_stop
from agent.log import plain

if TYPE_CHECKING:
    from checks.lab import LabInfo

_PAST = "35d"  # five weeks, so that a report has four to compare with
_LOOKS = 4
_BETWEEN_LOOKS = 0.25  # seconds
_MISSING = "the lab is not installed: it is the extra [lab] of relaycanary"


def lab(directory: Path, *, until_eof: bool = False) -> int:
    """Run the lab with its state in *directory* until SIGTERM or SIGINT; return the exit code.

    With *until_eof* it also ends with its standard input: whoever started it is gone then, however it went.
    """
    try:
        from checks.lab import LabError, serve
    except ImportError:
        return _fail(_MISSING)

    def ready(_info: LabInfo) -> None:
        print(f"the lab is running; its settings are in {directory / 'relaycanary.yaml'}", flush=True)

    try:
        asyncio.run(until_told_to_stop(serve(directory, on_ready=ready), until_eof=until_eof))
    except LabError as error:
        return _fail(str(error))
    return 0


def prepare(directory: Path) -> str:
    """Have the lab make its settings and secrets in *directory*, if it has never run there; return why it cannot.

    It runs for a moment to do so, on ports that are free: it writes its settings anew at each start.
    """
    try:
        from checks.lab import Lab, LabError
    except ImportError:
        return _MISSING
    try:
        if not (directory / "relaycanary.yaml").exists():
            with Lab(directory):
                pass
    except LabError as error:
        return str(error)
    return ""


def run_with_lab(directory: Path, *, verbose: bool = False) -> int:
    """Run the agent with the lab that has its state in *directory*, and start that lab if nobody has.

    The lab gets a process of its own so that its work does not slow what the agent measures. Its life hangs on a
    pipe from this process, so that none is left behind, not even by kill -9.
    """
    from agent.commands.run import run

    settings = directory / "relaycanary.yaml"
    if _stays(directory):
        print(f"the lab is running already in {directory}: using it", flush=True)
        return run(settings, verbose=verbose)
    command = [sys.executable, "-m", "agent", "lab", "--until-eof", "--directory", str(directory)]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as child:
        try:
            if child.stdout is None or not child.stdout.readline():
                return child.wait() or 1
            with _made_up_past(directory):
                return run(settings, verbose=verbose)
        finally:
            child.terminate()


@contextmanager
def _made_up_past(directory: Path) -> Iterator[None]:
    """Have a past written beside the agent that is about to start: the first look at its pages is not empty."""
    command = [sys.executable, "-m", "agent", "lab", "--history", _PAST, "--wait", "--directory", str(directory)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True) as child:  # noqa: S603 - our own
        try:
            yield
        finally:
            child.terminate()


def _stays(directory: Path) -> bool:
    """Tell whether a lab is running that is not just about to end, as one does whose agent was killed."""
    try:
        from checks.lab import Control, LabError
    except ImportError:
        return False  # starting it says what is missing
    control = Control(directory)
    for _ in range(_LOOKS):
        try:
            control.status()
        except LabError:
            return False
        threading.Event().wait(_BETWEEN_LOOKS)
    return True


def break_(directory: Path, target: str | None, fault: str | None, *, json: bool = False) -> int:
    """Break *target* by *fault*; without a fault, list those there are (for *target*)."""
    try:
        from checks.lab import Control, LabError
    except ImportError:
        return _fail(_MISSING)
    control = Control(directory)
    if target is None or fault is None:
        return _list_faults(control.faults(), target, json=json)
    try:
        control.break_(target, fault)
    except LabError as error:
        return _fail(str(error))
    words = f"{target}: {fault}; `relaycanary lab heal {target}` undoes it"
    output.tell([words], {"target": target, "fault": fault}, json=json)
    return 0


def heal(directory: Path, target: str | None, *, json: bool = False) -> int:
    """Undo the faults of *target*, or all."""
    try:
        from checks.lab import Control, LabError
    except ImportError:
        return _fail(_MISSING)
    try:
        Control(directory).heal(target)
    except LabError as error:
        return _fail(str(error))
    output.tell([f"{target or 'everything'}: healed"], {"healed": target}, json=json)
    return 0


def _list_faults(faults: list[tuple[str, str, tuple[str, ...]]], target: str | None, *, json: bool) -> int:
    shown = [(name, summary, targets) for name, summary, targets in faults if target is None or target in targets]
    if not shown:
        known = sorted({one for _, _, targets in faults for one in targets})
        return _fail(f"{plain(target or '')!r} is not one of the paths and mailboxes of the lab: {', '.join(known)}")
    width = max(len(name) for name, _, _ in shown)
    words = [f"{name:<{width}}  {summary} [{', '.join(targets)}]" for name, summary, targets in shown]
    facts = [{"fault": name, "summary": summary, "targets": targets} for name, summary, targets in shown]
    output.tell(words, {"faults": facts}, json=json)
    return 0


def _fail(message: str) -> int:
    print(f"relaycanary: {message}", file=sys.stderr)
    return 1
