"""HTTPS: with a real client and a real Prometheus, and a certificate that is renewed meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import ssl
import subprocess
import urllib.parse
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
import yaml
from alerting.stack import free_port
from cryptography import x509
from e2e.product import until
from structlog.testing import capture_logs
from support.make import a_canary, accepted
from support.passwords import a_hash

from agent.probe import Sent
from agent.web.server import serve
from agent.web.tls import ServerTls
from checks.errors import LocalFault

pytestmark = pytest.mark.anyio
TOKEN = "correct horse battery staple"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def write(folder: Path, made: trustme.LeafCert) -> tuple[Path, Path]:
    """Put certificate and key in place as people renew them: a new file each, renamed."""
    files = folder / "web.pem", folder / "web.key"
    for file, blobs in zip(files, (made.cert_chain_pems, [made.private_key_pem]), strict=True):
        new = file.with_suffix(".new")
        new.write_bytes(b"".join(blob.bytes() for blob in blobs))
        new.rename(file)
    return files


@pytest.fixture
def served(authority: trustme.CA, tmp_path: Path) -> ServerTls:
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    return ServerTls(*write(tmp_path, authority.issue_cert("127.0.0.1", "localhost")))


async def curl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["curl", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*", *arguments]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)


async def shown_by(port: int, name: str | None) -> x509.Certificate:
    """Return the certificate that a client is shown which asks for a host of this name, or for none."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name or "")
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return x509.load_der_x509_certificate(der)


async def test_curl_is_answered_over_tls_and_by_a_certificate_that_it_can_verify(serving, served, tmp_path):
    async with serving(tls=served) as client:
        assert client.url.startswith("https://127.0.0.1:")
        trusted = await curl("--cacert", tmp_path / "ca.pem", f"{client.url}/-/healthy")
        named = await curl("--cacert", tmp_path / "ca.pem", f"https://localhost:{client.port}/-/healthy")
        stranger = await curl(f"{client.url}/-/healthy")
        plain = await curl(f"http://127.0.0.1:{client.port}/-/healthy")
        old = await curl("--cacert", tmp_path / "ca.pem", "--tls-max", "1.1", f"{client.url}/-/healthy")

    assert (trusted.returncode, trusted.stdout) == (0, "healthy\n"), trusted.stderr
    assert (named.returncode, named.stdout) == (0, "healthy\n"), named.stderr
    assert stranger.returncode == 60  # the certificate cannot be verified
    assert plain.returncode in {1, 52, 56}  # not HTTP, an empty answer, or cut off
    assert old.returncode != 0


async def test_curl_logs_in_by_a_password_of_which_only_the_hash_is_known(serving, served, tmp_path):
    async with serving(tls=served, users={"noc": lambda: a_hash("correct horse")}) as client:
        ask = ("--cacert", tmp_path / "ca.pem", "--output", os.devnull, "--write-out", "%{http_code}")
        answers = [
            (await curl(*ask, *login, f"{client.url}/metrics")).stdout
            for login in ((), ("--user", "noc:wrong"), ("--user", "noc:correct horse"))
        ]

    assert answers == ["401", "401", "200"]


@pytest.mark.parametrize("name", [None, "localhost"], ids=["a client that names no host", "one that does"])
async def test_a_renewed_certificate_serves_the_next_connection(serving, served, authority, tmp_path, name):
    async with serving(tls=served) as client:
        first = await shown_by(client.port, name)
        assert served.not_after == first.not_valid_after_utc
        renewed_until = datetime(2040, 1, 1, tzinfo=UTC)
        write(tmp_path, authority.issue_cert("127.0.0.1", "localhost", not_after=renewed_until))
        with capture_logs() as logs:
            second, third = await shown_by(client.port, name), await shown_by(client.port, name)

    assert served.not_after == renewed_until
    assert first.not_valid_after_utc.year != 2040
    assert second.not_valid_after_utc.year == third.not_valid_after_utc.year == 2040
    assert [one["event"] for one in logs] == ["web.certificate_renewed"]


async def test_what_cannot_be_used_leaves_the_old_certificate_in_force_and_is_told_once(serving, served, tmp_path):
    async with serving(tls=served) as client:
        first = await shown_by(client.port, None)
        (tmp_path / "web.pem").write_text("half a certificate")
        with capture_logs() as logs:
            others = [await shown_by(client.port, None) for _ in range(3)]

    assert others == [first] * 3
    assert [one["event"] for one in logs] == ["web.certificate_not_renewed"]
    assert "web.pem" in logs[0]["why"]


async def test_a_certificate_that_cannot_be_used_keeps_the_server_from_starting(served, tmp_path):
    (tmp_path / "web.key").unlink()
    with pytest.raises(LocalFault, match=r"web\.tls: .*web\.pem and .*web\.key cannot be used: no such file"):
        async with serve(lambda *_: None, "127.0.0.1", 0, served):
            pass


@contextmanager
def a_prometheus(folder: Path, settings: object):
    """Run a real one with these settings; yields its address."""
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    port = free_port()
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def value_of(prometheus: str, series: str) -> str | None:
    try:
        with urllib.request.urlopen(f"{prometheus}/api/v1/query?query={series}", timeout=10) as answer:  # noqa: S310
            result = json.load(answer)["data"]["result"]
    except OSError:  # not up yet
        return None
    return result[0]["value"][1] if result else None


@pytest.mark.servers
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is missing: deploy/testbed/install")
async def test_prometheus_scrapes_over_tls_with_its_login_and_probes_with_the_token(serving, served, tmp_path):
    for name, content in (("password", "correct horse"), ("token", TOKEN)):
        (tmp_path / name).write_text(content)

    def run(name: str) -> asyncio.Task[Sent] | None:
        async def send() -> Sent:
            return Sent(canary=a_canary(), attempt=accepted(), online=True)

        return asyncio.ensure_future(send()) if name == "relay" else None

    def job(port: int, name: str, path: str, **more: object) -> dict[str, object]:
        return {
            "job_name": name,
            "scheme": "https",
            "metrics_path": path,
            "tls_config": {"ca_file": str(tmp_path / "ca.pem")},
            "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
            **more,
        }

    async with serving(
        tls=served, users={"prometheus": lambda: a_hash("correct horse")}, token=lambda: TOKEN, run=run
    ) as client:
        login = {"username": "prometheus", "password_file": str(tmp_path / "password")}
        token = {"credentials_file": str(tmp_path / "token")}
        jobs = [
            job(client.port, "relaycanary", "/metrics", basic_auth=login),
            job(client.port, "mail-probe", "/probe", authorization=token, params={"check": ["relay"]}),
            job(client.port, "stranger", "/metrics"),
        ]
        settings = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}

        def scraped() -> None:
            with a_prometheus(tmp_path, settings) as prometheus:
                for series in ('up{job="relaycanary"}', 'probe_success{job="mail-probe"}'):
                    quoted = urllib.parse.quote(series)
                    until(lambda quoted=quoted: value_of(prometheus, quoted) == "1")
                stranger = urllib.parse.quote('up{job="stranger"}')
                until(lambda: value_of(prometheus, stranger) is not None)
                assert value_of(prometheus, stranger) == "0"

        await asyncio.to_thread(scraped)
