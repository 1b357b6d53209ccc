"""The samples of how an application sends: each is run against the lab, as it stands there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.process import until
from support.receiver import receiving

from checks.knowledge import diagnose_text
from checks.lab import Lab
from checks.lab.tenant import CLIENT_ID

SAMPLES = Path(__file__).parents[2] / "deploy" / "samples"
METHODS = ("relay", "direct_send", "submission")
LANGUAGES = [
    "python",
    pytest.param("node", marks=pytest.mark.servers),
    pytest.param("php", marks=pytest.mark.servers),
]
every_language = pytest.mark.parametrize("language", LANGUAGES)
Send = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as running:
        yield running


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples for Node, with what their lock names."""
    assert shutil.which("npm"), "npm is not installed: deploy/testbed/install"
    folder = tmp_path_factory.mktemp("node")
    for file in (SAMPLES / "node").iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def send(lab: Lab, request: pytest.FixtureRequest) -> Send:
    """Run a sample; the systems' own variables name the lab's authority, and keywords change the rest."""
    files = lab.directory
    common = {
        "PATH": os.environ["PATH"],
        "MAIL_HOST": "127.0.0.1",
        "SSL_CERT_FILE": str(files / "ca.pem"),
        "NODE_EXTRA_CA_CERTS": str(files / "ca.pem"),
    }
    ways = {
        "relay": {
            "MAIL_PORT": str(lab.port("relay")),
            "MAIL_FROM": "scanner@contoso.example",
            "MAIL_TO": "canary@outside.example",
            "MAIL_CERTIFICATE": str(files / "relay-client.pem"),
        },
        "direct_send": {
            "MAIL_PORT": str(lab.port("direct")),
            "MAIL_FROM": "scanner@contoso.example",
            "MAIL_TO": "canary@contoso.example",
        },
        "submission": {
            "MAIL_PORT": str(lab.port("submission")),
            "MAIL_FROM": "noreply@contoso.example",
            "MAIL_TO": "canary@outside.example",
            "AUTHORITY": f"https://127.0.0.1:{lab.port('entra')}",
            "TENANT": "contoso.example",
            "CLIENT_ID": CLIENT_ID,
            "CLIENT_SECRET_FILE": str(files / "client-secret"),
        },
    }

    def run(language: str, method: str, **changes: str) -> subprocess.CompletedProcess[str]:
        program, folder, ending = {
            "python": (sys.executable, SAMPLES / "python", "py"),
            "node": ("node", request.getfixturevalue("node") if language == "node" else None, "js"),
            "php": ("php", SAMPLES / "php", "php"),
        }[language]
        return subprocess.run(
            [program, f"{folder}/{method}.{ending}"],
            env={**common, **ways[method], **changes},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    yield run  # type: ignore[misc]
    lab.heal()


def arrived(lab: Lab) -> int:
    mails = lab.status()["mails"]
    return sum(mails[mailbox]["INBOX"] for mailbox in ("inbox", "outside"))


@pytest.mark.parametrize("method", METHODS)
@every_language
def test_a_sample_delivers(lab: Lab, send: Send, language: str, method: str) -> None:
    before = arrived(lab)
    done = send(language, method)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("handed over")
    until("it has arrived", lambda: arrived(lab) == before + 1, within=60)


@pytest.mark.parametrize("method", METHODS)
@every_language
def test_a_sample_sends_nothing_to_a_server_that_it_cannot_verify(
    lab: Lab, send: Send, language: str, method: str
) -> None:
    before = lab.status()
    done = send(language, method, SSL_CERT_FILE=os.devnull, NODE_EXTRA_CA_CERTS="")
    assert done.returncode == 75
    assert "certificate" in done.stderr
    assert lab.status()["mails"] == before["mails"]


@every_language
def test_a_refusal_is_told_in_words_that_explain_knows_and_is_no_reason_to_try_again(send: Send, language: str) -> None:
    done = send(language, "relay", MAIL_CERTIFICATE="")
    assert done.returncode == 1
    assert done.stderr.startswith("550 5.7.64 TenantAttribution; Relay Access Denied")
    assert diagnose_text(done.stderr.strip()) is not None


@every_language
def test_a_temporary_refusal_is_a_reason_to_keep_the_message(lab: Lab, send: Send, language: str) -> None:
    lab.break_("direct", "defer_rcpt")
    done = send(language, "direct_send")
    assert done.returncode == 75
    assert done.stderr.startswith("4")


@every_language
def test_an_expired_secret_is_told_by_its_number(lab: Lab, send: Send, language: str) -> None:
    lab.break_("entra", "secret_expired")
    done = send(language, "submission")
    assert done.returncode == 1
    assert "AADSTS7000222" in done.stderr


@every_language
def test_a_token_that_is_not_to_be_had_for_now_is_a_reason_to_keep_the_message(
    lab: Lab, send: Send, language: str
) -> None:
    lab.break_("entra", "entra_unavailable")
    done = send(language, "submission")
    assert done.returncode == 75
    assert done.stderr.startswith("AADSTS90033")
    lab.heal("entra")
    lab.break_("entra", "entra_down")
    done = send(language, "submission")
    assert done.returncode == 75
    assert "refused" in done.stderr.lower()


@pytest.mark.parametrize(
    ("status", "words", "code", "said"),
    [
        (429, b'{"error_description": "AADSTS90055: too many requests"}', 75, "AADSTS90055"),
        (504, b"<html>Gateway Timeout</html>", 75, "answers 504"),
        (403, b"<html>the proxy does not know you</html>", 75, "answers 403"),
        (400, b'{"error": "invalid_request"}', 1, "answers 400"),
    ],
    ids=["busy", "a page of a server in trouble", "a page of a proxy", "a refusal"],
)
@every_language
def test_what_answers_in_the_place_of_entra_decides_whether_the_message_is_kept(
    send: Send, language: str, status: int, words: bytes, code: int, said: str
) -> None:
    with receiving() as platform:
        platform.words = words
        platform.answers = [(status, {})]
        done = send(language, "submission", AUTHORITY=platform.url.rstrip("/"))
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert len(platform.got) == 1


def test_the_lock_of_node_names_no_host() -> None:
    assert "://" not in (SAMPLES / "node" / "package-lock.json").read_text(encoding="utf-8")
