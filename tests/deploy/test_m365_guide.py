"""The guide for the tenant names only what exists: cmdlets, parameters, settings, commands, files."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from agent.__main__ import app
from agent.commands.initial.answers import Method, Reading
from agent.commands.initial.steps import _OF_METHOD, _OF_READING, Step
from agent.config.expectations import CheckSettings, Expect
from agent.config.model import CREDENTIALS
from checks import registry
from checks.knowledge import Exactness, diagnose_text

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "deploy" / "m365"
FILES = sorted(GUIDE.glob("*.md"))
STEPS = [file for file in FILES if file.stem not in {"README", "troubleshooting"}]
TEXTS = {file.name: file.read_text(encoding="utf-8") for file in FILES}
CMDLETS = {
    name: set(parameters)
    for module in tomllib.loads((ROOT / "tests/data/m365/cmdlets.toml").read_text(encoding="utf-8")).values()
    for name, parameters in module.items()
}
CMDLET = re.compile(r"\b((?:Add|Connect|Disconnect|Format|Get|Install|New|Remove|Resolve|Set|Test|Where)-[A-Z]\w+)")
PARAMETER = re.compile(r"(?<![\w\"'-])-([A-Za-z]\w+)")
QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
PARENTHESES = re.compile(r"\([^()]*\)")


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(text):
    """Yield each command of a pipeline, in blocks and in inline code, with its parameters."""
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for line in [line for block in blocks(text, "powershell") for line in block.splitlines()] + inline:
        bare = QUOTED.sub("''", line.partition(" # ")[0])
        nested = PARENTHESES.findall(bare)
        for part in [*nested, *re.split(r"[|=]", PARENTHESES.sub("", bare))]:
            cmdlet = CMDLET.search(part)
            if cmdlet:
                yield cmdlet[1], set(PARAMETER.findall(part[cmdlet.end() :]))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_cmdlet_and_every_parameter_exists(file):
    unknown = {
        (cmdlet, parameter)
        for cmdlet, parameters in commands(TEXTS[file.name])
        for parameter in parameters or {None}
        if cmdlet not in CMDLETS or (parameter is not None and parameter not in CMDLETS[cmdlet])
    }
    assert not unknown


def test_the_list_has_nothing_that_the_guide_does_not_use():
    used = {}
    for text in TEXTS.values():
        for cmdlet, parameters in commands(text):
            used.setdefault(cmdlet, set()).update(parameters)
        for parameter in re.findall(r"`-(\w+)", text):  # named by itself in a sentence
            for cmdlet, known in CMDLETS.items():
                if parameter in known and cmdlet in text:
                    used.setdefault(cmdlet, set()).add(parameter)
    assert used == CMDLETS


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_link_leads_to_a_file(file):
    links = re.findall(r"\]\(([^)#]+)", TEXTS[file.name])
    assert [link for link in links if not (GUIDE / link).is_file()] == []


@pytest.mark.parametrize("file", STEPS, ids=lambda file: file.name)
def test_every_step_says_how_to_see_that_it_worked_and_how_to_take_it_back(file):
    text = TEXTS[file.name]
    assert "## See that it worked" in text
    assert "## Take it back" in text


def fields(section, entry):
    if section == "checks":
        return CheckSettings.model_fields
    if section == "credentials":
        return CREDENTIALS[entry["kind"]].model_fields
    group = {"paths": registry.PATHS, "mailboxes": registry.MAILBOXES}[section]
    return {"kind", *registry.load(group, entry["kind"]).Settings.model_fields}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_setting_exists(file):
    for block in blocks(TEXTS[file.name], "yaml"):
        for section, entries in yaml.safe_load(block).items():
            for entry in entries.values():
                assert set(entry) <= set(fields(section, entry)), block
                assert set(entry.get("expect", {})) <= set(Expect.model_fields), block


def test_every_command_exists():
    known = {command.name for command in app.registered_commands}
    used = {name for text in TEXTS.values() for name in re.findall(r"`relaycanary ([a-z-]+)", text)}
    assert used
    assert used <= known


def test_every_kind_exists():
    used = {name for text in TEXTS.values() for name in re.findall(r"`kind: (\w+)`", text)}
    assert used <= {*registry.kinds(registry.PATHS), *registry.kinds(registry.MAILBOXES), *CREDENTIALS}


def test_every_step_of_init_has_its_file_and_every_file_is_a_step():
    assert {file.stem for file in STEPS} == set(Step)
    for step in Step:
        assert TEXTS[f"{step}.md"].startswith(f"# {step.purpose[0].upper()}{step.purpose[1:]}\n")


def test_the_table_of_the_readme_says_what_init_says():
    columns = [_OF_METHOD[Method.SUBMISSION], _OF_METHOD[Method.RELAY], _OF_METHOD[Method.DIRECT_SEND]]
    columns += [_OF_READING[Reading.GRAPH], _OF_READING[Reading.IMAP_TENANT]]
    rows = re.findall(r"^\| \[([\w-]+)\]\(([\w-]+)\.md\): ([^|]+?) \|(.*)\|$", TEXTS["README.md"], re.MULTILINE)
    assert [(name, target, purpose) for name, target, purpose, _ in rows] == [(s, s, s.purpose) for s in Step]
    for step, (*_, cells) in zip(Step, rows, strict=True):
        marks = [cell.strip() == "yes" for cell in cells.split("|")]
        assert marks == [step in column for column in columns], step


def test_every_answer_that_is_troubleshot_is_known_by_its_words_or_its_code():
    answers = re.findall(r"^\| `([^`]+)` \|", TEXTS["troubleshooting.md"], re.MULTILINE)
    assert len(answers) > 15
    found = {answer: diagnose_text(answer) for answer in answers}
    assert [answer for answer, known in found.items() if known is None or known.exactness is Exactness.CLASS] == []
