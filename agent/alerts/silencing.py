"""Make silences: whoever wants quiet says who they are, why, about what, and until when."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass

from agent.ledger import Silence
from agent.words import age

LONGEST = 30 * 86400.0
"""The longest silence, in seconds: what is to be quiet for longer is no silence, but a check that nobody wants."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_LONGEST_AUTHOR, _LONGEST_REASON = 100, 1000


class SilenceRefused(ValueError):
    """A silence that cannot be; the message says which field is wrong, what was found, and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a silence can be about: the agent's site, and the names of its checks and paths."""

    site: str
    checks: Collection[str]
    paths: Collection[str]


def new_silence(  # noqa: PLR0913 - each is a field of the form that people fill in
    *,
    author: str,
    reason: str,
    ends: float,
    now: float,
    names: Names,
    starts: float | None = None,
    check: str | None = None,
    path: str | None = None,
    site: str | None = None,
) -> Silence:
    """Make a silence; moments are Unix time, and it begins at *now* where *starts* is None.

    Raises:
        SilenceRefused: a field is missing or makes no sense.
    """
    begins = now if starts is None else starts
    _check_time(begins, ends, now)
    if check is None and path is None and site is None:
        raise SilenceRefused(f"say what it is about: a check, a path, or site: {names.site} for everything")
    _check_name("check", check, names.checks)
    _check_name("path", path, names.paths)
    _check_name("site", site, (names.site,))
    return Silence(
        id=secrets.token_hex(6),
        author=_line("author", author, _LONGEST_AUTHOR),
        reason=_line("reason", reason, _LONGEST_REASON),
        created_wall=now,
        starts_wall=begins,
        ends_wall=ends,
        check=check,
        path=path,
        site=site,
    )


def _check_time(starts: float, ends: float, now: float) -> None:
    # written so that a NaN is refused as well
    if not ends > now:
        raise SilenceRefused("ends: it is over already")
    if not starts < ends:
        raise SilenceRefused("ends: it ends before it starts")
    if not ends - starts <= LONGEST:
        raise SilenceRefused(f"ends: the longest silence is {age(LONGEST)}")


def _check_name(field: str, name: str | None, known: Collection[str]) -> None:
    if name is not None and name not in known:
        listed = ", ".join(sorted(known)[:20]) or "none"
        raise SilenceRefused(f"{field}: there is no {field} {name[:60]!r}; there is {listed}")


def _line(field: str, text: str, longest: int) -> str:
    clean = _CONTROL.sub(" ", text).strip()
    if not clean:
        raise SilenceRefused(f"{field}: is missing: whoever is not woken wants to know")
    if len(clean) > longest:
        raise SilenceRefused(f"{field}: is longer than {longest} characters")
    return clean
