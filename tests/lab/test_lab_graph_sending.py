"""sendMail: what Graph takes travels like any other mail, to every mailbox and with the header of its way."""

from __future__ import annotations

import base64
import threading
import uuid

import httpx
import pytest
from lab.microsoft import until

SEND = "/users/canary@contoso.example/sendMail"
TOO_MANY = "InvalidInternetMessageHeaderCollection"
TEXT = {"content-type": "text/plain"}


def mime(subject: str, to: str = "noreply@contoso.example", sender: str = "canary@contoso.example") -> bytes:
    lines = [
        f"From: {sender}",
        f"To: {to}",
        f"Subject: {subject}",
        f"Message-ID: <{subject}@client.example>",
        "X-Relaycanary: v1.something",
        "Bcc: noreply@contoso.example",
        "",
        "hello",
        "",
    ]
    return base64.b64encode("\r\n".join(lines).encode())


def message(subject: str, to: str = "noreply@contoso.example", **more: object) -> dict:
    recipients = [{"emailAddress": {"address": to}}]
    return {"subject": subject, "body": {"contentType": "Text", "content": "hi"}, "toRecipients": recipients, **more}


@pytest.fixture
def subject():
    return f"s{uuid.uuid4().hex}"


def sent_items(graph, subject: str) -> list[dict]:
    url = "/users/canary@contoso.example/mailFolders/sentitems/messages"
    return graph.get(url, params={"$filter": f"subject eq '{subject}'"}).json()["value"]


def test_mime_travels_as_it_was_handed_over(graph, reader, subject):
    answer = graph.post(SEND, content=mime(subject), headers=TEXT)
    assert (answer.status_code, answer.content) == (202, b"")
    (arrived,) = reader("noreply").wait(subject)
    assert f"Message-ID: <{subject}@client.example>".encode() in arrived
    assert b"X-Relaycanary: v1.something" in arrived
    assert b"\r\nBcc:" not in arrived
    assert b"X-MS-Exchange-CrossTenant-FromEntityHeader: Hosted" in arrived
    assert b"with mapi id" in arrived
    assert b"X-ClientProxiedBy" not in arrived
    (copy,) = until(lambda: sent_items(graph, subject))
    url = f"/users/canary@contoso.example/messages/{copy['id']}"
    assert "internetMessageHeaders" not in graph.get(url, params={"$select": "internetMessageHeaders"}).json()


@pytest.mark.parametrize("copies", [True, False])
def test_json_becomes_a_message_with_a_copy_where_it_is_wanted(graph, reader, subject, copies):
    headers = [{"name": "x-canary", "value": "one"}, {"name": "X-Long", "value": "word" * 40}]
    body = {"message": message(subject, internetMessageHeaders=headers), "saveToSentItems": copies}
    assert graph.post(SEND, json=body).status_code == 202
    (arrived,) = reader("noreply").wait(subject)
    assert b"x-canary: one" in arrived
    assert b"X-Long: " + b"word" * 40 + b"\r\n" in arrived
    assert b"From: canary@contoso.example" in arrived
    if copies:
        assert len(until(lambda: sent_items(graph, subject))) == 1
    else:
        assert sent_items(graph, subject) == []


def test_the_other_provider_is_reached_and_an_unknown_recipient_reported(graph, reader, subject):
    assert graph.post(SEND, json={"message": message(subject, "canary@outside.example")}).status_code == 202
    reader("outside").wait(subject)
    assert graph.post(SEND, json={"message": message(subject, "nobody@contoso.example")}).status_code == 202
    (report,) = reader("inbox").wait(f"Undeliverable: {subject}")
    assert b"5.1.10" in report


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"not base64!", TEXT, 400, "ErrorMimeContentInvalidBase64String"),
        (b"", TEXT, 400, "ErrorMimeContentInvalidBase64String"),
        (mime("s", to="nobody"), TEXT, 400, "ErrorInvalidRecipients"),
        (mime("s", sender="noreply@contoso.example"), TEXT, 403, "ErrorSendAsDenied"),
        (b"{", {"content-type": "application/json"}, 400, "BadRequest"),
        (b"[]", {"content-type": "application/json"}, 400, "BadRequest"),
        (b"{}", {"content-type": "application/json"}, 400, "ErrorInvalidRequest"),
        (b"x" * (5 * 1024 * 1024), TEXT, 413, "ErrorMessageSizeExceeded"),
    ],
)
def test_what_cannot_be_sent_is_refused(graph, content, headers, status, code):
    answer = graph.post(SEND, content=content, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"toRecipients": []}, 400, "ErrorInvalidRecipients"),
        ({"toRecipients": [{"address": "x@y"}]}, 400, "ErrorInvalidRecipients"),
        ({"from": {"emailAddress": {"address": "noreply@contoso.example"}}}, 403, "ErrorSendAsDenied"),
        ({"internetMessageHeaders": [{"name": "Received", "value": "x"}]}, 400, "InvalidInternetMessageHeader"),
        ({"internetMessageHeaders": [{"name": "x-a", "value": "1\r\nBcc: a@b"}]}, 400, "ErrorInvalidRequest"),
        ({"internetMessageHeaders": [{"name": f"x-{n}", "value": "1"} for n in range(6)]}, 400, TOO_MANY),
        ({"attachments": []}, 400, "ErrorInvalidPropertySet"),
    ],
)
def test_a_message_that_may_not_be_sent_is_refused(graph, subject, change, status, code):
    answer = graph.post(SEND, json={"message": {**message(subject), **change}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_connection_may_close_after_the_message_was_taken(lab, graph, reader, subject):
    lab.break_("graph", "drop_after_body")
    with pytest.raises(httpx.RemoteProtocolError):
        graph.post(SEND, content=mime(subject), headers=TEXT)
    reader("noreply").wait(subject)


def test_a_request_may_hang_after_the_message_was_taken(lab, graph, reader, subject):
    lab.break_("graph", "hang_after_body")
    failed: list[Exception] = []

    def post() -> None:
        try:
            graph.post(SEND, content=mime(subject), headers=TEXT, timeout=10)
        except httpx.TransportError as error:
            failed.append(error)

    hanging = threading.Thread(target=post)
    hanging.start()
    reader("noreply").wait(subject)  # the message is there while the request still waits
    assert hanging.is_alive()
    lab.heal("graph")
    hanging.join(10)
    assert len(failed) == 1


@pytest.mark.parametrize(("fault", "folder", "count"), [("junk", "Junk Email", 1), ("duplicate", "INBOX", 2)])
def test_faults_of_delivery_hold_for_graph_too(lab, graph, reader, subject, fault, folder, count):
    lab.break_("graph", fault)
    assert graph.post(SEND, content=mime(subject), headers=TEXT).status_code == 202
    assert len(reader("noreply").wait(subject, folder, count)) == count
