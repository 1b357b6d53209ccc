"""What will end, for a report that is made beside the agent: by the settings, and by what servers showed last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from agent.ahead import ahead
from agent.clock import SystemClock
from agent.config.build import build_credentials, build_paths
from agent.config.retiring import retiring
from agent.config.settings import Settings
from agent.status import Ahead, CertificateView, CredentialView, PathView
from checks.errors import LocalFault
from checks.ports import SendPath, Tools


def ahead_of(settings: Settings, servers: Mapping[str, datetime]) -> Sequence[Ahead]:
    """List what will end; *servers* tells, by path, when the certificate ends that its server showed last."""
    clock = SystemClock()
    tools = Tools(clock=clock, credentials=build_credentials(settings, clock))
    paths = [
        PathView(
            name=name,
            method=settings.paths[name].kind,
            endpoint=path.endpoint(),
            certificates=_certificates(path, servers.get(name)),
        )
        for name, path in build_paths(settings, tools).items()
    ]
    credentials = [CredentialView(name=name, facts=one.facts()) for name, one in tools.credentials.items()]
    return ahead(paths, credentials, retiring(settings.sections))


def _certificates(path: SendPath, server: datetime | None) -> Sequence[CertificateView]:
    try:
        found = [CertificateView(role=role, not_after=one.not_after) for role, one in path.certificates()]
    except LocalFault:  # the file cannot be read now: each canary says so
        found = []
    return found if server is None else [*found, CertificateView(role="server", not_after=server)]
