"""Looking around in a mailbox over Graph: whether the watched folders are there, and what the service's clock says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from urllib.parse import quote

from checks.core.http import http_date
from checks.core.reply import clean_text
from checks.core.roles import Use
from checks.wire.graph.client import GraphAnswer, GraphClient, GraphRequest
from checks.wire.graph.unreadable import ask, refusal
from checks.wire.survey import FolderEntry, ServerTime, Survey

_NOT_FOUND = 404
_MAX_NAME = 200


async def survey(client: GraphClient, watched: Sequence[str], now: Callable[[], datetime]) -> Survey:
    """Ask for every watched folder (Microsoft Graph, "Get mailFolder"); no message is touched.

    Raises:
        MailboxUnreadable: there is no token, no answer, or the app may not read the mailbox.
    """
    folders, unopened = [], {}
    time: ServerTime | None = None
    for name in watched:
        aim = f"open the folder {name}"
        url = f"{client.target.user}/mailFolders/{quote(name, safe='')}?$select=id,displayName"
        answer = await ask(client, GraphRequest(method="GET", url=url), aim)
        time = _time(answer, now()) or time
        refused = None if answer.well else refusal(client, answer, aim, Use.GRAPH_READ, now)
        if refused is not None and (answer.status != _NOT_FOUND or refused.reason != "folder"):
            raise refused
        if refused is not None:
            unopened[name] = refused.detail
        else:
            folders.append(FolderEntry(clean_text(str(answer.document.get("displayName", name)), _MAX_NAME)))
    return Survey(folders=folders, unopened=unopened, time=time)


def _time(answer: GraphAnswer, ours: datetime) -> ServerTime | None:
    theirs = http_date(answer.headers.get("date", ""))
    return None if theirs is None else ServerTime(theirs, ours)
