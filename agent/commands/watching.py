"""``relaycanary status --watch``: the tables of `status`, renewed in their place until Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from agent.commands import output
from agent.ledger import LedgerError
from agent.log import plain

_EVERY = 2.0  # seconds


def watch(show: Callable[[Console], None]) -> None:
    """Have *show* print to a console, and show what it printed, again and again.

    A ledger that cannot be read is said in the place of the tables, and looked at again.
    """
    with Live(console=output.console(), auto_refresh=False, vertical_overflow="visible") as live:
        while True:
            live.update(_looked(show), refresh=True)
            threading.Event().wait(_EVERY)


def _looked(show: Callable[[Console], None]) -> Text:
    paper = output.console()
    try:
        with paper.capture() as captured:
            show(paper)
    except LedgerError as error:
        return Text(plain(str(error)), style="red")
    return Text.from_ansi(captured.get().rstrip("\n"))
