"""A bar for what takes long: on standard error, and only where that is a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from agent.commands import output
from agent.log import plain

_WIDTH = 24


class Bar:
    """Tells how far something has come."""

    def __init__(self, progress: Progress, doing: str) -> None:
        self._progress = progress
        self._task = progress.add_task(plain(doing), total=None)

    def reach(self, done: int, of: int | None = None) -> None:
        """Show that *done* of *of* are done; without a number of all, something moves to and fro."""
        self._progress.update(self._task, completed=done, total=of)

    def say(self, doing: str) -> None:
        """Show what is being done."""
        self._progress.update(self._task, description=plain(doing))


@contextmanager
def bar(doing: str, *, silent: bool = False) -> Iterator[Bar]:
    """Show a bar until the end of the block; nothing where *silent*, or where standard error is no terminal."""
    screen = output.console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(_WIDTH), _Counted(), TimeElapsedColumn())
    progress = Progress(
        *columns,
        console=screen,
        transient=True,
        disable=silent or not screen.is_terminal,
        redirect_stdout=False,  # what is printed meanwhile goes where it was meant to go, a pipe as a rule
        redirect_stderr=False,
    )
    with progress:
        yield Bar(progress, doing)


class _Counted(ProgressColumn):
    """How many of how many; nothing while that is not known."""

    def render(self, task: Task) -> Text:
        """Write it."""
        return Text(
            "" if task.total is None else f"{task.completed:.0f} of {task.total:.0f}", style="progress.download"
        )
