"""The product as a user has it: processes in a folder, started by the command, read over HTTP and from their output."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

COMMAND = str(Path(sys.executable).with_name("relaycanary"))
PATIENCE = 120.0  # seconds for anything that has to come on a busy machine
WEB_PORT = 9825
Write = Callable[..., Path]
"""Writes settings; takes a function that may change them, and the name of the file."""
_FROM_OUTSIDE = ("RELAYCANARY_CONFIG", "NO_COLOR", "FORCE_COLOR", "COLUMNS")


class Metrics:
    """One scrape."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._samples = [one for family in text_string_to_metric_families(text) for one in family.samples]

    def __call__(self, name: str, **labels: str) -> float:
        """Sum all samples of a name that carry these labels."""
        found = [one.value for one in self._samples if one.name == name and labels.items() <= one.labels.items()]
        assert found, f"no series {name} {labels}"
        return sum(found)

    def verdict(self, check: str) -> str:
        """Name the current verdict of a check."""
        names = ("pass", "warn", "fail", "unknown")
        (on,) = (name for name in names if self("relaycanary_check_verdict", check=check, verdict=name) == 1)
        return on

    def concluded(self, check: str, **labels: str) -> float:
        """Count concluded canaries of a check; a series that has not begun counts as none."""
        wanted = {"check": check, **labels}.items()
        return sum(
            one.value
            for one in self._samples
            if one.name == "relaycanary_canaries_total" and wanted <= one.labels.items()
        )


@dataclass(slots=True)
class Agent:
    """A running agent. Its output lies in files."""

    process: subprocess.Popen[bytes]
    folder: Folder
    out: Path
    err: Path
    url: str = ""

    def wait_until_up(self) -> None:
        """Wait for the line that tells the address, and until the settings are in force there."""

        def told() -> bool:
            assert self.process.poll() is None, self.err.read_text()
            return "http://" in self.out.read_text()

        until(told)
        self.url = "http://" + self.out.read_text().partition("http://")[2].split()[0]
        until(lambda: self.ask("GET", "/-/ready")[0] == 200)

    def metrics(self) -> Metrics:
        """Scrape."""
        status, body = self.ask("GET", "/metrics")
        assert status == 200
        self.folder.outputs["/metrics"] = body
        return Metrics(body)

    def ask(self, method: str, path: str, token: str | None = None) -> tuple[int, str]:
        """Send a request; return status and body."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(self.url + path, method=method, headers=headers)  # noqa: S310 - our own agent
        try:
            with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def until(self, holds: Callable[[Metrics], bool]) -> Metrics:
        """Scrape until the metrics hold; return that scrape."""
        seen: list[Metrics] = []

        def check() -> bool:
            assert self.process.poll() is None, self.err.read_text()
            seen[:] = [self.metrics()]
            return holds(seen[0])

        try:
            until(check)
        except AssertionError as error:
            error.add_note(seen[0].text if seen else "nothing was scraped")
            raise
        return seen[0]

    def signal(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@dataclass(slots=True)
class Folder:
    """A working directory, all that was started in it, and all that came out."""

    path: Path
    outputs: dict[str, str] = field(default_factory=dict)
    agents: list[Agent] = field(default_factory=list)

    def relaycanary(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=self.path,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.outputs[f"{len(self.outputs)}: {' '.join(arguments)}"] = done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def start(self, *arguments: str) -> Agent:
        """Start an agent, and wait until it tells its address."""
        number = len(self.agents)
        out, err = self.path / f"agent-{number}.out", self.path / f"agent-{number}.err"
        with out.open("wb") as to, err.open("wb") as errors:
            process = subprocess.Popen(
                [COMMAND, *arguments],
                cwd=self.path,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=to,
                stderr=errors,
            )
        agent = Agent(process, self, out, err)
        self.agents.append(agent)
        agent.wait_until_up()
        return agent

    def stop(self) -> None:
        """End whatever still runs."""
        for agent in self.agents:
            agent.process.terminate()
        for agent in self.agents:
            try:
                agent.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                agent.process.kill()
                agent.process.wait()

    def places_of_secrets(self) -> list[str]:
        """Look for every secret of the lab in all that came out; return where there are any."""
        places = {name: text.encode() for name, text in self.outputs.items()}
        files = [file for agent in self.agents for file in (agent.out, agent.err)]
        files += (self.path / ".lab").glob("ledger.db*")
        places |= {str(file): file.read_bytes() for file in files}
        places |= _command_lines()
        secrets = secrets_of(self.path / ".lab")
        assert len(secrets) >= 9
        return [
            f"{name} in {place}"
            for name, secret in secrets.items()
            for place, content in places.items()
            if any(form in content for form in forms_of(secret))
        ]


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds, looking again and again."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.1)


_TOKEN = b"eyJhbGciOiJSUzI1NiIs"  # how each of the lab's access tokens begins: {"alg":"RS256","...


def secrets_of(lab: Path) -> Mapping[str, bytes]:
    """Read what nobody may see: passwords, tokens, the signing key, the lab's control token, private keys."""
    found = {path.name: path.read_bytes().strip() for path in lab.glob("*-*") if path.suffix == ""}
    found["access tokens"] = _TOKEN
    found["k1"] = (lab / "k1").read_bytes().strip()
    for name in ("ca.key", "relay-client.pem", "app.pem", "entra.key"):
        _, _, rest = (lab / name).read_bytes().partition(b"PRIVATE KEY-----\n")
        found[name] = rest.split(b"\n")[0]
    with suppress(FileNotFoundError):  # it goes with the lab
        found["control.json"] = json.loads((lab / "control.json").read_bytes())["token"].encode()
    return found


def forms_of(secret: bytes) -> Sequence[bytes]:
    """Return a secret as it is and as it looks inside base64, where it may begin at any of three places."""
    inside = (b64encode(b"\0" * shift + secret) for shift in range(3))
    return [secret, *(text[4 if shift else 0 : -4] for shift, text in enumerate(inside))]


def _command_lines() -> dict[str, bytes]:
    found = {}
    for file in Path("/proc").glob("[0-9]*/cmdline"):  # there is none on macOS
        with suppress(OSError):  # the process has ended
            found[str(file)] = file.read_bytes()
    return found


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _FROM_OUTSIDE}


def taken(port: int) -> bool:
    """Tell whether somebody listens on a port of this machine."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
