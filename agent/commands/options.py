"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Settings file (default: RELAYCANARY_CONFIG, then the usual places)."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]
