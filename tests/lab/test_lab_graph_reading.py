"""Graph shows the mailboxes that IMAP shows: folders, messages, ids, queries, and what is done to messages."""

from __future__ import annotations

import re
import uuid
from urllib.parse import quote

import pytest
from lab.microsoft import until

INBOX = "/users/noreply@contoso.example/mailFolders/inbox/messages"
IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}


@pytest.fixture
def arrived(sender, graph):
    """Mails that have come to noreply's inbox by direct send; their subjects."""

    def send(count: int = 1) -> list[str]:
        same = f"s{uuid.uuid4().hex}"
        subjects = [f"{same}-{number}" for number in range(count)]
        client = sender("direct", recipient="noreply@contoso.example")
        for subject in subjects:
            assert client.send(subject).accepted
        for subject in subjects:
            until(lambda subject=subject: find(graph, subject))
        return subjects

    return send


def find(graph, subject: str, folder: str = "inbox", **headers: str) -> list[dict]:
    url = f"/users/noreply@contoso.example/mailFolders/{folder}/messages"
    answer = graph.get(url, params={"$filter": f"subject eq '{subject}'"}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["value"]


def test_folders_are_listed_and_found_by_name_in_any_case_and_by_id(graph):
    listed = graph.get("/users/noreply@contoso.example/mailFolders").json()["value"]
    assert [one["displayName"] for one in listed] == ["Inbox", "Junk Email", "Sent Items", "Deleted Items"]
    for number, name in enumerate(("inbox", "JunkEmail", "sentitems", "DeletedItems")):
        by_name = graph.get(f"/users/noreply@contoso.example/mailFolders/{name}").json()
        by_id = graph.get(f"/users/noreply@contoso.example/mailFolders/{listed[number]['id']}").json()
        assert by_name["id"] == by_id["id"] == listed[number]["id"]
    root = graph.get("/users/noreply@contoso.example/mailFolders/msgfolderroot").json()
    assert (root["childFolderCount"], root["id"]) == (4, listed[0]["parentFolderId"])
    children = graph.get(f"/users/noreply@contoso.example/mailFolders/{root['id']}/childFolders").json()["value"]
    assert children == listed


def test_folders_come_in_pages(graph):
    first = graph.get("/users/noreply@contoso.example/mailFolders", params={"$top": "3", "$count": "true"}).json()
    assert (len(first["value"]), first["@odata.count"]) == (3, 4)
    assert len(graph.get(first["@odata.nextLink"]).json()["value"]) == 1


def test_a_user_may_be_named_by_object_id(graph):
    by_name = graph.get("/users/NoReply@contoso.example/mailFolders/inbox").json()
    context = by_name["@odata.context"]
    user = re.search(r"users\('([0-9a-f-]{36})'\)", context)[1]
    assert graph.get(f"/users/{user}/mailFolders/inbox").json()["id"] == by_name["id"]


def test_a_message_is_the_one_that_imap_shows(graph, arrived, reader):
    (subject,) = arrived()
    (shown,) = find(graph, subject)
    (stored,) = reader("noreply").wait(subject)
    assert shown["subject"] == subject
    assert shown["internetMessageId"] == f"<{subject}@client.example>"
    assert shown["from"]["emailAddress"]["address"] == "canary@contoso.example"
    assert shown["body"] == {"contentType": "text", "content": "hello\r\n"}
    assert shown["bodyPreview"] == "hello"
    assert (shown["isRead"], shown["isDraft"], shown["hasAttachments"]) == (False, False, False)
    assert "internetMessageHeaders" not in shown
    raw = graph.get(f"{INBOX}/{shown['id']}/$value")
    assert raw.content == stored
    assert raw.headers["content-type"].startswith("text/plain")


def test_the_header_of_the_wire_comes_to_those_who_ask_for_it(graph, arrived):
    (subject,) = arrived()
    (shown,) = find(graph, subject)
    said = graph.get(f"{INBOX}/{shown['id']}", params={"$select": "internetMessageHeaders,receivedDateTime"}).json()
    assert set(said) == {
        *("@odata.context", "@odata.etag", "id", "internetMessageHeaders", "receivedDateTime"),
    }
    assert {"name": "Subject", "value": subject} in said["internetMessageHeaders"]
    received = [one["value"] for one in said["internetMessageHeaders"] if one["name"] == "Received"]
    assert len(received) == 3
    assert not any("\r" in value or "\n" in value for value in received)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", said["receivedDateTime"])


def test_messages_come_in_pages_newest_first(graph, arrived):
    subjects = arrived(5)
    mine = f"receivedDateTime ge 2020-01-01T00:00:00Z and startswith(subject,'{subjects[0][:-2]}')"
    params = {"$filter": mine, "$top": "2", "$select": "subject", "$orderby": "receivedDateTime desc"}
    answer = graph.get(INBOX, params=params).json()
    seen = []
    while True:
        assert len(answer["value"]) <= 2
        seen += [one["subject"] for one in answer["value"]]
        if "@odata.nextLink" not in answer:
            break
        answer = graph.get(answer["@odata.nextLink"]).json()
    assert seen == subjects[::-1]


def test_a_page_may_be_as_large_as_the_header_prefer_says(graph, arrived):
    arrived(3)
    answer = graph.get(INBOX, headers={"Prefer": "odata.maxpagesize=2"}).json()
    assert len(answer["value"]) == 2
    assert "@odata.nextLink" in answer


@pytest.mark.parametrize(
    ("template", "count"),
    [
        ("internetMessageId eq '<{0}@client.example>'", 1),
        ("internetMessageId eq '<{0}@CLIENT.example>' and isRead eq false", 1),
        ("subject eq '{0}' or subject eq '{1}'", 2),
        ("(subject eq '{0}' or subject eq '{1}') and isRead eq true", 0),
        ("startswith(subject,'{0}')", 1),
        ("contains(subject,'{0}') and receivedDateTime gt 2020-01-01", 1),
        ("not (subject ne '{0}')", 1),
        ("subject eq '{0}' and receivedDateTime lt 2020-01-01T00:00:00Z", 0),
        ("subject eq '{0}' and from/emailAddress/address eq 'canary@contoso.example'", 1),
    ],
)
def test_messages_are_found_by_filter(graph, arrived, template, count):
    params = {"$filter": template.format(*arrived(2)), "$count": "true", "$select": "id"}
    answer = graph.get(INBOX, params=params).json()
    assert (len(answer["value"]), answer["@odata.count"]) == (count, count)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"$filter": "subject"}, "ErrorInvalidUrlQueryFilter"),
        ({"$filter": "color eq 'red'"}, "ErrorInvalidUrlQueryFilter"),
        ({"$filter": "receivedDateTime ge yesterday"}, "ErrorInvalidUrlQueryFilter"),
        ({"$filter": "not " * 900 + "isRead eq true"}, "ErrorInvalidUrlQueryFilter"),
        ({"$filter": "(" * 900 + "isRead eq true"}, "ErrorInvalidUrlQueryFilter"),
        ({"$filter": "isRead eq true and"}, "ErrorInvalidUrlQueryFilter"),
        ({"$filter": "isRead eq false", "$orderby": "receivedDateTime"}, "InefficientFilter"),
        ({"$select": "subject,color"}, "RequestBroker--ParseUri"),
        ({"$orderby": "color"}, "RequestBroker--ParseUri"),
        ({"$top": "0"}, "ErrorInvalidUrlQuery"),
        ({"$top": "1001"}, "ErrorInvalidUrlQuery"),
        ({"$skip": "-1"}, "ErrorInvalidUrlQuery"),
        ({"$search": '"hello"'}, "BadRequest"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(graph, params, code):
    answer = graph.get(INBOX, params=params)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_an_ordinary_id_changes_when_the_message_moves_and_an_immutable_one_stays(graph, arrived, reader):
    (subject,) = arrived()
    (ordinary,) = find(graph, subject)
    (immutable,) = find(graph, subject, **IMMUTABLE)
    assert ordinary["id"] != immutable["id"]
    moved = graph.post(f"{INBOX}/{ordinary['id']}/move", json={"destinationId": "junkemail"})
    assert moved.status_code == 201
    assert moved.json()["id"] != ordinary["id"]
    assert graph.get(f"{INBOX}/{ordinary['id']}").status_code == 404
    kept = graph.get(f"/users/noreply@contoso.example/messages/{immutable['id']}", headers=IMMUTABLE)
    assert (kept.json()["id"], kept.json()["subject"]) == (immutable["id"], subject)
    assert kept.headers["preference-applied"] == 'IdType="ImmutableId"'
    assert reader("noreply").uids(subject) == []
    assert len(reader("noreply").uids(subject, "Junk Email")) == 1
    box = reader("noreply")
    box.client.select_folder("Junk Email")
    box.client.move(box.uids(subject, "Junk Email"), "INBOX")
    again = graph.get(f"/users/noreply@contoso.example/messages/{immutable['id']}", headers=IMMUTABLE).json()
    assert again["parentFolderId"] == graph.get("/users/noreply@contoso.example/mailFolders/inbox").json()["id"]


def test_what_graph_deletes_is_gone_in_imap(graph, arrived, reader):
    (subject,) = arrived()
    (shown,) = find(graph, subject)
    assert graph.delete(f"{INBOX}/{shown['id']}").status_code == 204
    assert reader("noreply").uids(subject) == []
    assert len(reader("noreply").uids(subject, "Deleted Items")) == 1
    (deleted,) = find(graph, subject, "deleteditems")
    url = f"/users/noreply@contoso.example/messages/{deleted['id']}"
    assert graph.delete(url).status_code == 204
    assert reader("noreply").uids(subject, "Deleted Items") == []
    assert graph.delete(url).status_code == 404


def test_what_is_deleted_for_good_is_in_no_folder(graph, arrived, reader):
    (subject,) = arrived()
    (shown,) = find(graph, subject, **IMMUTABLE)
    url = f"/users/noreply@contoso.example/messages/{shown['id']}"
    assert graph.post(f"{url}/permanentDelete", headers=IMMUTABLE).status_code == 204
    assert [find(graph, subject, folder) for folder in ("inbox", "deleteditems")] == [[], []]
    assert reader("noreply").uids(subject) == []
    assert graph.get(url).status_code == 404


def test_what_imap_expunges_is_gone_in_graph(graph, arrived, reader):
    (subject,) = arrived()
    (shown,) = find(graph, subject)
    box = reader("noreply")
    box.wait(subject)
    box.client.delete_messages(box.uids(subject))
    box.client.expunge()
    answer = graph.get(f"{INBOX}/{shown['id']}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ErrorItemNotFound")


def test_a_message_read_in_one_view_is_read_in_the_other(graph, arrived, reader):
    (subject,) = arrived()
    (shown,) = find(graph, subject)
    marked = graph.patch(f"{INBOX}/{shown['id']}", json={"isRead": True}).json()
    assert marked["isRead"]
    assert marked["changeKey"] != shown["changeKey"]
    box = reader("noreply")
    (uid,) = box.uids(subject)
    assert b"\\Seen" in box.client.get_flags([uid])[uid]
    box.client.remove_flags([uid], [b"\\Seen"])
    assert not graph.get(f"{INBOX}/{shown['id']}").json()["isRead"]


def test_a_copy_is_another_message(graph, arrived):
    (subject,) = arrived()
    (shown,) = find(graph, subject, **IMMUTABLE)
    copied = graph.post(f"{INBOX}/{shown['id']}/copy", json={"destinationId": "junkemail"}, headers=IMMUTABLE).json()
    assert copied["id"] != shown["id"]
    assert len(find(graph, subject)) == len(find(graph, subject, "junkemail")) == 1


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/users/nobody@contoso.example/messages", 404, "ErrorInvalidUser"),
        ("/users/canary@outside.example/messages", 404, "ErrorInvalidUser"),
        ("/users/noreply@contoso.example/mailFolders/archive", 400, "ErrorInvalidIdMalformed"),
        ("/users/noreply@contoso.example/mailFolders/msgfolderroot/messages", 400, "ErrorInvalidIdMalformed"),
        ("/users/noreply@contoso.example/messages/nonsense", 400, "ErrorInvalidIdMalformed"),
        ("/users/noreply@contoso.example/messages/AAMkADE0!!!!", 400, "ErrorInvalidIdMalformed"),
        ("/users/noreply@contoso.example/messages/AAkALgAA" + "A" * 24, 400, "ErrorInvalidIdMalformed"),
        ("/users/noreply@contoso.example/calendar", 400, "BadRequest"),
        ("/me/messages", 400, "BadRequest"),
    ],
)
def test_what_is_not_there_is_said_to_be_missing(graph, path, status, code):
    answer = graph.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_an_id_of_another_mailbox_is_not_found(graph, arrived):
    (subject,) = arrived()
    for headers in ({}, IMMUTABLE):
        (shown,) = find(graph, subject, **headers)
        answer = graph.get(f"/users/canary@contoso.example/messages/{shown['id']}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ErrorItemNotFound")


