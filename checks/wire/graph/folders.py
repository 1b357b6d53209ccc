"""Which ids the well-known folders of a mailbox have (Microsoft Graph, "Get mailFolder")."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from checks.core.roles import Use
from checks.wire.graph.client import GraphClient, GraphRequest
from checks.wire.graph.unreadable import ask, refusal

_NOT_FOUND = 404


async def ids_of(client: GraphClient, names: Sequence[str], now: Callable[[], datetime]) -> Mapping[str, str]:
    """Return the ids of the folders with these well-known *names*, in the form of `folder_id`; "" where there is none.

    Raises:
        MailboxUnreadable: there is no token, no answer, or the app may not read the mailbox.
    """
    ids = {}
    for name in names:
        aim = f"open the folder {name}"
        url = f"{client.target.user}/mailFolders/{name}?$select=id"
        answer = await ask(client, GraphRequest(method="GET", url=url), aim)
        refused = None if answer.well else refusal(client, answer, aim, Use.GRAPH_READ, now)
        if refused is not None and (answer.status != _NOT_FOUND or refused.reason != "folder"):
            raise refused
        ids[name] = folder_id(str(answer.document.get("id", ""))) if answer.well else ""
    return ids


def folder_id(text: str) -> str:
    """Return an id in the one form that Graph writes it in; it takes both alphabets of base64 (RFC 4648)."""
    return text.replace("/", "-").replace("+", "_")
