"""An agent that other machines reach: refused without users, and with them behind TLS and a login."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trustme
from e2e.product import COMMAND, PATIENCE, Folder, Write, until
from support.passwords import a_hash

PASSWORD = "correct horse battery"


def for_everybody(settings: dict[str, Any]) -> None:
    settings["web"]["listen"] = "0.0.0.0:0"


@pytest.fixture
def for_users(tmp_path: Path) -> Any:
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    files = {
        "ca.pem": authority.cert_pem.bytes(),
        "web.pem": leaf.cert_chain_pems[0].bytes(),
        "web.key": leaf.private_key_pem.bytes(),
        "hash": a_hash(PASSWORD).encode(),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)

    def edit(settings: dict[str, Any]) -> None:
        for_everybody(settings)
        settings["web"]["users"] = {"noc": {"file": str(tmp_path / "hash")}}
        settings["web"]["tls"] = {
            name: {"file": str(tmp_path / f"web.{end}")} for name, end in (("certificate", "pem"), ("key", "key"))
        }

    return edit


def test_without_users_it_does_not_start(folder: Folder, write_settings: Write) -> None:
    write_settings(for_everybody)
    refused = folder.relaycanary("run")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "web.listen: '0.0.0.0:0' can be reached by other machines, which demands web.users" in refused.stderr


def test_with_users_and_a_certificate_it_speaks_tls_and_wants_a_login(
    folder: Folder, write_settings: Write, for_users: Any
) -> None:
    write_settings(for_users)
    out, err = folder.path / "out", folder.path / "err"
    with out.open("wb") as to, err.open("wb") as errors:
        agent = subprocess.Popen([COMMAND, "run"], cwd=folder.path, stdout=to, stderr=errors)
    try:
        until(lambda: "https://" in out.read_text() or agent.poll() is not None)
        found = re.search(r"https://0\.0\.0\.0:(\d+)", out.read_text())
        assert found, err.read_text()

        def status(path: str, *more: str) -> str:
            url = f"https://127.0.0.1:{found[1]}{path}"
            command = ["curl", "-sS", "--noproxy", "*", "--cacert", str(folder.path / "ca.pem"), "-o", "/dev/null"]
            command += ["-w", "%{http_code}", *more, url]
            return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False).stdout

        login = ("-u", f"noc:{PASSWORD}")
        assert (status("/-/healthy"), status("/metrics"), status("/metrics", "-u", "noc:x")) == ("200", "401", "401")
        until(lambda: status("/-/ready", *login) == "200")
        assert (status("/", *login), status("/metrics", *login)) == ("200", "200")
        token = ("--oauth2-bearer", (folder.path / "web-token").read_text().strip())
        assert (status("/-/reload", "-X", "POST"), status("/-/reload", "-X", "POST", *token)) == ("401", "200")
    finally:
        agent.terminate()
        assert agent.wait(PATIENCE) == 0
    assert PASSWORD not in out.read_text() + err.read_text()
