"""Tokens: whether there is one, and whether it has the roles that its uses need."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from agent.doctor.finding import Finding, not_tested, ok, warning
from agent.doctor.judge.diagnosed import of_refusal
from checks.core.model import Protocol, Refused, Stage, Transcript
from checks.core.roles import Use
from checks.errors import TokenRefused

_SOURCE = 'Microsoft Learn, "Authenticate an IMAP, POP or SMTP connection using OAuth"; "Microsoft Graph permissions"'


def judge_no_token(refused: TokenRefused) -> Finding:
    """Say why the identity provider gave none, in the catalogue's words."""
    transcript = Transcript(began_at=0.0, ended_at=0.0, endpoint=refused.endpoint, connected=refused.connected)
    value = Refused(
        stage=Stage.TOKEN,
        cause=refused.cause,
        transcript=transcript,
        reply=refused.reply,
        detail=refused.detail,
        protocol=Protocol.ENTRA,
    )
    return of_refusal("token", value, method="")


def judge_roles(roles: AbstractSet[str] | None, use: Use, users: str, *, logged_in: bool) -> Finding:
    """Judge the roles in a token for one use; *users* are the paths and mailboxes that need it.

    A role that is missing is no fault where the login works all the same (*logged_in*): RBAC for Applications grants
    access that shows in no token.
    """
    name = "token.roles"
    wanted = " or ".join(use.value)
    if roles is None:
        return not_tested(name, f"the token does not show its roles ({wanted} is needed for {users})")
    if not roles.isdisjoint(use.value):
        return ok(name, f"the token has {' and '.join(sorted(roles & set(use.value)))}, for {users}")
    shown = ", ".join(sorted(roles)) or "none"
    if logged_in:
        return ok(name, f"the token has no {wanted} (it has: {shown}), but {users} lets it in: RBAC for Applications")
    return warning(
        name,
        f"the token has no {wanted}, which {users} needs; it has: {shown}",
        meaning="The service refuses the login, unless the app has been given access by RBAC for Applications, which"
        " shows in no token.",
        fix=f"Entra admin center, App registrations, API permissions: add the application permission {wanted} and grant"
        " admin consent; or assign the role by New-ManagementRoleAssignment (RBAC for Applications). It takes up to 2"
        " hours.",
        source=_SOURCE,
    )
