"""The agent as a process of its own on the testbed, and the ground truth to hold its ledger against."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml
from mailservers.testbed import Testbed
from prometheus_client.parser import text_string_to_metric_families

from agent.ledger import inspect
from checks.core import token

_START_SECONDS = 30.0
_STOP_SECONDS = 60.0
_LOOK_SECONDS = 0.02
_PROJECT = Path(__file__).parents[2]
SEEN = {"delivered", "late"}


class NeverHappened(AssertionError):
    """What a test waited for did not come."""


def until(what: str, condition: Callable[[], Any], *, within: float = 30.0) -> Any:
    """Wait until *condition* returns something true, and return it.

    Raises:
        NeverHappened: it did not within *within* seconds.
    """
    deadline = time.monotonic() + within
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise NeverHappened(f"{what}: not within {within} s")
        time.sleep(_LOOK_SECONDS)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What the settings of an agent on the testbed say; one path, one mailbox, some checks alike.

    `path` changes the path, `mailbox` the mailbox and `limits` every check, in the words of the settings file.
    """

    address: str
    checks: int = 1
    path: Mapping[str, Any] = field(default_factory=dict)
    mailbox: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    agent: Mapping[str, Any] = field(default_factory=dict)

    def write(self, testbed: Testbed, folder: Path) -> Path:
        """Write the settings file into *folder*, where the ledger will be too."""
        key = folder / "key"
        key.write_text("the-secret-that-signs-the-canaries")
        key.chmod(0o600)
        limits = {"every": "1s", "late_after": "5s", "lost_after": "10s", **self.limits}
        direct = {"kind": "direct_send", "host": testbed.host, "port": testbed.ports.mx, "tls": "none"}
        settings = {
            "agent": {
                "ledger": f"sqlite:///{folder / 'ledger.db'}",
                "signing_keys": [{"id": "k1", "secret": {"file": str(key)}}],
                **self.agent,
            },
            "web": {"listen": f"{testbed.host}:0"},
            "credentials": {
                "reader": {
                    "kind": "password",
                    "username": self.address,
                    "password": {"file": str(testbed.password_file)},
                }
            },
            "paths": {"direct": {**direct, "sender": "canary@corp.test", **self.path}},
            "mailboxes": {
                "inbox": {
                    "kind": "imap",
                    "host": testbed.host,
                    "port": testbed.ports.imap,
                    "tls": "none",
                    "credential": "reader",
                    "address": self.address,
                    "folders": ["INBOX", "Junk"],
                    **self.mailbox,
                }
            },
            "checks": {
                f"check-{number:03}": {"path": "direct", "mailbox": "inbox", **limits} for number in range(self.checks)
            },
        }
        file = folder / "relaycanary.yaml"
        file.write_text(yaml.safe_dump(settings))
        return file


