"""A real Prometheus and a real Alertmanager that watch an agent on the lab, and a receiver that writes pages down."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import yaml
from e2e.product import Agent, Folder

from checks.lab import Lab

DASHBOARDS = Path(__file__).parents[2] / "dashboards"
SCALE = "0.05"
"""What every `for` of the rules is multiplied by here: two minutes are six seconds."""
EVERY, LATE, LOST = 2, 10, 20
PATIENCE = 240.0


def free_port() -> int:
    """Find a port that nobody uses at the moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Page:
    """One alert as it came to a receiver."""

    receiver: str
    alert: str
    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    at: float


@dataclass(slots=True)
class Receiver:
    """Takes Alertmanager's webhooks and writes every alert in them down."""

    pages: list[Page] = field(default_factory=list)
    port: int = 0
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        pages = self.pages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for one in body.get("alerts", ()):  # what comes by the agent's own channel has none
                    page = Page(
                        receiver=self.path.strip("/"),
                        alert=one["labels"]["alertname"],
                        status=one["status"],
                        labels=one["labels"],
                        annotations=one["annotations"],
                        at=time.monotonic(),
                    )
                    pages.append(page)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def got(self, alert: str, status: str, since: float) -> Page | None:
        """Return the first page of this alert and status since then."""
        return next((p for p in self.pages if p.alert == alert and p.status == status and p.at >= since), None)


@dataclass(slots=True)
class Stack:
    """Everything at work. A context manager: whatever happens, no process stays behind.

    `change` edits the settings of the lab; `expected` are alerts that fire all the time with them.
    """

    folder: Folder
    lab: Lab
    change: Callable[[dict[str, Any]], object] = lambda _: None
    expected: frozenset[str] = frozenset()
    receiver: Receiver = field(default_factory=Receiver)
    prometheus: str = ""
    alertmanager: str = ""
    _exit: ExitStack = field(default_factory=ExitStack)

    @property
    def agent(self) -> Agent:
        """The agent that was started last."""
        return self.folder.agents[-1]

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.receiver)
            self.start_agent(port=free_port())
            rules = self.folder.relaycanary("rules", "--scale-for", SCALE)
            assert rules.returncode == 0, rules.stderr
            (self.folder.path / "rules.yaml").write_text(rules.stdout)
            self.alertmanager = self._alertmanager(stack)
            self.prometheus = self._prometheus(stack)
            self.until_quiet()
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def start_agent(self, *, port: int | None = None) -> None:
        """Start the agent with checks that run every two seconds."""
        if port is not None:
            known = yaml.safe_load(self.lab.info.settings.read_text())
            known["web"] = {"listen": f"127.0.0.1:{port}"}
            for check in known["checks"].values():
                limits = {"every": f"{EVERY}s", "late_after": f"{LATE}s", "lost_after": f"{LOST}s"}
                check.update(limits, severity="critical")
            known["alerts"] = {**known.get("alerts", {}), "channels": [self._own_channel()]}
            self.change(known)
            (self.folder.path / "relaycanary.yaml").write_text(yaml.safe_dump(known))
        self.folder.start("run")

    def _own_channel(self) -> dict[str, Any]:
        """Have the agent tell the receiver by itself, too: its figures of that are on the dashboards."""
        secrets = {"url": f"http://127.0.0.1:{self.receiver.port}/own", "secret": "only-these-tests-know-this-key"}
        for name, value in secrets.items():
            file = self.folder.path / f"channel-{name}"
            file.write_text(value)
            file.chmod(0o600)
        files = {name: {"file": str(self.folder.path / f"channel-{name}")} for name in secrets}
        return {"name": "noc", "kind": "webhook", "severity": "warning", **files}

    def kill_agent(self) -> None:
        """End the agent as a machine does that loses power."""
        self.agent.signal(signal.SIGKILL)

    def _alertmanager(self, stack: ExitStack) -> str:
        """Run Alertmanager with the committed example; only its addresses and waiting times are changed."""
        known = yaml.safe_load((DASHBOARDS / "alertmanager" / "alertmanager.yml").read_text())
        for route in (known["route"], *known["route"]["routes"]):
            route.update(group_wait=f"{2 * EVERY}s", group_interval="1s")
        for receiver in known["receivers"]:
            for hook in receiver["webhook_configs"]:
                hook["url"] = hook["url"].replace(":9099", f":{self.receiver.port}")
        file = self.folder.path / "alertmanager.yml"
        file.write_text(yaml.safe_dump(known))
        port = free_port()
        self._run(
            stack,
            "prometheus-alertmanager",
            f"--config.file={file}",
            f"--storage.path={self.folder.path / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        )
        return f"http://127.0.0.1:{port}"

    def _prometheus(self, stack: ExitStack) -> str:
        target = self.agent.url.removeprefix("http://")
        settings = {
            "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"},
            "rule_files": [str(self.folder.path / "rules.yaml")],
            "scrape_configs": [
                {"job_name": "relaycanary", "static_configs": [{"targets": [target], "labels": {"env": "drill"}}]}
            ],
            "alerting": {
                "alertmanagers": [{"static_configs": [{"targets": [self.alertmanager.removeprefix("http://")]}]}]
            },
        }
        file = self.folder.path / "prometheus.yml"
        file.write_text(yaml.safe_dump(settings))
        port = free_port()
        self._run(
            stack,
            "prometheus",
            f"--config.file={file}",
            f"--storage.tsdb.path={self.folder.path / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--rules.alert.resend-delay=1s",
        )
        return f"http://127.0.0.1:{port}"

    def _run(self, stack: ExitStack, *command: str) -> None:
        log = stack.enter_context((self.folder.path / f"{command[0]}.log").open("wb"))
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        stack.callback(process.wait)
        stack.callback(process.kill)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Ask Prometheus; nothing while it is not up."""
        url = f"{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - our own
                result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        except OSError:
            return []
        return result

    def firing(self) -> set[str]:
        """Name the alerts that fire in Prometheus, inhibited ones too; not the watchdog."""
        found = {one["metric"]["alertname"] for one in self.query('ALERTS{alertstate="firing"}')}
        return found - {"RelaycanaryWatchdog"} - self.expected

    def held_back(self) -> set[str]:
        """Name the alerts of which Alertmanager holds back every one."""
        with urllib.request.urlopen(f"{self.alertmanager}/api/v2/alerts", timeout=20) as answer:  # noqa: S310 - our own
            known = [(one["labels"]["alertname"], one["status"]["state"]) for one in json.load(answer)]
        return {name for name, _ in known} - {name for name, state in known if state != "suppressed"}

    def until(self, what: str, holds: Callable[[], object], *, watch: set[str] | None = None) -> None:
        """Wait until something holds; meanwhile add everything that fires to *watch*."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            if watch is not None:
                watch |= self.firing()
            log = (self.folder.path / "prometheus.log").read_text(errors="replace")[-1500:]
            assert time.monotonic() < deadline, f"{what}: not within {PATIENCE} s; fires: {self.firing()}\n{log}"
            time.sleep(0.2)

    def until_quiet(self, watch: set[str] | None = None) -> None:
        """Wait until every check passes and nothing fires."""

        def quiet() -> bool:
            passing = self.query('sum(relaycanary_check_verdict{verdict="pass"}) == count(relaycanary_check_info)')
            chain = self.query('ALERTS{alertname="RelaycanaryWatchdog"}')
            return bool(passing) and bool(chain) and not self.firing()

        self.until("all is well", quiet, watch=watch)
