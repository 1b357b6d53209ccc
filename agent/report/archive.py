"""The issues of the report that were made, as files beside the ledger."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_NAME = re.compile(r"[0-9]{4}-W[0-9]{2}|[0-9]{4}-[0-9]{2}-[0-9]{2} to [0-9]{4}-[0-9]{2}-[0-9]{2}")
_KINDS = ("html", "pdf", "csv", "json")
_SENT, _ABOUT = "sent.json", "about.json"


class ArchiveError(Exception):
    """The archive cannot be written; the message says where and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a list says of an issue.

    `made` is Unix time, `on_time` says how many canaries were on time, as the report does, and `simulated` tells that
    some of them are made up.
    """

    made: float
    on_time: str
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One issue: its period, the kinds of files that there are, and to whom it was sent when (Unix time).

    `about` is None of an issue that an older version made.
    """

    name: str
    kinds: Sequence[str]
    sent_to: Sequence[str]
    sent_at: float | None
    about: About | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    """A folder with one folder an issue."""

    folder: Path

    def put(self, name: str, files: Mapping[str, bytes], about: About | None = None) -> None:
        """Keep the files of an issue, by kind; one that was made before is replaced, a file at a time.

        Raises:
            ArchiveError: it cannot be written.
        """
        told = {} if about is None else {_ABOUT: json.dumps(asdict(about)).encode()}
        self._write({_file(kind): content for kind, content in files.items()} | told, name)

    def note_sent(self, name: str, to: Sequence[str], at: float) -> None:
        """Note that an issue was sent.

        Raises:
            ArchiveError: it cannot be written.
        """
        self._write({_SENT: json.dumps({"to": list(to), "at": at}).encode()}, name)

    def issues(self) -> Sequence[Issue]:
        """List the issues, newest first."""
        try:
            names = sorted((one.name for one in self.folder.iterdir() if _NAME.fullmatch(one.name)), reverse=True)
        except OSError:
            return []
        return [issue for name in names if (issue := self.issue(name)) is not None]

    def issue(self, name: str) -> Issue | None:
        """Describe one issue; None if there is none of that name."""
        if _NAME.fullmatch(name) is None:
            return None
        kinds = [kind for kind in _KINDS if (self.folder / name / _file(kind)).is_file()]
        if not kinds:
            return None
        to, at = self._sent(name)
        return Issue(name=name, kinds=kinds, sent_to=to, sent_at=at, about=self._about(name))

    def read(self, name: str, kind: str) -> bytes | None:
        """Read one file of an issue; None if there is none."""
        if _NAME.fullmatch(name) is None or kind not in _KINDS:
            return None
        try:
            return (self.folder / name / _file(kind)).read_bytes()
        except OSError:
            return None

    def _about(self, name: str) -> About | None:
        try:
            noted = json.loads((self.folder / name / _ABOUT).read_bytes())
            on_time, simulated = str(noted["on_time"]), bool(noted["simulated"])
            return About(made=float(noted["made"]), on_time=on_time, simulated=simulated)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _sent(self, name: str) -> tuple[Sequence[str], float | None]:
        try:
            noted = json.loads((self.folder / name / _SENT).read_bytes())
            return [str(one) for one in noted["to"]], float(noted["at"])
        except (OSError, ValueError, KeyError, TypeError):
            return (), None

    def _write(self, files: Mapping[str, bytes], name: str) -> None:
        folder = self.folder / name
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for file, content in files.items():
                half = folder / f".{file}.new"
                half.touch(mode=0o600)
                with half.open("wb") as out:
                    out.write(content)
                    out.flush()
                    os.fsync(out.fileno())
                half.replace(folder / file)
        except OSError as error:
            raise ArchiveError(f"the report cannot be kept in {folder}: {error.strerror or error}") from None


def _file(kind: str) -> str:
    return f"report.{kind}"
