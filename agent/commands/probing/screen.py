"""Telling people about one canary, line by line as it happens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from agent.commands.output import STYLES, span
from agent.commands.probing.result import Result, headline, short
from agent.log import plain
from agent.server_words import server_lines
from agent.words import told
from checks.core import refusal
from checks.core.message import keeps_message_id, message_id, subject
from checks.core.model import Accepted, Attempt, Check, Refused, Stage, StageTiming, Untried, Verdict
from checks.ports import Endpoint

_INDENT = "  "
_FAILED = "red"
_NARROWEST = 20


@dataclass(frozen=True, slots=True)
class _Row:
    """What took how long, in seconds, and a remark; one that is `ours` is harmless, and shown in whole."""

    what: str
    seconds: float | None
    remark: str = ""
    style: str = ""
    ours: bool = False


class Silence:
    """For output that is read by machines: nothing is said on the way."""

    def started(self, check: Check, endpoint: Endpoint) -> None:
        """Say nothing."""

    def looking(self, mailboxes: Sequence[str]) -> None:
        """Say nothing."""

    def sending(self) -> None:
        """Say nothing."""

    def stage(self, timing: StageTiming, remark: str) -> None:
        """Say nothing."""

    def handed_over(self, attempt: Attempt) -> None:
        """Say nothing."""

    def waiting(self, folders: Sequence[str]) -> None:
        """Say nothing."""

    def unreadable(self, why: str) -> None:
        """Say nothing."""

    def readable(self) -> None:
        """Say nothing."""


class Screen:
    """Tells what happens; on a terminal, what is being waited for has a clock beside it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._shown: set[Stage] = set()

    def started(self, check: Check, endpoint: Endpoint) -> None:
        """Say what is going to be done."""
        where = f"{check.path} at {endpoint.host}:{endpoint.port}"
        self._line(f"{check.name}: {check.sender} to {check.recipient}, by {where}, into mailbox {check.mailbox}")

    def looking(self, mailboxes: Sequence[str]) -> None:
        """Show that the mailboxes are looked into first."""
        self._begin(f"looking into {' and '.join(mailboxes)} first", plainly=False)

    def sending(self) -> None:
        """Show that the canary is being handed over."""
        self._begin("handing over", plainly=False)

    def stage(self, timing: StageTiming, remark: str) -> None:
        """Show how long a stage took, and go on waiting for the next."""
        self._end()
        self._shown.add(timing.stage)
        self._row(_Row(timing.stage, timing.seconds, remark))
        self.sending()

    def handed_over(self, attempt: Attempt) -> None:
        """Show what has not been shown stage by stage, and a refusal in any case."""
        self._end()
        for row in _stages(attempt):
            if row.what not in self._shown:
                self._row(row)
            elif row.style:
                self._row(replace(row, what="", seconds=None))

    def waiting(self, folders: Sequence[str]) -> None:
        """Say where the canary is looked for."""
        self._begin(f"waiting for {', '.join(folders)}", plainly=True)

    def unreadable(self, why: str) -> None:
        """Say that nobody can look."""
        self._line(f"{_INDENT}{why}", "yellow")

    def readable(self) -> None:
        """Say that looks work again."""
        self._line(f"{_INDENT}the mailbox can be read again", "green")

    def close(self) -> None:
        """Stop whatever moves."""
        self._end()

    def verdict(self, result: Result) -> None:
        """Say what came of it."""
        conclusion = result.conclusion
        if conclusion is not None and conclusion.end_to_end is not None and result.case is not None:
            since = conclusion.end_to_end if conclusion.delivery is None else conclusion.delivery
            gap = f", where it may have been for up to {span(conclusion.observation_gap or 0.0)}"
            self._row(_Row("seen", since, f"in {result.case.folder}{gap}"))
        if result.case is not None and result.case.servers is not None:
            for what, text in server_lines(result.case.servers):
                self._row(_Row(what, None, text))
        if result.verdict is not Verdict.PASS and result.case is not None and result.case.token:
            label, found_by = _trace(result.check, result.case.token)
            self._console.print(Text(f"{_INDENT}{label:<20} {found_by}"), soft_wrap=True)
        for note in result.notes:
            self._line(f"{_INDENT}note: {short(note)}", "yellow")
        style = STYLES[result.verdict]
        line = Text.assemble((result.verdict.value.upper(), style), " ", headline(result))
        if conclusion is not None and conclusion.delivery is not None:
            line.append(f" (submission {span(conclusion.submission or 0.0)}, delivery {span(conclusion.delivery)})")
        self._console.print(line)
        if (known := result.diagnosis) is not None:
            self._row(_Row("meaning", None, known.meaning, ours=True))
            self._row(_Row("fix", None, known.fix, ours=True))

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(Text(plain(text), style=style))

    def _row(self, row: _Row) -> None:
        """Print one row; a remark that is too long for the screen goes on below itself."""
        seconds = "" if row.seconds is None else span(row.seconds)
        head = f"{_INDENT}{row.what:<9} {seconds:>9}  " if row.what else _INDENT
        words = row.remark if row.ours else short(row.remark)
        remark = Text(words).wrap(self._console, max(_NARROWEST, self._console.width - len(head)))
        for number, line in enumerate(remark):
            text = f"{' ' * len(head) if number else head}{line.plain}".rstrip()
            self._console.print(Text(text, style=row.style, no_wrap=True, overflow="ignore"), crop=False)

    def _begin(self, what: str, *, plainly: bool) -> None:
        """Show that something is being waited for; where nothing can move, say so once, if *plainly*."""
        self._end()
        if not self._console.is_terminal:
            if plainly:
                self._line(f"{_INDENT}{what}")
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._progress.start()
        self._progress.add_task(plain(what), total=None)

    def _end(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def _trace(check: Check, token: str) -> tuple[str, str]:
    """Tell what a message trace finds it by."""
    if keeps_message_id(check.method):
        return "message-id", message_id(token, check.sender)
    return "subject", subject(token)


def _stages(attempt: Attempt) -> Iterator[_Row]:
    """Yield a row for each stage, with what is worth knowing about it."""
    if isinstance(attempt, Untried):
        yield _Row("", None, attempt.detail, _FAILED)
        return
    timings = list(attempt.transcript.stages)
    last = timings.pop() if timings else StageTiming(stage=_stage(attempt), seconds=0.0)
    tls = attempt.transcript.tls
    for timing in timings:
        secured = f"{tls.version}, {tls.cipher}" if tls is not None and timing.stage is Stage.STARTTLS else ""
        yield _Row(timing.stage, timing.seconds, secured)
    if isinstance(attempt, Accepted):
        yield _Row(last.stage, last.seconds, str(attempt.reply))
    else:
        said = "; ".join(told(refusal.reasons_of(attempt)))
        at = "" if attempt.stage is last.stage else f"{attempt.stage}: "
        yield _Row(last.stage, last.seconds, f"{at}{said}", _FAILED)


def _stage(attempt: Accepted | Refused) -> Stage:
    return attempt.stage if isinstance(attempt, Refused) else Stage.DATA
