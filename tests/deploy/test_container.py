"""The image is made as a careful admin would: not root, nothing secret inside, its health asked for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from agent.web.app import _HEALTHY

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "docker"
LINES = re.sub(r"\\\n\s*", " ", (FOLDER / "Dockerfile").read_text(encoding="utf-8")).splitlines()
INSTRUCTIONS = [tuple(line.split(None, 1)) for line in LINES if line and not line.startswith("#")]
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
LAST_STAGE = INSTRUCTIONS[[word for word, _ in INSTRUCTIONS].index("FROM", 2) :]


def of(instruction, instructions=INSTRUCTIONS):
    return [words for word, words in instructions if word == instruction]


def test_every_stage_stands_on_the_one_base_that_a_build_may_pin_by_digest():
    assert of("ARG") == ["PYTHON_IMAGE=python:3.13-slim-bookworm"]
    assert [words.partition(" AS ")[0] for words in of("FROM")] == ["${PYTHON_IMAGE}"] * 2
    # a first part with a dot or a colon would be the host of a registry
    assert "/" not in of("ARG")[0]


def test_the_image_runs_as_a_user_that_is_not_root_and_has_a_fixed_number():
    (user,) = of("USER", LAST_STAGE)
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    after = LAST_STAGE[LAST_STAGE.index(("USER", user)) :]
    assert of("RUN", after) == of("COPY", after) == []


def test_what_is_installed_is_locked_by_hash_and_the_compilers_stay_behind():
    installs = re.findall(r"pip install [^&\n]*", "\n".join(of("RUN")))
    assert len(installs) == 2
    assert "--require-hashes -r deploy/requirements/run.lock" in installs[0]
    assert "--no-deps" in installs[1]
    assert "pip" not in "\n".join(of("RUN", LAST_STAGE))
    assert of("COPY", LAST_STAGE) == ["--from=build /opt/relaycanary /opt/relaycanary"]


def test_nothing_but_the_code_can_get_into_the_build():
    copied = {one for words in of("COPY") if "--from" not in words for one in words.split()[:-1]}
    assert all((ROOT / one).exists() for one in copied)
    assert IGNORED[1] == "*"
    assert {line[1:] for line in IGNORED if line.startswith("!")} == copied


def test_nothing_in_it_is_a_secret_or_comes_from_anywhere_else():
    text = "\n".join(LINES)
    assert of("ADD") == []
    assert not re.search(r"curl|wget|://(?!127)|(?i:password|secret|token)\s*=", text)


@contextmanager
def answering(status):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == _HEALTHY else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_believes_only_an_agent_that_says_it_is_healthy(status, healthy):
    (words,) = of("HEALTHCHECK")
    python, *arguments = json.loads(words.partition("CMD ")[2])
    assert python == "/opt/relaycanary/bin/python"
    with answering(status) as port:
        arguments = [one.replace("9825", str(port)) for one in arguments]
        done = subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    assert (done.returncode == 0) is healthy


def test_the_readme_lists_every_restriction_that_the_image_can_live_with():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for option in ("--read-only", "--tmpfs /tmp", "--cap-drop ALL", "no-new-privileges", "--stop-timeout 60"):
        assert option in text
    assert "-p 127.0.0.1:9825:9825" in text
    assert not re.search(r"-v \.", text)  # older engines take a path from the root only
    assert "MPLCONFIGDIR=/tmp/matplotlib" in of("ENV")[0]
