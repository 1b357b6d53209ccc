"""The catalogue: data files with one row per known failure, loaded once.

The order of the rows matters, within a file and of the files: the first that matches wins. A row has

    id          its name; never changes, never used twice
    reply       SMTP reply codes, or HTTP statuses; none: any
    enhanced    RFC 3463 codes, ranges of them ("5.7.606-5.7.649"), or error codes of Entra and Graph ("AADSTS*");
                none: only for answers without one
    text        a regular expression, searched for without regard to case in what follows the codes
    paths       where it is met: ways to send, `outbound` (Exchange Online to others), `delivery` (inside it), `ndr`
    needs_code  the words are too common to tell anything without the enhanced code
    text_only   the code is too common to tell anything without the words
    default     of several rows with this code, the one to take when the words of none are found
    meaning, fix, source
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from checks.core.model import Cause, Outcome, Protocol, Stage
from checks.knowledge.model import Diagnosis, Exactness, Statement

_DATA = Path(__file__).with_name("data")
_MAIL_FILES = (
    "transport",
    "tls",
    "protocol",
    "authentication",
    "submission",
    "relay",
    "reputation",
    "restrictions",
    "imap",
    "prose",
)
_RFC_3463 = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})\Z", re.ASCII)
_SUCCESS = 2
_EVERYWHERE = frozenset({"all"})


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What rows of all kinds have in common."""

    id: str
    meaning: str
    fix: str
    source: str
    text: str | None = None

    @cached_property
    def pattern(self) -> re.Pattern[str] | None:
        """The text to search for; compiled on first use, since one diagnosis needs few of them."""
        return re.compile(self.text, re.IGNORECASE) if self.text is not None else None

    def says(self, text: str) -> bool:
        """Tell whether *text* has the words of this row."""
        return self.pattern is not None and self.pattern.search(text) is not None

    def found_by(self, exactness: Exactness) -> Diagnosis:
        """Make the diagnosis that this row is."""
        return Diagnosis(self.id, exactness, self.meaning, self.fix, self.source)


@dataclass(frozen=True, kw_only=True)
class ReplyRow(Entry):
    """A row that an answer of a server may match."""

    reply: frozenset[int] = frozenset()
    enhanced: Sequence[str] = ()
    paths: frozenset[str] = _EVERYWHERE
    needs_code: bool = False
    text_only: bool = False
    default: bool = False

    def has_reply(self, code: int | None) -> bool:
        """Tell whether this reply code, if any, is no objection."""
        return code is None or not self.reply or code in self.reply

    def has_enhanced(self, code: str) -> bool:
        """Tell whether this enhanced code, or error code, is one of the row's."""
        return any(_covers(wanted, code) for wanted in self.enhanced)


@dataclass(frozen=True, kw_only=True)
class ConnectionRow(Entry):
    """A row that a failure without an answer may match; no stages means any.

    `words_optional`: where cause and stage are known, they are enough.
    """

    causes: frozenset[Cause] = frozenset()
    stages: frozenset[Stage] = frozenset()
    words_optional: bool = False

    def may_be(self, cause: Cause, stage: Stage | None) -> bool:
        """Tell whether a failure of this cause, at this stage, is of this row's kind."""
        return cause in self.causes and (not self.stages or stage in self.stages)


@dataclass(frozen=True, kw_only=True)
class OutcomeRow(Entry):
    """A row for what became of a canary, where no server's words explain it; without `text` it is for any reason."""

    outcomes: frozenset[Outcome]

    def matches(self, outcome: Outcome, reasons: Sequence[str]) -> bool:
        """Tell whether this row is about *outcome*, for one of these *reasons*."""
        return outcome in self.outcomes and (self.text is None or any(self.says(reason) for reason in reasons))


@dataclass(frozen=True, kw_only=True)
class ClassRow(Entry):
    """A general row: whatever it names must be so.

    `detail` is subject and detail of an RFC 3463 code, whose meaning 4.x.y and 5.x.y share; `subject` is the subject
    alone; `reply_class` is the first digit of an SMTP reply code.
    """

    detail: str | None = None
    subject: int | None = None
    reply: frozenset[int] = frozenset()
    http: frozenset[int] = frozenset()
    stages: frozenset[Stage] = frozenset()
    reply_class: int | None = None

    def matches(self, said: Statement, stage: Stage | None) -> bool:
        """Tell whether all that this row names is true of the statement."""
        code = split_enhanced(said.enhanced)
        smtp = said.protocol is Protocol.SMTP
        digit = said.code // 100 if said.code is not None else code[0] if code else None
        failure = code[1:] if code is not None and code[0] != _SUCCESS else None
        return (
            (self.detail is None or (failure is not None and self.detail == f"{failure[0]}.{failure[1]}"))
            and (self.subject is None or (failure is not None and self.subject == failure[0]))
            and (not self.reply or (smtp and said.code in self.reply))
            and (not self.http or (not smtp and said.code in self.http))
            and (not self.stages or stage in self.stages)
            and (self.reply_class is None or (smtp and self.reply_class == digit))
        )


