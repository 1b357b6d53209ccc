"""Between the values of `checks.core.model` and what a row holds."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import TypeAdapter
from sqlalchemy import Row

from checks.core.model import Accepted, Attempt, Check, Findings, Refused, Transcript, Untried
from checks.core.token import Token, write

T = TypeVar("T")
_ATTEMPTS: dict[str, type[Accepted | Refused | Untried]] = {
    "accepted": Accepted,
    "refused": Refused,
    "untried": Untried,
}
_MOST_EVIDENCE = 4 * 1024 * 1024


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    """Build the adapter of a type once: it compiles a validator."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def dump(kind: type[T], value: T) -> str:
    """Write a value as JSON, leaving out what is as by default."""
    return _adapter(kind).dump_json(value, exclude_defaults=True).decode()


def load(kind: type[T], text: str) -> T:
    """Read back what `dump` wrote."""
    value: T = _adapter(kind).validate_json(text)
    return value


def dump_check(check: Check) -> tuple[str, str]:
    """Write a check down, with a digest by which equal ones are found."""
    text = dump(Check, check)
    return hashlib.sha256(text.encode()).hexdigest(), text


@lru_cache(maxsize=10_000)  # each scrape reads the same few again
def load_check(text: str) -> Check:
    """Read a check back."""
    return load(Check, text)


def token_of(row: Row[Any]) -> str:
    """Put the token of a canary together; empty where the row does not have all of it."""
    if row.key is None or row.signature is None:
        return ""
    return write(Token(id=row.id, check=row.name, key=row.key, signature=row.signature))


def dump_attempt(attempt: Attempt) -> dict[str, Any]:
    """Make the columns of an attempt: its facts; the dialogue and the certificates are evidence and kept apart."""
    kind = next(name for name, cls in _ATTEMPTS.items() if isinstance(attempt, cls))
    if isinstance(attempt, Untried):
        return {"attempt_kind": kind, "attempt": dump(Untried, attempt)}
    transcript = attempt.transcript
    tls = replace(transcript.tls, chain=()) if transcript.tls else None
    slim = replace(attempt, transcript=replace(transcript, dialogue=(), tls=tls))
    return {"attempt_kind": kind, "attempt": dump(type(slim), slim)}


def load_attempt(kind: str | None, text: str | None) -> Attempt | None:
    """Read an attempt back; None while there is none."""
    if kind is None or text is None:
        return None
    return load(_ATTEMPTS[kind], text)


def dump_findings(findings: Findings | None) -> str | None:
    """Write down what headers said, if they were read."""
    return None if findings is None else dump(Findings, findings)


def load_findings(text: str | None) -> Findings | None:
    """Read findings back."""
    return None if text is None else load(Findings, text)


def pack(content: bytes) -> bytes:
    """Compress evidence; bounded, so that one hostile message cannot fill the ledger."""
    return zlib.compress(content[:_MOST_EVIDENCE], 6)


def unpack(content: bytes) -> bytes:
    """Read evidence back."""
    return zlib.decompress(content)


def dump_transcript(transcript: Transcript) -> bytes:
    """Write a whole transcript down as evidence."""
    return pack(dump(Transcript, transcript).encode())


def load_transcript(content: bytes) -> Transcript:
    """Read a transcript back."""
    return load(Transcript, unpack(content).decode())
