"""``relaycanary lab`` and what is below it, as the command line knows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

LAB = Path(".lab")
"""Where the lab keeps its state, unless somebody says otherwise."""

lab_app = typer.Typer(
    help="The simulated tenant on loopback: run it, break it, heal it.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
_Directory = Annotated[Path, typer.Option("--directory", "-d", help="Where the lab keeps its state.")]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]


@lab_app.callback()
def _lab(
    context: typer.Context,
    directory: _Directory = LAB,
    history: Annotated[str | None, typer.Option("--history", help="Make up a past, like 35d, and end.")] = None,
    until_eof: Annotated[bool, typer.Option("--until-eof", hidden=True)] = False,
    wait: Annotated[bool, typer.Option("--wait", hidden=True)] = False,
    keep_report: Annotated[bool, typer.Option("--keep-report", hidden=True)] = False,
) -> None:
    """Run the simulated tenant alone, until SIGTERM, or change the one that runs."""
    if context.invoked_subcommand is None and keep_report:
        from agent.commands.history import keep_report as keep

        raise typer.Exit(keep(directory))
    if context.invoked_subcommand is None and history is not None:
        from agent.commands.history import history as make_up
        from agent.commands.history import report_beside

        code = make_up(directory, history, wait=wait)
        if code == 0 and not wait:
            report_beside(directory)
        raise typer.Exit(code)
    if context.invoked_subcommand is None:
        from agent.commands.lab import lab

        raise typer.Exit(lab(directory, until_eof=until_eof))


@lab_app.command("break")
def _lab_break(
    path: Annotated[str | None, typer.Argument(help="A path or mailbox of the lab.")] = None,
    fault: Annotated[str | None, typer.Argument(help="What is to go wrong; without it, the faults are listed.")] = None,
    directory: _Directory = LAB,
    json: _Json = False,
) -> None:
    """Break one path or mailbox of the running lab; without a fault, list what can go wrong."""
    from agent.commands.lab import break_

    raise typer.Exit(break_(directory, path, fault, json=json))


@lab_app.command("heal")
def _lab_heal(
    path: Annotated[str | None, typer.Argument(help="What to heal; everything without it.")] = None,
    directory: _Directory = LAB,
    json: _Json = False,
) -> None:
    """Make the running lab whole again."""
    from agent.commands.lab import heal

    raise typer.Exit(heal(directory, path, json=json))
