"""What will end: certificates, secrets, and what providers retire; the same list on every page and report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from agent.status import Ahead, CredentialView, PathView

HORIZON = 90 * 86400.0
"""How far people look ahead, in seconds: what ends later is counted, and not listed."""

_WHOSE = {"client": "our client certificate", "server": "the server's certificate"}
_FIXES = {
    "client": "put a new one in its place before then; the agent reads the file when it connects",
    "server": "whoever runs the server has to renew it; most renew by themselves",
}


def ahead(
    paths: Iterable[PathView], credentials: Iterable[CredentialView], retiring: Iterable[Ahead]
) -> Sequence[Ahead]:
    """List what will end, the first one first, and last that of which nobody knows when."""
    return _in_order([*retiring, *_certificates(paths), *_secrets(credentials)])


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to be thought of now: what ends within `HORIZON` or nobody knows when; and what is `later`."""

    soon: Sequence[Ahead]
    later: Sequence[Ahead]

    @classmethod
    def of(cls, found: Iterable[Ahead], now: float) -> Outlook:
        """Divide what was *found*; *now* is Unix time."""
        soon: list[Ahead] = []
        later: list[Ahead] = []
        for one in _in_order(found):
            (later if one.when is not None and one.when > now + HORIZON else soon).append(one)
        return cls(soon, later)

    def rest(self) -> str:
        """Say in one line what is not listed: ``4 more, none before 2031-05-06.``; empty where nothing is."""
        first = min((one.when for one in self.later if one.when is not None), default=None)
        if first is None:
            return ""
        said = f"{len(self.later)} more" if self.soon else f"Nothing ends within 90 days; {len(self.later)} later"
        return f"{said}, none before {datetime.fromtimestamp(first, UTC):%Y-%m-%d}."


def _in_order(found: Iterable[Ahead]) -> list[Ahead]:
    return sorted(found, key=lambda one: (one.when is None, one.when or 0.0, one.what))


def _certificates(paths: Iterable[PathView]) -> Iterator[Ahead]:
    for path in paths:
        for one in path.certificates:
            what = f"{_WHOSE[one.role]} on path {path.name}"
            yield Ahead(what=what, when=one.not_after.timestamp(), fix=_FIXES[one.role])


def _secrets(credentials: Iterable[CredentialView]) -> Iterator[Ahead]:
    for one in credentials:
        if one.facts.not_after is None and one.facts.ends:
            yield Ahead(
                what=f"the secret or certificate of credential {one.name}",
                when=None,
                fix=f"put the day that the app registration shows into credentials.{one.name}.client_secret_expires",
            )
        elif one.facts.not_after is not None:
            yield Ahead(
                what=f"the secret or certificate of credential {one.name}",
                when=one.facts.not_after.timestamp(),
                fix="make a new one in the app registration and put it in its place; for a secret, change"
                " client_secret_expires too",
            )
