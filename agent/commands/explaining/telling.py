"""Which part of a pasted text tells what went wrong: of a reply all of it, of a log or a dialogue one line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from checks.knowledge import Diagnosis, Exactness, diagnose_text, read_statement

_ONE_STATEMENT = 20
_MOST_LINES = 500
_EXACTNESS = (Exactness.TEXT, Exactness.CODE, Exactness.CLASS)
_FAILURE = frozenset("45")
_REPLY = re.compile(r"[2-5][0-9]{2}[ -]")
_CONTINUED = re.compile(r"[2-5][0-9]{2}-")
# Pages and mail programs put these where a server wrote a blank, or nothing.
_TYPOGRAPHY = str.maketrans({**dict.fromkeys("\u00a0\u2007\u202f", " "), **dict.fromkeys("\u200b\u2060\ufeff", None)})
# Of a long log only lines like these are looked at, if it has any: a refusal with both codes, or an error of Entra.
_SURE_SIGN = re.compile(r"^.*(?:[45][0-9]{2}[ -]#?[45]\.[0-9]{1,3}\.[0-9]|AADSTS[0-9]).*$", re.MULTILINE)


def telling_part(text: str) -> tuple[str, Diagnosis | None]:
    """The part of *text* that is to be explained, and what it means.

    A failure counts before a success, what is known exactly before what is known by its class, a line before the
    whole that it stands in, and an earlier line before a later one.
    """
    text = text.translate(_TYPOGRAPHY)
    parts = list(_parts(text))
    if len(parts) <= _ONE_STATEMENT:
        parts.append(text)  # a reply that somebody wrapped, an error in JSON
    known = [(part, found) for part in parts if (found := diagnose_text(part)) is not None]
    return min(known, key=_rank, default=(parts[0] if parts else text, None))


def _rank(one: tuple[str, Diagnosis]) -> tuple[bool, int]:
    part, found = one
    said = read_statement(part)
    code = str((said.code or said.enhanced) if said else "")
    return code[:1] not in _FAILURE and code[:1].isdigit(), _EXACTNESS.index(found.exactness)


def _parts(text: str) -> Iterator[str]:
    """Yield the lines of a text; those that belong to one reply, by its code (RFC 5321 4.2.1) or indented, as one."""
    lines = text.splitlines()
    if len(lines) > _MOST_LINES:
        lines = [match[0] for match, _ in zip(_SURE_SIGN.finditer(text), range(_MOST_LINES), strict=False)] or lines
    part: list[str] = []
    for line in [line for line in lines if line.strip()][:_MOST_LINES]:
        if part and not _goes_on(part, line):
            yield "\n".join(part)
            part = []
        part.append(line)
    if part:
        yield "\n".join(part)


def _goes_on(part: list[str], line: str) -> bool:
    if _CONTINUED.match(part[-1]) is not None:
        return line[:3] == part[-1][:3]
    return line[0].isspace() and _REPLY.match(part[0]) is not None