def test_hostile_mail_is_shown_all_the_same(graph, reader):
    subject = f"s{uuid.uuid4().hex}"
    message = (
        f"Subject: {subject}\r\nFrom: =?nonsense?q?=FF?= <\xff@x>, @@@\r\nDate: never\r\nTo: (\r\n"
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain; charset=klingon\r\nContent-Transfer-Encoding: base64\r\n\r\n####\r\n"
        "--b\r\nContent-Disposition: attachment\r\n\r\n\xfe\xff\r\n"
    )
    reader("noreply").client.append("INBOX", message.encode("latin-1"))
    (shown,) = find(graph, subject)
    said = graph.get(f"{INBOX}/{shown['id']}", params={"$select": "internetMessageHeaders,body,toRecipients"})
    assert said.status_code == 200
    assert shown["hasAttachments"]


def test_requests_are_named_for_support(graph):
    name = str(uuid.uuid4())
    answer = graph.get("/users/noreply@contoso.example/mailFolders", headers={"client-request-id": name})
    assert answer.headers["client-request-id"] == name
    assert answer.headers["request-id"] != name
    wrong = graph.get(f"/users/{quote('nobody@contoso.example')}/messages", headers={"client-request-id": name})
    assert wrong.json()["error"]["innerError"]["client-request-id"] == name
