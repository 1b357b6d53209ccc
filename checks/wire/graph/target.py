"""Which mailbox of which Graph is meant, and with which app."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from checks.errors import LocalFault
from checks.ports import Credential, Endpoint, GraphService, Tools
from checks.wire.http import endpoint_of

VERSION = "v1.0"


@dataclass(frozen=True, slots=True)
class GraphTarget:
    """One mailbox, seen by one app."""

    service: GraphService
    credential: Credential
    mailbox: str

    @property
    def root(self) -> str:
        """The base URL of all requests, with the version."""
        return f"{self.service.url}/{VERSION}"

    @property
    def user(self) -> str:
        """The path of the mailbox below `root`."""
        return f"/users/{quote(self.mailbox, safe='@')}"

    def endpoint(self) -> Endpoint:
        """Tell where it connects to."""
        host, port = endpoint_of(self.service.url)
        return Endpoint(host=host, port=port, tls="implicit")


def graph_target(owner: str, credential: str, mailbox: str, tools: Tools) -> GraphTarget:
    """Find the app that *owner* ("mailbox inbox") names as its credential.

    Raises:
        LocalFault: there is no such credential, or it is not an app's.
    """
    if credential not in tools.credentials:
        raise LocalFault(f"{owner}: there is no credential {credential!r}")
    found = tools.credentials[credential]
    if found.graph is None:
        raise LocalFault(f"{owner}: the credential {credential} cannot be used with Graph: it must be of kind entra")
    return GraphTarget(found.graph, found, mailbox)
