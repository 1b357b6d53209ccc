"""A credential: whether its secret or token can be had, and what the token is good for."""

from __future__ import annotations

from collections.abc import Iterator

from agent.config.model import EntraCredential
from agent.doctor.finding import Finding, failure, ok
from agent.doctor.judge.token import judge_no_token, judge_roles
from agent.doctor.kit import Kit
from checks.core.roles import Use
from checks.errors import LocalFault, TokenRefused
from checks.ports import Login

_USES = {
    "submission": ("smtp", (Use.SMTP,)),
    "smtp": ("smtp", (Use.SMTP,)),
    "graph_send": ("graph", (Use.GRAPH_SEND,)),
    "imap": ("imap", (Use.IMAP,)),
    "graph": ("graph", (Use.GRAPH_READ, Use.GRAPH_DELETE)),
}
"""What each kind of path and mailbox wants a token for."""


async def of_credential(kit: Kit, name: str) -> list[Finding]:
    """Read the secret, or ask for a token; whether a server takes it, the paths and mailboxes that use it tell."""
    if isinstance(kit.settings.sections.credentials[name], EntraCredential):
        return await _of_app(kit, name)
    try:
        login = await kit.credentials[name].login("smtp")
    except LocalFault as fault:
        return [_no_secret(fault)]
    what = "token" if login.bearer else "password"
    return [ok("credential.secret", f"the {what} of {login.username} can be read")]


async def _of_app(kit: Kit, name: str) -> list[Finding]:
    findings = []
    not_after = kit.credentials[name].facts().not_after
    if not_after is not None:
        findings.append(ok("credential.expiry", f"the app's secret or certificate is good until {not_after:%Y-%m-%d}"))
    uses = list(_uses(kit, name))
    tokens: dict[str, Login] = {}
    for audience in dict.fromkeys(audience for audience, _, _ in uses) or ("smtp",):
        try:
            tokens[audience] = await kit.credentials[name].login(audience)
        except TokenRefused as refused:
            return [*findings, judge_no_token(refused)]
        except LocalFault as fault:
            return [*findings, _no_secret(fault)]
        findings.append(ok("token", f"Entra gives a token for {audience}"))
    for audience, use, users in uses:
        worked = all([await kit.logged_in(user) for user in users])
        findings.append(judge_roles(tokens[audience].roles, use, " and ".join(users), logged_in=worked))
    return list(dict.fromkeys(findings))  # one role may serve two uses


def _uses(kit: Kit, name: str) -> Iterator[tuple[str, Use, list[str]]]:
    """Yield the audience and the use of every role that a token of *name* needs, and which subjects need it."""
    subjects = [
        *((f"path {key}", plugin) for key, plugin in kit.settings.paths.items()),
        *((f"mailbox {key}", plugin) for key, plugin in kit.settings.mailboxes.items()),
    ]
    found: dict[tuple[str, Use], list[str]] = {}
    for subject, plugin in subjects:
        audience, uses = _USES.get(plugin.kind, ("", ()))
        if plugin.text("credential") == name:
            for use in uses:
                found.setdefault((audience, use), []).append(subject)
    for (audience, use), users in found.items():
        yield audience, use, users


def _no_secret(fault: LocalFault) -> Finding:
    return failure(
        "credential.secret",
        str(fault),
        meaning="Nobody can log in with this credential; what needs it is unknown.",
        fix="Put the secret where the settings look for it, readable for the agent's user only.",
        source="RFC 4954 section 4",
    )
