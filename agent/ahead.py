"""What is known to end: certificates, secrets, and what providers retire; the same list on every page and report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from agent.status import Ahead, CredentialView, PathView

_WHOSE = {"client": "our client certificate", "server": "the server's certificate"}
_FIXES = {
    "client": "put a new one in its place before then; the agent reads the file when it connects",
    "server": "whoever runs the server has to renew it; most renew by themselves",
}


def ahead(
    paths: Iterable[PathView], credentials: Iterable[CredentialView], retiring: Iterable[Ahead]
) -> Sequence[Ahead]:
    """List what will end, the first one first."""
    found = [*retiring, *_certificates(paths), *_secrets(credentials)]
    return sorted(found, key=lambda one: (one.when, one.what))


def _certificates(paths: Iterable[PathView]) -> Iterator[Ahead]:
    for path in paths:
        for one in path.certificates:
            what = f"{_WHOSE[one.role]} on path {path.name}"
            yield Ahead(what=what, when=one.not_after.timestamp(), fix=_FIXES[one.role])


def _secrets(credentials: Iterable[CredentialView]) -> Iterator[Ahead]:
    for one in credentials:
        if one.facts.not_after is not None:
            yield Ahead(
                what=f"the secret or certificate of credential {one.name}",
                when=one.facts.not_after.timestamp(),
                fix="make a new one in the app registration and put it in its place; for a secret, change"
                " client_secret_expires too",
            )
