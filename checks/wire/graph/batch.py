"""Several requests in one ($batch), as many as Graph works on at a time for one mailbox.

A batch may have twenty, but those for one mailbox run side by side, and what is over the limit is refused (Microsoft
Graph, "JSON batching" and "Throttling limits", Outlook).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from checks.errors import MailboxUnreadable
from checks.wire.graph.client import GraphAnswer, GraphClient, GraphRequest
from checks.wire.graph.places import AT_ONCE
from checks.wire.graph.unreadable import ask

_IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}


async def ask_all(client: GraphClient, requests: Sequence[GraphRequest], aim: str) -> list[GraphAnswer]:
    """Return the answers to *requests*, whose urls are paths, in their order; one alone goes by itself.

    Raises:
        MailboxUnreadable: there is no answer, or none to one of them.
    """
    answers: list[GraphAnswer] = []
    for part in _parts(requests):
        if len(part) == 1:
            answers.append(await ask(client, part[0], aim))
        else:
            answers += await _batch(client, part, aim)
    return answers


def _parts(requests: Sequence[GraphRequest]) -> Iterator[list[GraphRequest]]:
    left = iter(requests)
    while part := list(itertools.islice(left, AT_ONCE)):
        yield part


async def _batch(client: GraphClient, part: Sequence[GraphRequest], aim: str) -> list[GraphAnswer]:
    listed = [
        {"id": str(number), "method": one.method, "url": one.url, "headers": _IMMUTABLE}
        for number, one in enumerate(part)
    ]
    request = GraphRequest(method="POST", url="/$batch", content={"requests": listed}, parts=len(part))
    outer = await ask(client, request, aim)
    if not outer.well:
        return [outer for _ in part]
    found = _answers(outer)
    if missing := [number for number in range(len(part)) if number not in found]:
        raise MailboxUnreadable("protocol", f"could not {aim}: {len(missing)} of {len(part)} have no answer")
    return [found[number] for number in range(len(part))]


def _answers(outer: GraphAnswer) -> dict[int, GraphAnswer]:
    found: dict[int, GraphAnswer] = {}
    listed = outer.document.get("responses")
    for one in listed if isinstance(listed, list) else ():
        if not isinstance(one, dict):
            continue
        name, status, headers = one.get("id"), one.get("status"), one.get("headers")
        if isinstance(name, str) and name.isascii() and name.isdigit() and type(status) is int:
            found[int(name)] = GraphAnswer(status, _lowered(headers), json.dumps(one.get("body")).encode(), outer.login)
    return found


def _lowered(headers: Any) -> Mapping[str, str]:
    known = headers.items() if isinstance(headers, dict) else ()
    return {str(name).lower(): str(value) for name, value in known}
