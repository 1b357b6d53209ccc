"""The JSON Schema of the settings: what editors complete and check by takes what the agent takes, and marks typos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from agent.commands.initial.answers import Answers, Method, Reading, Recipients
from agent.commands.initial.compose import compose
from agent.config import document
from agent.config.json_schema import FILE_NAME, settings_schema, shipped, written
from agent.config.problems import Problems
from checks.lab import Lab

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "data" / "settings"
SCHEMA = settings_schema()


def read(file: Path) -> dict[str, Any]:
    return document.read(file, Problems(file))


def mistakes(settings: dict[str, Any]) -> list[str]:
    return [error.message for error in Draft7Validator(SCHEMA).iter_errors(settings)]


def test_the_schema_in_the_package_is_that_of_the_models() -> None:
    assert shipped() == written(SCHEMA), "relaycanary config-schema > agent/config/settings.schema.json"


def test_the_schema_is_one() -> None:
    Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", sorted((DATA / "good").glob("*.yaml")), ids=lambda file: file.stem)
def test_settings_that_the_agent_takes_are_right_by_the_schema(file: Path) -> None:
    assert mistakes(read(file)) == []


def test_the_settings_of_the_lab_are_right_by_the_schema(tmp_path: Path) -> None:
    with Lab(tmp_path) as lab:
        assert mistakes(read(lab.info.settings)) == []


@pytest.mark.parametrize("method", [*Method, None])
@pytest.mark.parametrize("reading", Reading)
def test_what_init_writes_is_right_by_the_schema_that_it_names(
    tmp_path: Path, method: Method | None, reading: Reading
) -> None:
    answers = Answers(
        domain="contoso.example",
        recipients=Recipients.OUTSIDE,
        licensed=True,
        static_ip=True,
        certificate=True,
        port_25_blocked=False,
        sender="canary@contoso.example",
        reading=reading,
        mailbox="inbox@contoso.example",
        imap_host="imap.outside.example",
    )
    text = compose(answers, method).text
    assert text.splitlines()[0] == f"# yaml-language-server: $schema={FILE_NAME}"
    file = tmp_path / "relaycanary.yaml"
    file.write_text(text)
    assert mistakes(read(file)) == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        pytest.param(("chekcs",), {}, id="a section that does not exist"),
        pytest.param(("checks", "relay", "evry"), "60s", id="a key that does not exist"),
        pytest.param(("checks", "relay", "every"), "60", id="a duration without a unit"),
        pytest.param(("checks", "relay", "severity"), "critcal", id="a word that is not one of the choices"),
        pytest.param(("checks", "relay", "expect", "spf"), "passed", id="a result that SPF has not"),
        pytest.param(("checks", "a check"), {"path": "relay", "mailbox": "outside", "every": "60s"}, id="a name"),
        pytest.param(("paths", "relay", "kind"), "rely", id="a kind that does not exist"),
        pytest.param(("paths", "relay", "port"), "25", id="a port that is text"),
        pytest.param(("paths", "relay", "domian"), "contoso.com", id="a key of a path that does not exist"),
        pytest.param(("credentials", "outside", "password"), "hunter2", id="a secret in plain sight"),
        pytest.param(("mailboxes", "outside", "folder"), ["INBOX"], id="a key of a mailbox that does not exist"),
    ],
)
def test_a_mistake_is_marked(place: tuple[str, ...], value: Any) -> None:
    settings = read(DATA / "good" / "design.yaml")
    assert mistakes(settings) == []
    *parents, last = place
    inner = settings
    for one in parents:
        inner = inner.setdefault(one, {})
    inner[last] = value
    assert mistakes(settings) != []


def keys() -> list[tuple[str, str]]:
    return [(name, key) for name, one in SCHEMA["$defs"].items() for key in one.get("properties", {})]


@pytest.mark.parametrize(("name", "key"), keys(), ids=lambda text: text.rpartition("__")[2])
def test_every_key_says_what_it_means_with_an_example_that_fits(name: str, key: str) -> None:
    of_key = SCHEMA["$defs"][name]["properties"][key]
    if "const" in of_key:
        return
    assert of_key["description"]
    (example,) = of_key["examples"]
    Draft7Validator({**of_key, "$defs": SCHEMA["$defs"]}).validate(example)
