"""``python -m soak.reading``: the weekly report and the status page on a ledger of 200 checks at 60 s.

Exit 1 if the report takes a minute or a gigabyte, or the status page a tenth of a second. Each is measured in a fresh
process: the report as people call it, by its command; the page by the agent's own application over HTTP, at which
somebody looks again and again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import yaml
from soak.big_ledger import BigLedger, some_checks
from soak.sample import size_of, tell

from agent.ledger import Ledger
from agent.report.archive import Archive
from agent.status import AgentView, CheckView, MailboxStatus, MailboxView, PathView
from agent.web.app import create_app
from agent.web.server import serve
from checks.ports import Endpoint

REPORT_SECONDS, REPORT_MB, PAGE_SECONDS = 60.0, 1000.0, 0.1
_LOOKS = 25
_FORMS = ("json", "pdf")
_LINE = "{:<34} {:>9} {:>9} {:>9}   {}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took: seconds by the clock, seconds of the processor, and the most memory in MB."""

    wall: float
    cpu: float
    rss: float


def run(checks: int, every: int, weeks: int, kept: Path | None) -> list[str]:
    """Measure on a ledger that is built, or in the folder *kept* already; return what was over its limit."""
    with contextlib.ExitStack() as stack:
        folder = kept or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="relaycanary-reading-")))
        big = BigLedger(folder / "ledger.db", _last_monday(), some_checks(checks, every), every, weeks)
        if not big.file.exists():
            folder.mkdir(exist_ok=True)
            began = time.perf_counter()
            tell(f"{big.build()} canaries of {checks} checks, written in {time.perf_counter() - began:.0f} s")
        tell(f"ledger {size_of(big.file):.0f} MB; load average before: {os.getloadavg()[0]:.1f}")
        tell(_LINE.format("", "wall", "CPU", "RSS MB", "limit"))
        settings = _settings(folder, big.url)
        wrong = []
        for form in _FORMS:
            cost = _report(settings, folder / f"week.{form}", big.until)
            wrong += _row(f"report of one week, {form}", cost, REPORT_SECONDS, REPORT_MB)
        looks = _looks(big, checks, every)
        wrong += _row("status page, the first look", looks[0], None, None)
        wrong += _row("status page, the median look", _median(looks[1:]), PAGE_SECONDS, None)
        wrong += _row("status page, the slowest look", max(looks[1:], key=_wall), None, None)
        tell(f"load average after: {os.getloadavg()[0]:.1f}")
    return wrong


def _row(name: str, cost: Cost, seconds: float | None, megabytes: float | None) -> list[str]:
    """Print a line of the table; return it, if something is over its limit."""
    limits = [f"{seconds:g} s"] if seconds else []
    limits += [f"{megabytes:.0f} MB"] if megabytes else []
    over = bool(seconds and cost.wall >= seconds) or bool(megabytes and cost.rss >= megabytes)
    line = _LINE.format(name, f"{cost.wall:.3f} s", f"{cost.cpu:.3f} s", f"{cost.rss:.0f}", ", ".join(limits))
    tell(f"{line}{'  OVER' if over else ''}")
    return [line] if over else []


def _last_monday() -> int:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return int((today - timedelta(days=today.weekday())).timestamp())


