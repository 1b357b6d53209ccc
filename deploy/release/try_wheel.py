"""Install a wheel into an empty environment and use it in an empty folder, as somebody does who has nothing else.

    python deploy/release/try_wheel.py WHEEL [SDIST] --lock deploy/requirements/run.lock

Needs no more than Python itself. With `--packages DIR` in the place of a lock the packages that are installed there
serve, and the lab is not run. A second file, such as the sdist, gets an environment of its own, with the packages of
the first.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Callable
from pathlib import Path

URL = "http://127.0.0.1:9825"
_PATIENCE = 180.0
_SETTINGS = """\
agent: {signing_keys: [{id: k1, secret: {file: k1}}]}
credentials: {outside: {kind: password, username: canary@outside.example, password: {file: k1}}}
paths: {relay: {kind: relay, host: contoso-com.mail.protection.outlook.com, sender: canary@contoso.com}}
mailboxes: {outside: {kind: imap, host: imap.provider.example, credential: outside, address: canary@outside.example}}
checks: {relay: {path: relay, mailbox: outside, every: 60s}}
"""


class Failed(Exception):
    """The wheel does not do what it should."""


def main() -> int:
    """Try the wheel; say how long each step took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", metavar="WHEEL")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--lock", type=Path)
    source.add_argument("--packages", type=Path)
    chosen = parser.parse_args()
    lock, packages = chosen.lock, chosen.packages
    with tempfile.TemporaryDirectory(prefix="wheel-") as name:
        for number, file in enumerate(chosen.files):
            folder = Path(name, str(number))
            try:
                _try(file.resolve(), folder, lock, packages)
            except (Failed, subprocess.CalledProcessError) as error:
                print(f"try_wheel: {file.name}: {error}\n{getattr(error, 'stderr', '') or ''}", file=sys.stderr)
                return 1
            print(f"{file.name} works by itself", flush=True)
            lock, packages = None, packages or _site(folder / "venv")
    return 0


def _try(file: Path, folder: Path, lock: Path | None, packages: Path | None) -> None:
    _timed("an empty environment", lambda: _environment(folder / "venv", file, lock, packages))
    home = folder / "home"
    home.mkdir()
    version = file.name.removesuffix(".tar.gz").split("-")[1]
    _timed("commands in an empty folder", lambda: _commands(folder / "venv", home, version))
    if lock:
        _timed("the agent with the lab, a report, its end", lambda: _lab(folder / "venv", home))


def _timed(what: str, step: Callable[[], None]) -> None:
    began = time.monotonic()
    step()
    print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)


def _site(environment: Path) -> Path:
    """Return where the packages of an environment are."""
    (site,) = (environment / "lib").glob("python*/site-packages")
    return site


def _environment(where: Path, wheel: Path, lock: Path | None, packages: Path | None) -> None:
    venv.create(where, with_pip=lock is not None)
    python = where / "bin" / "python"
    if lock is not None:
        pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        _run([*pip, "--require-hashes", "-r", str(lock.resolve())])
        _run([*pip, "--no-deps", str(wheel)])
        _run([str(python), "-m", "pip", "check"])
        return
    # What is installed there is found; the .pth of a checkout in it is not read.
    (_site(where) / "packages.pth").write_text(f"{packages}\n")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", str(python), "install"]
    # An sdist is built by the backend that is in the lock: nothing is downloaded for it.
    _run([*pip, "--no-deps", "--ignore-installed", "--no-index", "--no-build-isolation", str(wheel)])


def _commands(venv_: Path, home: Path, version: str) -> None:
    (home / "k1").write_text("0123456789abcdef0123456789abcdef")  # pragma: allowlist secret
    (home / "k1").chmod(0o600)
    (home / "relaycanary.yaml").write_text(_SETTINGS)
    where = _run(
        [str(venv_ / "bin/python"), "-c", "import agent, checks; print(agent.__file__, checks.__file__)"], home
    )
    _hold(all(str(venv_) in one for one in where.split()), f"the code is that of the wheel: {where}")
    _hold(_relaycanary(venv_, home, "--version") == f"relaycanary {version}\n", "it is of its own version")
    _hold("site: default" in _relaycanary(venv_, home, "check-config", "--print"), "settings are taken")
    _hold("alert: RelaycanaryPathBroken" in _relaycanary(venv_, home, "rules"), "it has the rules for Prometheus")
    told = _relaycanary(venv_, home, "explain", "550 5.7.64 TenantAttribution; Relay Access Denied")
    _hold("connector" in told, "it has the catalogue of replies")


def _lab(venv_: Path, home: Path) -> None:
    """Run the agent with the lab until all checks pass, and use what a user would."""
    (home / "relaycanary.yaml").unlink()
    log = home / "log"
    with log.open("w") as out:
        agent = subprocess.Popen([str(venv_ / "bin/relaycanary"), "run", "--lab"], cwd=home, stdout=out, stderr=out)
    try:
        _timed("all checks of the lab pass", lambda: _until_all_pass(agent, log))
        for path in ("/", "/checks/relay", "/api/v1/checks", "/api/openapi.json"):
            _hold(bool(_get(path)), f"{path} is there")
        _relaycanary(venv_, home, "status")
        _hold("the books are right" in _relaycanary(venv_, home, "ledger", "verify"), "the books are right")
        _relaycanary(venv_, home, "report", "--format", "pdf", "-o", "report.pdf")
        _hold((home / "report.pdf").read_bytes().startswith(b"%PDF"), "a report can be made")
        agent.send_signal(signal.SIGTERM)
        _hold(agent.wait(timeout=60) == 0, "it ends when it is told to")
    finally:
        if agent.poll() is None:
            agent.kill()
            agent.wait()


def _until_all_pass(agent: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        _hold(agent.poll() is None and time.monotonic() < deadline, f"all checks pass:\n{log.read_text()}")
        try:
            verdicts = re.findall(
                r'^relaycanary_check_verdict{.*verdict="pass".*} (\S+)$', _get("/metrics"), re.MULTILINE
            )
        except OSError:  # it does not answer yet
            verdicts = []
        # An agent that has said where it runs has the port, so that no other agent answers here.
        if " runs " in log.read_text() and verdicts and all(float(one) == 1 for one in verdicts):
            return
        time.sleep(0.5)


def _get(path: str) -> str:
    with urllib.request.urlopen(URL + path, timeout=20) as answer:  # noqa: S310 - our own agent
        return answer.read().decode()  # type: ignore[no-any-return]


def _relaycanary(venv_: Path, home: Path, *arguments: str) -> str:
    return _run([str(venv_ / "bin/relaycanary"), *arguments], home)


def _run(command: list[str], folder: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RELAYCANARY"))}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def _hold(right: bool, what: str) -> None:
    if not right:
        raise Failed(f"this does not hold: {what}")


if __name__ == "__main__":
    sys.exit(main())
