"""``relaycanary alerts`` and what is below it, as the command line knows them."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.commands.options import Config, Json

alerts_app = typer.Typer(
    help="The agent's own alerts: prove that they reach somebody.", no_args_is_help=True, rich_markup_mode=None
)


@alerts_app.command("test")
def _alerts_test(
    config: Config = None,
    channel: Annotated[str | None, typer.Option("--channel", help="Try this one only.")] = None,
    json: Json = False,
) -> None:
    """Send a page that says it is a test by every channel, and say whether each took it. No agent need run.

    Exit code: 0 if all took it, else 1.
    """
    from agent.commands.alerts import try_channels

    raise typer.Exit(try_channels(config, channel=channel, json=json))
