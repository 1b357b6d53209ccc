"""What ``relaycanary init`` says: which way suits and why, what was written, and what is left to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from agent.commands.initial.answers import Answers, Method
from agent.commands.initial.compose import APP_SECRET, OUTSIDE_PASSWORD, PROVIDER_PASSWORD
from agent.commands.initial.method import Assessment, other_way
from agent.commands.initial.steps import steps
from agent.config.json_schema import FILE_NAME as SCHEMA
from agent.log import plain
from checks.knowledge.presets import presets

_LABEL = 14
_WIDEST = 110
_STEPS = "deploy/m365"
_NAMES = {Method.SUBMISSION: "submission", Method.RELAY: "relay", Method.DIRECT_SEND: "direct send"}
_SECRETS = {
    APP_SECRET: "the value of the app's client secret",
    OUTSIDE_PASSWORD: "the password of the mailbox that is read",
    PROVIDER_PASSWORD: "the password at the provider",
}


def show_choice(screen: Console, answers: Answers, assessments: Sequence[Assessment], chosen: Method | None) -> None:
    """Say of each method whether it suits and why, and which one is set up."""
    screen.print(Text("Which way of sending suits", style="bold"))
    for one in assessments:
        mark, style = ("suits", "green") if one.suits else ("does not suit", "yellow")
        _item(screen, _NAMES[one.method], f"{mark}: {one.why}.", style if one.method is chosen else "")
    if chosen is None:
        preset = presets()[other_way(answers)]
        _item(screen, "instead", f"{preset.name}, on port {preset.port} (kind: smtp, a preset).", "green")
        for note in preset.notes:
            _item(screen, " ", note)
        _item(screen, " ", "Or give the sender a licensed mailbox, and submit by it.")
    elif not next(one.suits for one in assessments if one.method is chosen):
        _item(screen, "chosen", f"{_NAMES[chosen]}, although it does not suit.", "yellow")
    else:
        _item(screen, "chosen", f"{_NAMES[chosen]}.", "green")
    screen.print()


def show_todo(
    screen: Console,
    answers: Answers,
    chosen: Method | None,
    file: Path,
    made: Sequence[Path],
    secrets: Sequence[str],
    *,
    needs_client_id: bool,
) -> None:
    """Say what was written, and what is left to do here and in the tenant."""
    screen.print(Text("Written", style="bold"))
    for path in made:
        remark = " (for editors)" if path.name == SCHEMA else " (readable by its owner only)"
        _item(screen, "", plain(str(path)) + ("" if path == file else remark))
    screen.print()
    screen.print(Text("To do here", style="bold"))
    number = 0
    for number, words in enumerate(_here(answers, chosen, file, secrets, needs_client_id=needs_client_id), 1):
        _item(screen, f"{number}", words)
    screen.print()
    needed = steps(answers, chosen)
    if needed:
        screen.print(Text("To do in the tenant, in this order", style="bold"))
        for number, step in enumerate(needed, 1):
            _item(screen, f"{number}", f"{_STEPS}/{step}.md: {step.purpose}")


def _here(
    answers: Answers, chosen: Method | None, file: Path, secrets: Sequence[str], *, needs_client_id: bool
) -> list[str]:
    where = plain(str(file))
    name = {Method.DIRECT_SEND: "direct", None: "provider"}.get(chosen) or str(chosen)
    lines = [f"put {_SECRETS[secret]} into {plain(str(file.parent / secret))}" for secret in secrets]
    if needs_client_id:
        lines.append(f"write the app's client_id into {where}")
    if chosen is Method.RELAY and answers.certificate and not answers.certificate_file:
        lines.append(f"put the certificate beside {where}, and name it there as client_certificate")
    return [
        *lines,
        f"relaycanary check-config -c {where}",
        f"relaycanary probe {name} -c {where}, once the tenant is ready",
    ]


def _item(screen: Console, label: str, words: str, style: str = "") -> None:
    """Print a labelled text; what is too long for the screen goes on below itself, and is whole in a pipe."""
    head = f"  {label:<{_LABEL}} " if label and not label.isdigit() else f"  {label:>2} " if label else "  "
    width = min(screen.width, _WIDEST) if screen.is_terminal else screen.width
    for number, line in enumerate(Text(words).wrap(screen, max(20, width - len(head)))):
        shown = Text(f"{' ' * len(head) if number else head}{line.plain}".rstrip(), style=style)
        screen.print(shown, no_wrap=True, overflow="ignore", crop=False)
