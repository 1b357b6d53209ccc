"""The audit finds what it looks for, and never calls something ok that it could not look at."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RELEASE = ROOT / "deploy" / "release"
NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture(scope="module")
def audit() -> Iterator[ModuleType]:
    sys.path.insert(0, str(RELEASE))
    try:
        spec = importlib.util.spec_from_file_location("audit", RELEASE / "audit.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(RELEASE))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@contoso.com"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", name)


@contextmanager
def vulnerability_service(answer: Callable[[str], dict[str, Any]]) -> Iterator[str]:
    """A service that speaks OSV's protocol; *answer* tells what is known of a package."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(answer(asked["package"]["name"])).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    file = tmp_path / "some.lock"
    names = ("relaycanary-made-up-one", "relaycanary-made-up-two")
    file.write_text("".join(f"{name}==1.0 --hash=sha256:{'0' * 64}\n" for name in names))
    return file


def at(url: str) -> dict[str, list[str]]:
    return {"osv": ["--osv-url", url]}


def test_packages_that_no_service_knows_are_not_called_ok(audit: ModuleType, lock: Path) -> None:
    outcome = audit.vulnerabilities(lock, at(NOWHERE))
    assert outcome.word == "NOT DONE"
    assert outcome.lines == ["osv: no answer"]


def test_a_known_vulnerability_is_named_with_the_version_that_mends_it(audit: ModuleType, lock: Path) -> None:
    def answer(name: str) -> dict[str, Any]:
        if not name.endswith("two"):
            return {}
        ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}]
        affected = [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": ranges, "versions": ["1.0"]}]
        bug = {"id": "PYSEC-2026-1", "modified": "2026-01-01T00:00:00Z", "summary": "It bites.", "affected": affected}
        return {"vulns": [{**bug, "published": "2026-01-01T00:00:00Z"}]}

    with vulnerability_service(answer) as url:
        outcome = audit.vulnerabilities(lock, at(url))
    assert outcome.word == "FAILED"
    assert outcome.lines == ["relaycanary-made-up-two 1.0: PYSEC-2026-1, mended in 1.1"]


def test_packages_that_are_known_and_blameless_are_ok(audit: ModuleType, lock: Path) -> None:
    with vulnerability_service(lambda _name: {}) as url:
        assert audit.vulnerabilities(lock, at(url)).word == "ok"


@pytest.mark.long
def test_there_is_no_secret_in_the_files_of_this_checkout(audit: ModuleType) -> None:
    assert audit.secrets_in_tree() == ("ok", "no secret in the files", ())


PLANTED = {
    "agent/settings.py": 'SIGNING_KEY = "' + "q8Jr0sZ3yVn1Xo7LkT5mWb2Hd9Pf4Gc6" + '"\n',
    "tests/mailboxes/test_graph.py": 'TOKEN = "' + "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8" + '"\n',
    "deploy/relay.pem": "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEow\n",
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_secret_is_found_where_it_lies(audit: ModuleType, repository: Path, name: str) -> None:
    commit(repository, name, PLANTED[name])
    (found,) = list(audit.find_secrets.in_tree(repository))[:1]
    assert found.startswith(f"{name}:1: ")


def test_a_secret_that_was_removed_is_found_in_the_history(audit: ModuleType, repository: Path) -> None:
    name = "deploy/relay.pem"
    commit(repository, name, PLANTED[name])
    commit(repository, name, "moved to where secrets are kept\n")
    assert list(audit.find_secrets.in_tree(repository)) == []
    assert list(audit.find_secrets.in_history(repository)) == [f"{name}: Private Key"]
