"""Which application permissions a use needs, and what to say when a token lacks them. Pure."""

from __future__ import annotations

import enum
from collections.abc import Set as AbstractSet


class Use(enum.Enum):
    """What a token is used for, with the roles of which any one is enough.

    Sources: Microsoft Learn, "Authenticate an IMAP, POP or SMTP connection using OAuth" and the permissions in the
    Graph pages of message: delta, message: permanentDelete and user: sendMail.
    """

    SMTP = ("SMTP.SendAsApp",)
    IMAP = ("IMAP.AccessAsApp",)
    GRAPH_READ = ("Mail.Read", "Mail.ReadWrite")
    GRAPH_DELETE = ("Mail.ReadWrite",)
    GRAPH_SEND = ("Mail.Send",)


def doubt(roles: AbstractSet[str] | None, use: Use) -> str:
    """Say in a sentence that a token lacks the role for *use*; empty if it has one, or nobody can tell.

    It explains a refusal, and is no reason to refuse: RBAC for Applications in Exchange Online grants access that
    shows in no token.
    """
    if roles is None or not roles.isdisjoint(use.value):
        return ""
    named = " or ".join(use.value)
    return f"the token has no role {named}: grant it with admin consent, or the like by RBAC for Applications"
