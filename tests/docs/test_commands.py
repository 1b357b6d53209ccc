"""Every command in the documents is run, or held against what there is, as it stands there."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docs.command_line import problem
from docs.markdown import ROOT, blocks, documents, inline
from docs.sandbox import Box, box

from agent.__main__ import app

SHELL = [block for block in blocks() if block.language == "sh"]
NOT_RUN = {
    "deploy/testbed/install": "`make test` has run it, as root",
    'python3 -m venv "$new"': "deploy/systemd/try_install runs this and what follows",
    '"$new/bin/pip" install --require-hashes -r deploy/requirements/run.lock': "as above",
    '"$new/bin/pip" install --no-deps --no-build-isolation .': "as above",
    'ln -sfnT "$new" /opt/relaycanary/venv': "as above",
    'runuser -u relaycanary -- "$new/bin/relaycanary" check-config -c /etc/relaycanary/relaycanary.yaml': "as above",
}
"""Lines that are left out of their block, and why."""
VERBS = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
SERVERS = {
    "dashboards/runbooks/RelaycanaryAgentMissing.md",
    "dashboards/runbooks/RelaycanaryWatchdog.md",
    "deploy/testbed/README.md",
}
"""Documents whose commands need servers and tools from Debian."""


@pytest.fixture(scope="module")
def machine() -> Iterator[Box]:
    with tempfile.TemporaryDirectory(prefix="docs-") as folder:
        Path(folder).chmod(0o755)  # the testbed's servers are other users
        with box(Path(folder).resolve()) as made:
            yield made


def of_documents() -> Iterator[Any]:
    for file in dict.fromkeys(block.file for block in SHELL):
        yield pytest.param(file, marks=[pytest.mark.servers] if file in SERVERS else [], id=file)


@pytest.mark.parametrize("file", [*of_documents()])
def test_the_commands_of_a_document_run_one_after_the_other(machine: Box, file: str) -> None:
    script = []
    for block in SHELL:
        if block.file == file:
            kept = [line for line in block.text.splitlines() if line.partition("#")[0].strip() not in NOT_RUN]
            script += [f": the block that begins in line {block.line}", *kept]
    done = machine.bash("\n".join(script))
    machine.lab.heal()
    assert done.returncode == 0, f"{file}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def test_every_line_that_is_not_run_stands_in_a_document() -> None:
    lines = {line.partition("#")[0].strip() for block in SHELL for line in block.text.splitlines()}
    assert set(NOT_RUN) <= lines


def written() -> Iterator[tuple[str, str]]:
    """Walk through every command line of relaycanary: in blocks and within sentences, with where it stands."""
    for file in documents():
        for code in inline(file):
            if code.startswith("relaycanary ") and not re.search(r"[…|]|\.\.\.|\[", code):
                yield file, code
    for block in SHELL:
        for line in block.text.replace("\\\n", " ").splitlines():
            for words in commands(line):
                yield str(block), shlex.join(words)


def commands(line: str) -> Iterator[list[str]]:
    """Walk through the commands of relaycanary in a line of shell, whatever stands before, between and behind them."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("();<>|&"):
            for place, one in enumerate(words):
                rest = words[place + 1 :]
                told = Path(one).name == "relaycanary" and (place == 0 or (rest and rest[0] in VERBS))
                if told:  # at the beginning, or behind what runs it: runuser, docker, kubectl
                    yield ["relaycanary", *rest]
                    break
            words = []
        else:
            words.append(word)


def test_every_command_line_of_relaycanary_is_one_that_it_takes() -> None:
    lines = sorted(set(written()))
    wrong = [
        f"{where}: {line}: {said}" for where, line in lines if (said := problem(shlex.split(line, comments=True)[1:]))
    ]
    assert not wrong, "\n".join(wrong)
    assert len(lines) > 60


def test_every_target_of_make_in_a_sentence_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    told = {(file, code.split()[1]) for file in documents() for code in inline(file) if re.match(r"make [a-z]", code)}
    assert told
    assert [one for one in sorted(told) if one[1] not in targets] == []
