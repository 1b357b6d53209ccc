"""Audit what is deployed: known vulnerabilities of the locked packages, risky code, secrets in the tree and history.

    make audit

Each part says `ok`, `FAILED` or `NOT DONE`. What could not be done is not ok: the exit code is 0 only if all of it is.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import find_secrets

ROOT = Path(__file__).parents[2]
LOCKS = ("run.lock", "test.lock")
CODE = ("agent", "checks", "deploy", "dashboards")
OSV = "https://api.osv.dev/v1/query"
_MOST_LINES = 20


class Outcome(NamedTuple):
    """What came of one part: *word* is ok, FAILED or NOT DONE, and *lines* say why."""

    word: str
    said: str
    lines: Sequence[str] = ()


def vulnerabilities(lock: Path, services: Mapping[str, Sequence[str]]) -> Outcome:
    """Ask one service after the other, until one knows every package in *lock*, what is known against them."""
    unknown: list[str] = []
    for name, options in services.items():
        told = _pip_audit(lock, ["-s", name, *options])
        if told is None:
            unknown.append(f"{name}: no answer")
            continue
        found = [
            f"{one['name']} {one['version']}: {bug['id']}, mended in {', '.join(bug['fix_versions']) or 'none yet'}"
            for one in told
            for bug in one.get("vulns", ())
        ]
        if found:
            return Outcome("FAILED", f"{len(found)} known vulnerabilities", found)
        skipped = [one["name"] for one in told if "skip_reason" in one]
        if not skipped:
            return Outcome("ok", f"nothing is known against {len(told)} packages")
        unknown.append(f"{name}: does not know {len(skipped)} of {len(told)} packages ({skipped[0]}, …)")
    return Outcome("NOT DONE", "no service told what is known of these packages", unknown)


def _pip_audit(lock: Path, service: Sequence[str]) -> list[dict[str, object]] | None:
    """Run pip-audit; return what it tells of each package, None if it could not."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--format", "json"]
    command += ["--progress-spinner", "off", "--timeout", "15", *service, "-r", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    try:
        told: list[dict[str, object]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return None
    return told


def risky_code() -> Outcome:
    """Have ruff's security rules (those of bandit) look at the code; each exception stands where it is made."""
    command = [sys.executable, "-m", "ruff", "check", "--select", "S", "--output-format", "concise", *CODE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode == 0:
        return Outcome("ok", f"ruff's rules S hold in {', '.join(CODE)}")
    return Outcome("FAILED", "ruff's rules S do not hold", (done.stdout + done.stderr).splitlines())


def secrets_in_tree() -> Outcome:
    """Look for secrets in the files of the checkout."""
    return _secrets("in the files", find_secrets.in_tree(ROOT))


def secrets_in_history() -> Outcome:
    """Look for secrets in all that was ever committed: what was removed later is known all the same."""
    return _secrets("in the history", find_secrets.in_history(ROOT))


def _secrets(where: str, found: Iterator[str]) -> Outcome:
    lines = list(found)
    if lines:
        return Outcome("FAILED", f"what looks like a secret {where}", lines)
    return Outcome("ok", f"no secret {where}")


def main() -> int:
    """Run all parts and say what came of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--osv-url", default=OSV, help="another service that speaks OSV's protocol")
    services = {"pypi": (), "osv": ("--osv-url", parser.parse_args().osv_url)}
    parts: dict[str, Callable[[], Outcome]] = {
        f"vulnerabilities {name}": lambda name=name: vulnerabilities(ROOT / "deploy/requirements" / name, services)  # type: ignore[misc]
        for name in LOCKS
    }
    parts |= {"code": risky_code, "secrets now": secrets_in_tree, "secrets ever": secrets_in_history}
    words = []
    for name, part in parts.items():
        outcome = part()
        words.append(outcome.word)
        print(f"{outcome.word:8}  {name}: {outcome.said}", flush=True)
        for line in outcome.lines[:_MOST_LINES]:
            print(f"          {line}")
    bad = len(words) - words.count("ok")
    print("audit: everything is ok" if not bad else f"audit: {bad} of {len(words)} parts are not ok")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