class AgentProcess:
    """``relaycanary run`` with one settings file. A context manager: whatever happens, no process stays behind."""

    def __init__(
        self, settings: Path, *, environment: Mapping[str, str] | None = None, project: Path = _PROJECT
    ) -> None:
        self.settings = settings
        self.log = settings.with_name("agent.log")
        self.url = ""
        self._project = project
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Start it, and return once it says that it runs."""
        self.spawn()
        assert self._process is not None
        assert self._process.stdout is not None
        greeting = self._process.stdout.readline()
        if " runs " not in greeting:
            self.kill()
            raise AssertionError(self.log.read_text()[-2000:])
        self.url = greeting.rpartition(" ")[2].strip()
        return self

    def spawn(self) -> None:
        """Start it, and wait for nothing."""
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "agent", "run", "-c", str(self.settings)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self._project,
                env=self._environment,
            )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """Kill it hard; nothing happens if it has ended."""
        if self._process is not None:
            self._process.kill()
            self._end()

    def stop(self) -> int:
        """Tell it to stop; return its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self.exit_code()

    def exit_code(self) -> int:
        """Wait for its end; return its exit code."""
        return self._end()

    def _end(self) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        code = self._process.wait(timeout=_STOP_SECONDS)
        self._process.stdout.close()
        return code

    def is_running(self) -> bool:
        """Tell whether it lives."""
        return self._process is not None and self._process.poll() is None

    def suspend(self) -> None:
        """Stop it from running, as a laptop's lid does."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log lines with one event name."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [event for line in lines if line.startswith("{") and (event := json.loads(line))["event"] == name]

    def metrics(self) -> dict[str, dict[str, float]]:
        """Scrape it: value by labels ("a=1,b=2") by name; nothing while its settings are not in force."""
        try:
            with urllib.request.urlopen(f"{self.url}/metrics", timeout=60) as answer:  # noqa: S310 - the agent's own
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return {}
            raise
        found: dict[str, dict[str, float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
                found.setdefault(sample.name, {})[labels] = sample.value
        return found

    def total(self, name: str, *labels: str) -> float:
        """Sum a metric over the series that have all *labels* ("verdict=pass")."""
        series = self.metrics().get(name, {})
        return sum(value for key, value in series.items() if {*labels} <= {*key.split(",")})

    def verdicts(self) -> set[str]:
        """Tell the current verdicts of all checks."""
        one_hot = self.metrics().get("relaycanary_check_verdict", {})  # none before the settings are applied
        return {
            label.removeprefix("verdict=")
            for key, value in one_hot.items()
            if value
            for label in key.split(",")
            if label.startswith("verdict=")
        }


class LedgerFile:
    """The ledger's file beside *settings*, read from outside whether or not an agent uses it."""

    def __init__(self, settings: Path) -> None:
        self.path = settings.with_name("ledger.db")

    def canaries(self, where: str = "1") -> list[sqlite3.Row]:
        """Read rows of canaries, in the order of start."""
        return self._rows(f"SELECT * FROM canaries WHERE {where} ORDER BY seq")  # noqa: S608 - from tests

    def count(self, where: str = "1") -> int:
        """Count canaries."""
        return int(self._rows(f"SELECT count(*) AS number FROM canaries WHERE {where}")[0]["number"])  # noqa: S608 - from tests

    def outcomes(self) -> Counter[str]:
        """Count canaries by outcome; "in flight" are those without."""
        rows = self._rows("SELECT coalesce(outcome, 'in flight') AS name, count(*) AS number FROM canaries GROUP BY 1")
        return Counter({row["name"]: row["number"] for row in rows})

    def problems(self) -> Sequence[str]:
        """Examine file and books, as ``relaycanary ledger verify`` does."""
        return inspect.audit(f"sqlite:///{self.path}", lambda _: None).problems

    def other_process(self) -> sqlite3.Connection:
        """Open the file for writing, as somebody who should not."""
        return sqlite3.connect(self.path, isolation_level=None, timeout=20)

    def _rows(self, statement: str) -> list[sqlite3.Row]:
        if not self.path.exists():
            return []
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=20)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(statement).fetchall()


def pass_again(agent: AgentProcess, *, within: float = 30.0) -> None:
    """Wait until every check passes and more canaries have passed than at the time of the call."""
    passed = agent.total("relaycanary_canaries_total", "verdict=pass")
    until(
        "canaries pass again",
        lambda: agent.verdicts() == {"pass"} and agent.total("relaycanary_canaries_total", "verdict=pass") > passed + 3,
        within=within,
    )


def arrived(testbed: Testbed, address: str) -> Counter[str]:
    """Ground truth: how often each canary lies in the mailbox, by id."""
    found: Counter[str] = Counter()
    for folder in ("INBOX", "Junk"):
        for arrival in testbed.arrivals(address, folder):
            (signed,) = token.find(arrival.headers["Message-ID"])
            found[signed.id] += 1
    return found


def hold_against(ledger: LedgerFile, truth: Counter[str]) -> list[str]:
    """List every broken promise of a ledger in which nothing is in flight any more; empty if all were kept."""
    rows = {row["id"]: row for row in ledger.canaries()}
    wrong = [f"the books: {problem}" for problem in ledger.problems()]
    wrong += [f"{one} was sent, but is not on record" for one in truth if one not in rows]
    wrong += [f"{one} was sent {number} times" for one, number in truth.items() if number > 1]
    for one, row in rows.items():
        if row["outcome"] is None:
            wrong.append(f"{one} has no verdict")
        elif one in truth and row["outcome"] not in SEEN:
            wrong.append(f"{one} arrived, and was called {row['outcome']}")
        elif one not in truth and row["outcome"] in SEEN:
            wrong.append(f"{one} did not arrive, and was called {row['outcome']}")
    return wrong


def conclude(settings: Path, ledger: LedgerFile, *, within: float = 60.0) -> None:
    """Let one last agent, which sends one canary a check and no more, conclude whatever is in flight."""
    known = yaml.safe_load(settings.read_text())
    for check in known["checks"].values():
        check["every"] = "300d"  # no slot of the grid comes while this runs
    settings.write_text(yaml.safe_dump(known))
    before = max((row["run"] for row in ledger.canaries()), default=0)
    with AgentProcess(settings) as agent:
        until("all checks have sent", lambda: ledger.count(f"run > {before}") >= len(known["checks"]))
        until("everything is concluded", lambda: not ledger.count("outcome IS NULL"), within=within)
        assert agent.stop() == 0
