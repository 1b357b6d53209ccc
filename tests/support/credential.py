"""A credential that a test holds in its hand."""

from __future__ import annotations

from checks.errors import LocalFault, TokenRefused
from checks.ports import CredentialFacts, GraphService, Login


class HandCredential:
    """Hands out tokens of an app, one after the other as they are rejected; or raises `failure` while it is set."""

    bearer = True

    def __init__(
        self,
        *,
        roles: frozenset[str] | None = None,
        graph: GraphService | None = None,
        failure: TokenRefused | LocalFault | None = None,
    ) -> None:
        self.roles = roles
        self.graph = graph
        self.failure = failure
        self.audiences: list[str] = []
        self.rejected: list[str] = []
        self.number = 1

    @property
    def token(self) -> str:
        return f"handed-out-token-{self.number}"

    async def login(self, audience: str) -> Login:
        self.audiences.append(audience)
        if self.failure is not None:
            raise self.failure
        return Login("", self.token, bearer=True, roles=self.roles)

    def reject(self, login: Login) -> None:
        self.rejected.append(login.secret)
        if login.secret == self.token:
            self.number += 1

    def facts(self) -> CredentialFacts:
        return CredentialFacts()
