"""Make and send a report in a process of its own, which yields to everything else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import structlog

_log = structlog.get_logger("report")
_LONGEST = 1800.0
_NICE = 10
_LAST_WORDS = 2000


async def send_in_child(config: Path, week: str) -> bool:
    """Run ``relaycanary report --week WEEK --send``; tell whether it did."""
    command = ("-m", "agent", "report", "--config", str(config), "--week", week, "--send")
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    with contextlib.suppress(OSError, AttributeError):  # Windows has no such call, and needs none
        os.setpriority(os.PRIO_PROCESS, child.pid, _NICE)
    try:
        async with asyncio.timeout(_LONGEST):
            _, said = await child.communicate()
    except (TimeoutError, asyncio.CancelledError) as ended:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        if isinstance(ended, asyncio.CancelledError):
            raise
        _log.error("report.too_slow", week=week, seconds=_LONGEST)
        return False
    if child.returncode != 0:
        _log.error("report.failed", week=week, why=said.decode("utf-8", "replace")[-_LAST_WORDS:].strip())
    return child.returncode == 0
