"""Settings, rules and Python that stand in the documents can be used as they stand there; links lead somewhere."""

from __future__ import annotations

import re
import smtplib
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pytest
import trustme
import yaml
from docs.markdown import ROOT, Block, blocks, documents, indented, links, prose, text
from mailservers.testbed import Testbed

from agent.config.load import load
from agent.config.sections import _NAMED, _SINGLE
from checks.lab import Lab

SECTIONS = {*_SINGLE, *_NAMED}
YAML = [block for block in blocks() if block.language == "yaml"]
SETTINGS = [block for block in YAML if set(yaml.safe_load(block.text)) <= SECTIONS]
RULES = [block for block in YAML if set(yaml.safe_load(block.text)) == {"groups"}]
ROUTES = [block for block in YAML if {"route", "receivers"} <= set(yaml.safe_load(block.text))]
PYTHON = [block for block in blocks() if block.language == "python"]
HELD_ELSEWHERE = {
    "powershell": "there is no Exchange Online here: tests/deploy/test_m365_guide.py knows every cmdlet and parameter",
    "ini": "a drop-in of systemd: tests/deploy/test_systemd.py looks for every credential in it",
    "text": "shown, not typed: what a command prints, or the layout of a folder",
    "": "as text",
}
"""Languages whose blocks are not run here, and why."""
NEEDS = {
    "credentials": {
        "app": {"kind": "entra", "tenant": "contoso.com", "client_id": "4b1c0a53", "client_secret": {"file": "secret"}},
        "outside": {"kind": "password", "username": "canary@outside.example", "password": {"file": "secret"}},
    },
    "paths": {
        "relay": {"kind": "relay", "domain": "contoso.com", "sender": "canary@contoso.com"},
        "direct": {"kind": "direct_send", "domain": "contoso.com", "sender": "canary@contoso.com"},
        "submission": {
            "kind": "submission",
            "host": "smtp.office365.com",
            "credential": "app",
            "sender": "canary@contoso.com",
        },
    },
    "mailboxes": {
        "outside": {
            "kind": "imap",
            "host": "imap.provider.example",
            "credential": "outside",
            "address": "canary@outside.example",
        },
        "inbox": {"kind": "graph", "credential": "app", "address": "canary@contoso.com"},
        "sender": {"kind": "graph", "credential": "app", "address": "canary@contoso.com", "folders": ["sentitems"]},
    },
    "checks": {"relay": {"path": "relay", "mailbox": "outside", "every": "5m"}},
    "agent": {"signing_keys": [{"id": "k1", "secret": {"file": "secret"}}]},
}
"""What a fragment of settings may refer to without having it."""


def test_every_block_is_of_a_kind_that_is_held_somewhere() -> None:
    held = {"sh", "python", *HELD_ELSEWHERE}
    yaml_blocks = [*SETTINGS, *RULES, *ROUTES]
    strange = [str(block) for block in blocks() if block.language not in held and block not in yaml_blocks]
    assert strange == []


@pytest.mark.parametrize("file", documents())
def test_code_stands_in_fences(file: str) -> None:
    assert [f"{file}:{line}" for line in indented(file)] == []


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key with its certificate, which serves as authority too."""
    file = tmp_path_factory.mktemp("pem") / "all.pem"
    trustme.CA().issue_cert("contoso.com").private_key_and_cert_chain_pem.write_to_path(str(file))
    return file


def secrets(value: Any, *way: str) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Walk through the references to secrets and files, with the way to each."""
    if isinstance(value, dict):
        if value and set(value) <= {"file", "env"}:
            yield way, value
        for name, inner in value.items():
            yield from secrets(inner, *way, name)
    elif isinstance(value, list):
        for inner in value:
            yield from secrets(inner, *way)


def kept(way: tuple[str, ...]) -> str:
    """Return what may be kept at a reference."""
    if "users" in way:
        return "$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW"
    return "https://hc.example/ping/5c1e" if way[-1] == "url" else "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("block", SETTINGS, ids=str)
def test_settings_can_be_used(block: Block, pem: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fragment is put into settings that have what it leaves out; every file that it names is there."""
    content = yaml.safe_load(block.text)
    for section, known in NEEDS.items():
        content[section] = {**known, **content.get(section, {})} if isinstance(known, Mapping) else known
    for number, (way, reference) in enumerate(secrets(content)):
        if way[-1] in {"certificate", "client_certificate", "key"}:
            reference["file"] = str(pem)
        elif "textfile" in way:
            continue
        elif "env" in reference:
            monkeypatch.setenv(reference["env"], kept(way))
        else:
            file = tmp_path / str(number)
            file.write_text(kept(way))
            file.chmod(0o600)
            reference["file"] = str(file)
    settings = tmp_path / "relaycanary.yaml"
    settings.write_text(yaml.safe_dump(content).replace("ca_file: ", f"ca_file: {pem} #"))
    load(settings)


@pytest.mark.servers
@pytest.mark.parametrize("block", RULES, ids=str)
def test_rules_are_taken_by_prometheus(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(block.text)
    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.servers
@pytest.mark.parametrize("block", ROUTES, ids=str)
def test_routes_are_taken_by_alertmanager(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(block.text)
    done = subprocess.run(["amtool", "check-config", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", [block for block in PYTHON if "Testbed(" not in block.text], ids=str)
def test_python_runs(block: Block, tmp_path: Path) -> None:
    exec(compile(block.text, str(block), "exec"), {"Lab": Lab, "directory": tmp_path})  # noqa: S102 - our own documents


class Visited(Testbed):
    """A testbed to which somebody has sent a message."""

    def __enter__(self) -> Self:
        started = super().__enter__()
        with smtplib.SMTP(started.host, started.ports.mx) as smtp:
            smtp.sendmail("anybody@elsewhere.test", ["canary@corp.test"], b"Subject: hello\r\n\r\n")
        return started


@pytest.mark.servers
@pytest.mark.parametrize("block", [block for block in PYTHON if "Testbed(" in block.text], ids=str)
def test_python_runs_on_the_testbed(block: Block) -> None:
    with tempfile.TemporaryDirectory(prefix="docs-") as folder:
        Path(folder).chmod(0o755)
        found = {"Testbed": Visited, "directory": Path(folder)}
        exec(compile(block.text, str(block), "exec"), found)  # noqa: S102 - as above


@pytest.mark.parametrize("file", documents())
def test_every_row_of_a_table_has_as_many_columns_as_its_head(file: str) -> None:
    for table in re.findall(r"(?:^ *\|.*\|$\n?)+", prose(file), re.MULTILINE):
        columns = [len(re.findall(r"(?<!\\)\|", row)) for row in table.strip().splitlines()]
        assert len(set(columns)) == 1, f"{file}: {table.splitlines()[0]}"


@pytest.mark.parametrize("file", documents())
def test_every_link_within_the_project_leads_somewhere(file: str) -> None:
    folder = (ROOT / file).parent
    for target, place in links(file):
        found = folder / target if target else ROOT / file
        assert found.exists(), target
        if place:
            headings = re.findall(r"^#+ (.+)$", text(str(found.resolve().relative_to(ROOT))), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert place in anchors, f"{target}#{place}"