def _settings(folder: Path, url: str) -> Path:
    """Settings that name the ledger; the report asks nothing else of them."""
    secret = folder / "secret"
    secret.write_text("0123456789abcdef0123456789abcdef")
    secret.chmod(0o600)
    content = {
        "agent": {"site": "bench", "ledger": url, "signing_keys": [{"id": "k1", "secret": {"file": str(secret)}}]},
        "credentials": {"reader": {"kind": "password", "username": "x", "password": {"file": str(secret)}}},
        "paths": {"relay": {"kind": "relay", "host": "mx.example", "sender": "canary@contoso.example"}},
        "mailboxes": {
            "inbox": {
                "kind": "imap",
                "host": "imap.example",
                "credential": "reader",
                "address": "canary@outside.example",
            }
        },
        "checks": {"relay": {"path": "relay", "mailbox": "inbox", "every": "60s"}},
    }
    file = folder / "relaycanary.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def _report(settings: Path, output: Path, until: int) -> Cost:
    week = datetime.fromtimestamp(until - 86400, UTC)
    year, number, _ = week.isocalendar()
    command = (
        *(sys.executable, "-m", "agent", "report", "--config", str(settings)),
        *("--week", f"{year}-W{number:02d}", "-o", str(output)),
    )
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"the report ended with {process.returncode}")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def _looks(big: BigLedger, checks: int, every: int) -> Sequence[Cost]:
    """Look at the page in a process of its own."""
    asked = json.dumps({"file": str(big.file), "until": big.until, "checks": checks, "every": every})
    command = [sys.executable, "-m", "soak.reading", "--look", asked]
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=here)
    return [Cost(**one) for one in json.loads(said.stdout)]


def _look(file: str, until: int, checks: int, every: int) -> None:
    """Serve the pages, look at the first one, and print what each look took."""
    sys.stdout.write(json.dumps([asdict(one) for one in asyncio.run(_served(Path(file), until, checks, every))]))


async def _served(file: Path, until: int, checks: int, every: int) -> list[Cost]:
    view = _view(until, checks, every)
    with Ledger(f"sqlite:///{file}") as ledger:
        app = create_app(
            view=lambda: view,
            ledger=ledger,
            reload=_nothing,
            token=None,
            users={},
            listen="127.0.0.1:0",
            archive=Archive(file.parent / "reports"),
        )
        async with serve(app, "127.0.0.1", 0) as url:
            return [await asyncio.to_thread(_get, urlsplit(url).port or 0, checks) for _ in range(_LOOKS)]


def _get(port: int, checks: int) -> Cost:
    began, spent = time.perf_counter(), time.process_time()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/")
    response = connection.getresponse()
    page = response.read().decode()
    connection.close()
    wall, cpu = time.perf_counter() - began, time.process_time() - spent
    if response.status != 200 or page.count("/checks/") < checks:
        raise RuntimeError(f"the page has status {response.status} and {len(page)} characters")
    return Cost(wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


async def _nothing() -> str | None:
    return None


def _view(until: int, checks: int, every: int) -> AgentView:
    """An agent with these checks, a moment after the newest canary was concluded."""
    made = some_checks(checks, every)
    methods = {one.path: one.method for one in made}
    endpoint = Endpoint(host="mx.example", port=25, tls="required")
    return AgentView(
        site="bench",
        version="1",
        applied=True,
        now_at=until + 30.0,
        wall_offset=0.0,
        checks=[
            CheckView(check=one, next_due=datetime.fromtimestamp(until + 60, UTC), skipped=0, delay=0.0) for one in made
        ],
        paths=[
            PathView(name=path, method=method, endpoint=endpoint, certificates=()) for path, method in methods.items()
        ],
        mailboxes=[MailboxView(name="inbox", kind="imap", endpoint=endpoint, status=MailboxStatus(up=True))],
        ledger_write_errors=0,
        reload_successful=True,
        reload_success_at=float(until),
        alert_after=2,
    )


def _median(looks: Sequence[Cost]) -> Cost:
    return Cost(*(median(getattr(one, name) for one in looks) for name in ("wall", "cpu", "rss")))


def _wall(look: Cost) -> float:
    return look.wall


def main() -> int:
    """Run it; return the exit code."""
    parser = argparse.ArgumentParser(prog="soak.reading", description=__doc__)
    parser.add_argument("--checks", type=int, default=200)
    parser.add_argument("--every", type=int, default=60, help="seconds between two canaries of a check")
    parser.add_argument("--weeks", type=int, default=1, help="how many weeks are on record")
    parser.add_argument("--folder", type=Path, help="keep the ledger here, and take the one that is here")
    parser.add_argument("--look", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.look:
        _look(**json.loads(chosen.look))
        return 0
    wrong = run(chosen.checks, chosen.every, chosen.weeks, chosen.folder)
    tell("\n".join(wrong) or "all within their limits")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
