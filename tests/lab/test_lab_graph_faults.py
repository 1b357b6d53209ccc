"""Who may do what in Graph, its limits, its faults, and batches."""

from __future__ import annotations

import asyncio
import time
import uuid

import httpx
import jwt
import pytest
from lab.microsoft import GRAPH, OUTLOOK, access_token, context, graph_client, until

READ = "/users/noreply@contoso.example/mailFolders/inbox/messages"
SEND = "/users/canary@contoso.example/sendMail"
BODY = {"message": {"toRecipients": [{"emailAddress": {"address": "noreply@contoso.example"}}]}}


def read(graph) -> httpx.Response:
    return graph.get(READ)


def send(graph) -> httpx.Response:
    return graph.post(SEND, json=BODY)


WAYS = [("noreply", read), ("graph", send)]


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_without_a_good_token_nobody_comes_in(lab, graph):
    ours = access_token(lab, GRAPH)
    claims = jwt.decode(ours, options={"verify_signature": False})
    forged = jwt.encode(claims, "k" * 32, algorithm="HS256")
    for token, said in (
        ("", "Access token is empty."),
        ("Basic abc", "Access token is empty."),
        ("Bearer nonsense", "CompactToken parsing failed with error code: 80049217"),
        (f"Bearer {forged}", "CompactToken parsing failed with error code: 80049217"),
        (f"Bearer {ours[:-8]}AAAAAAAA", "Access token validation failure. Invalid signature."),
        (f"Bearer {access_token(lab, OUTLOOK)}", "Access token validation failure. Invalid audience."),
    ):
        answer = graph.get(READ, headers={"Authorization": token})
        assert code(answer) == (401, "InvalidAuthenticationToken")
        assert answer.json()["error"]["message"] == said
        assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_a_token_that_has_expired_is_refused_in_the_middle_of_a_session(lab, graph):
    lab.break_("entra", "token_expires_soon=1")
    token = access_token(lab, GRAPH)
    expiry = jwt.decode(token, options={"verify_signature": False})["exp"]
    headers = {"Authorization": f"Bearer {token}"}
    deadline = time.time() + 10
    while (answer := graph.get(READ, headers=headers)).status_code == 200:
        assert time.time() < deadline
    assert time.time() >= expiry
    assert answer.json()["error"]["message"] == "Lifetime validation failed, the token is expired."


@pytest.mark.parametrize(("target", "way"), WAYS)
def test_a_missing_role_is_denied_once_the_client_has_a_new_token(lab, graph, target, way):
    lab.break_(target, "role_missing")
    assert code(way(graph)) == (401, "InvalidAuthenticationToken")  # the old token says more than is granted now
    with graph_client(lab) as fresh:
        assert code(way(fresh)) == (403, "ErrorAccessDenied")
        lab.heal(target)
        assert code(way(fresh)) == (401, "InvalidAuthenticationToken")
    with graph_client(lab) as healed:
        assert way(healed).status_code in {200, 202}


def test_a_token_without_any_role_is_no_use(lab):
    lab.break_("noreply", "role_missing")
    lab.break_("graph", "role_missing")
    with graph_client(lab) as graph:
        assert code(read(graph)) == (401, "NoPermissionsInAccessToken")


@pytest.mark.parametrize(("target", "way"), WAYS)
def test_a_mailbox_that_is_not_permitted_is_denied_and_the_others_are_not(lab, graph, target, way):
    lab.break_(target, "mailbox_not_permitted")
    assert code(way(graph)) == (403, "ErrorAccessDenied")
    assert graph.get("/users/canary@contoso.example/messages").status_code == 200
    lab.heal(target)
    assert way(graph).status_code in {200, 202}


@pytest.mark.parametrize("fault", ["secret_expired", "app_unknown", "wrong_cloud"])
def test_where_entra_gives_no_token_the_old_ones_are_no_good_either(lab, graph, fault):
    assert read(graph).status_code == 200
    lab.break_("entra", fault)
    assert code(read(graph)) == (401, "InvalidAuthenticationToken")
    lab.heal("entra")
    assert read(graph).status_code == 200


@pytest.mark.parametrize(("target", "way"), WAYS)
@pytest.mark.parametrize(
    ("fault", "status", "word", "hint"),
    [
        ("throttled", 429, "ApplicationThrottled", "10"),
        ("throttled=3", 429, "ApplicationThrottled", "3"),
        ("throttled=0", 429, "ApplicationThrottled", None),
        ("graph_unavailable", 503, "serviceNotAvailable", None),
        ("graph_unavailable=7", 503, "serviceNotAvailable", "7"),
        ("graph_gateway_timeout", 504, "UnknownError", None),
    ],
)
def test_the_service_says_no_with_and_without_a_hint(lab, graph, target, way, fault, status, word, hint):
    lab.break_(target, fault)
    answer = way(graph)
    assert code(answer) == (status, word)
    assert answer.headers.get("retry-after") == hint
    lab.heal(target)
    assert way(graph).status_code in {200, 202}