class Catalogue:
    """All rows, in order; each kind is read when it is first needed, since one diagnosis needs few of them."""

    @cached_property
    def smtp(self) -> Sequence[ReplyRow]:
        """What answers in mail protocols mean."""
        return tuple(_reply_rows(_MAIL_FILES))

    @cached_property
    def http(self) -> Sequence[ReplyRow]:
        """What answers of Entra and Graph mean."""
        return tuple(_reply_rows(["http"]))

    @cached_property
    def connection(self) -> Sequence[ConnectionRow]:
        """What failures without an answer mean."""
        return tuple(_connection_rows())

    @cached_property
    def outcomes(self) -> Sequence[OutcomeRow]:
        """What the ends of canaries mean."""
        return tuple(_outcome_rows())

    @cached_property
    def classes(self) -> Sequence[ClassRow]:
        """What a code without a row of its own means."""
        return tuple(_class_rows())

    @cached_property
    def error_codes(self) -> frozenset[str]:
        """The error codes of Graph that have a row, by which they are found in a line."""
        return frozenset(code for row in self.http for code in row.enhanced if not code.startswith("AADSTS"))

    def rows_for(self, protocol: Protocol) -> Sequence[ReplyRow]:
        """The rows of answers in this protocol."""
        return self.smtp if protocol is Protocol.SMTP else self.http


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """The catalogue that is shipped, kept once it was asked for."""
    return Catalogue()


def split_enhanced(code: str | None) -> tuple[int, int, int] | None:
    """Class, subject and detail of an RFC 3463 code; None for anything else."""
    match = _RFC_3463.match(code or "")
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def _covers(wanted: str, code: str) -> bool:
    """Tell whether an entry of `enhanced` means *code*: the same, a prefix with a star, or a range."""
    if wanted == code:
        return True
    if wanted.endswith("*"):
        return code.startswith(wanted[:-1])
    first, dash, last = wanted.partition("-")
    low, high, given = split_enhanced(first), split_enhanced(last), split_enhanced(code)
    return bool(dash) and low is not None and high is not None and given is not None and low <= given <= high


def _read(name: str) -> dict[str, Any]:
    with (_DATA / f"{name}.toml").open("rb") as file:
        return tomllib.load(file)


@lru_cache(maxsize=1)
def _sources() -> Mapping[str, str]:
    sources: Mapping[str, str] = _read("sources")["sources"]
    return sources


def _reply_rows(names: Sequence[str]) -> Iterator[ReplyRow]:
    for row in (row for name in names for row in _read(name)["row"]):
        sets = {"reply": frozenset(row.pop("reply", ())), "paths": frozenset(row.pop("paths", _EVERYWHERE))}
        yield ReplyRow(**{**row, **sets, **_cited(row)})


def _connection_rows() -> Iterator[ConnectionRow]:
    for row in _read("connection")["row"]:
        causes = frozenset(Cause(word) for word in row.pop("causes"))
        stages = frozenset(Stage(word) for word in row.pop("stages", ()))
        yield ConnectionRow(**{**row, **_cited(row)}, causes=causes, stages=stages)


def _outcome_rows() -> Iterator[OutcomeRow]:
    for row in _read("outcomes")["row"]:
        outcomes = frozenset(Outcome(word) for word in row.pop("outcomes"))
        yield OutcomeRow(**{**row, **_cited(row)}, outcomes=outcomes)


def _class_rows() -> Iterator[ClassRow]:
    for row in _read("classes")["class"]:
        sets = {name: frozenset(row.pop(name, ())) for name in ("reply", "http")}
        stages = frozenset(Stage(word) for word in row.pop("stages", ()))
        yield ClassRow(**{**row, **sets, **_cited(row)}, stages=stages)


def _cited(row: Mapping[str, Any]) -> dict[str, str]:
    """The row's reference in full: `source` may be a key of the shared ones."""
    return {"source": _sources().get(row["source"], row["source"])}
