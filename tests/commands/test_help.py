"""What the command line teaches: help with examples that work, on a narrow terminal, and what Tab offers."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from docs.command_line import problem
from typer.main import get_command
from typer.testing import CliRunner

from agent.__main__ import app
from agent.commands.examples import EXAMPLES, SHORT

Write = Callable[..., Path]
TOP = get_command(app)
GROUPS = {"ledger", "alerts", "lab"}
VERBS = [
    *TOP.commands,
    *(f"{group} {name}" for group in sorted(GROUPS) for name in TOP.commands[group].commands),
]
MACHINE_READABLE_ANYWAY = {"config-schema", "ledger export", "rules"}
NOTHING_TO_TELL = {"run", "init", "hash-password", "lab", "ledger", "alerts"}


def shown(verb: str) -> str:
    result = CliRunner().invoke(app, [*verb.split(), "--help"], env={"COLUMNS": "80", "TERM": "dumb"})
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_line_of_its_own_and_examples(verb: str) -> None:
    assert SHORT[verb] in shown(verb.split(maxsplit=1)[0] if " " in verb else "")
    if verb not in {"ledger", "alerts"}:
        assert "Examples:\n" in shown(verb)


@pytest.mark.parametrize("verb", VERBS)
def test_help_fits_80_columns_and_cuts_no_word(verb: str) -> None:
    lines = shown(verb).splitlines()
    assert [line for line in lines if len(line) > 80 and "|" not in line and "relaycanary" not in line] == []
    assert [line for line in lines if line.endswith(("…", "...")) and not line.startswith("Usage")] == []


@pytest.mark.parametrize(
    "example", [command for examples in EXAMPLES.values() for command, _ in examples], ids=lambda text: text[:40]
)
def test_every_example_is_one_that_the_command_takes(example: str) -> None:
    parts = example.replace("\\\n", " ").replace("$(date +%F)", "today").split("|")
    (own,) = [part for part in parts if part.strip().startswith("relaycanary")] or [""]
    words = shlex.split(own.partition(">")[0])
    assert not words or problem(words[1:]) is None or problem(words[1:]) == ""


@pytest.mark.parametrize("verb", sorted({*VERBS} - MACHINE_READABLE_ANYWAY - NOTHING_TO_TELL))
def test_whatever_tells_something_tells_it_to_programs_too(verb: str) -> None:
    assert "--json" in shown(verb)


def complete(environment: Mapping[str, str]) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("_TYPER", "COMP_"))}
    run = subprocess.run(
        [Path(sys.executable).with_name("relaycanary")],
        env={**kept, **environment},
        check=False,
        capture_output=True,
        text=True,
    )
    return run.stdout


@pytest.mark.parametrize(
    ("shell", "line"),
    [("bash", "complete -o default -F"), ("zsh", "#compdef relaycanary"), ("fish", "complete --command relaycanary")],
)
def test_each_shell_has_its_script_of_completion(shell: str, line: str) -> None:
    assert line in complete({"_RELAYCANARY_COMPLETE": f"source_{shell}"})


@pytest.mark.parametrize(
    ("shell", "typed", "offered"),
    [
        ("bash", "relaycanary ledger ver", "verify"),
        ("zsh", "relaycanary pro", "probe"),
        ("zsh", "relaycanary status sub", "submission"),
        ("fish", "relaycanary probe sub", "submission"),
    ],
)
def test_verbs_and_names_of_checks_are_completed(settings: Write, shell: str, typed: str, offered: str) -> None:
    said = complete(
        {
            "RELAYCANARY_CONFIG": str(settings()),
            "_RELAYCANARY_COMPLETE": f"complete_{shell}",
            "_TYPER_COMPLETE_ARGS": typed,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(typed.split()) - 1),
        }
    )
    assert offered in said


def test_bash_itself_completes_the_name_of_a_check(settings: Write) -> None:
    folder = Path(sys.executable).parent
    script = (
        f"PATH={shlex.quote(str(folder))}:$PATH; source <(_RELAYCANARY_COMPLETE=source_bash relaycanary)\n"
        'COMP_WORDS=(relaycanary probe gra); COMP_CWORD=2; _relaycanary_completion relaycanary; echo "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "RELAYCANARY_CONFIG": str(settings())}
    run = subprocess.run(["bash", "-c", script], env=environment, check=False, capture_output=True, text=True)
    assert run.stdout.strip() == "graph"