def test_a_silent_service_never_answers(lab, graph):
    lab.break_("noreply", "graph_silent")
    with pytest.raises(httpx.ReadTimeout):
        graph.get(READ, timeout=0.3)
    lab.heal("noreply")
    assert read(graph).status_code == 200


def test_a_silent_service_sends_nothing(lab, graph):
    """The message of the request that was answered arrives; that of the earlier one has never been taken."""
    lab.break_("graph", "graph_silent")
    unheard, heard = ({"message": {**BODY["message"], "subject": f"s{uuid.uuid4().hex}"}} for _ in range(2))
    with pytest.raises(httpx.ReadTimeout):
        graph.post(SEND, json=unheard, timeout=0.3)
    lab.heal("graph")
    assert graph.post(SEND, json=heard).status_code == 202

    def sent(body: dict) -> list:
        params = {"$filter": f"subject eq '{body['message']['subject']}'"}
        return graph.get("/users/canary@contoso.example/mailFolders/sentitems/messages", params=params).json()["value"]

    until(lambda: sent(heard))
    assert sent(unheard) == []


def test_a_port_that_is_closed_refuses_connections(lab, graph):
    assert read(graph).status_code == 200
    lab.break_("graph", "graph_down")
    with pytest.raises(httpx.TransportError):
        read(graph)
    with pytest.raises(httpx.ConnectError):
        read(graph)
    lab.heal("graph")
    assert read(graph).status_code == 200


async def at_once(lab, requests: list[tuple[str, str]]) -> list[httpx.Response]:
    token = await asyncio.to_thread(access_token, lab, GRAPH)
    async with httpx.AsyncClient(
        base_url=f"https://127.0.0.1:{lab.port('graph')}/v1.0",
        verify=context(lab),
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
    ) as client:
        return await asyncio.gather(*(client.request(method, url) for method, url in requests))


def test_more_than_four_requests_at_once_in_a_mailbox_are_throttled(lab):
    lab.break_("noreply", "graph_slow=1")
    answers = asyncio.run(at_once(lab, [("GET", READ)] * 6 + [("GET", "/users/canary@contoso.example/messages")]))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 2
    assert answers[-1].status_code == 200
    (first, _) = [answer for answer in answers if answer.status_code == 429]
    assert first.json()["error"]["message"] == "Application is over its MailboxConcurrency limit."
    assert first.headers["retry-after"] == "1"


def batch(graph, *requests: dict) -> dict[str, dict]:
    answer = graph.post("/$batch", json={"requests": list(requests)})
    assert answer.status_code == 200, answer.text
    return {one["id"]: one for one in answer.json()["responses"]}


def test_a_batch_answers_each_request_by_itself(graph):
    answers = batch(
        graph,
        {"id": "1", "method": "GET", "url": "/users/noreply@contoso.example/mailFolders/inbox"},
        {"id": "2", "method": "GET", "url": "users/nobody@contoso.example/messages"},
        {
            "id": "3",
            "method": "POST",
            "url": SEND,
            "body": BODY,
            "headers": {"Content-Type": "application/json"},
        },
        {"id": "4", "method": "GET", "url": READ, "dependsOn": ["2"]},
        {"id": "5", "method": "GET", "url": READ, "dependsOn": ["1"]},
        {"id": "6", "method": "PUT", "url": READ},
    )
    statuses = [answers[str(number)]["status"] for number in range(1, 7)]
    assert statuses == [200, 404, 202, 424, 200, 400]
    assert answers["1"]["body"]["displayName"] == "Inbox"


def test_more_than_four_of_a_batch_in_one_mailbox_are_throttled(graph):
    answers = batch(graph, *({"id": str(number), "method": "GET", "url": READ} for number in range(7)))
    assert sorted(one["status"] for one in answers.values()) == [200] * 4 + [429] * 3
    assert {one["headers"].get("Retry-After") for one in answers.values()} == {None, "1"}


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [{"id": "1", "method": "GET", "url": READ}] * 2,
        [{"id": str(number), "method": "GET", "url": READ} for number in range(21)],
        [{"id": "1", "method": "GET", "url": READ, "dependsOn": ["1"]}],
        ["nonsense"],
    ],
)
def test_a_batch_that_makes_no_sense_is_refused(graph, requests):
    assert code(graph.post("/$batch", json={"requests": requests})) == (400, "BadRequest")
