"""The lab's answers against Microsoft's own description of Graph, where that lies beside the checkout.

Every other test of Graph looks at each of its answers in the same way (`microsoft.examine`); these make sure that all
kinds of answers are among them, and that there is something to hold them against.
"""

from __future__ import annotations

import json
import uuid

import jsonschema
import pytest
from lab.microsoft import SCHEMA, examine, resources, until, validator

BOX = "/users/noreply@contoso.example"


@pytest.fixture
def answers(graph, sender):
    """One answer of each kind."""
    subject = f"s{uuid.uuid4().hex}"
    assert sender("direct", recipient="noreply@contoso.example").send(subject).accepted
    url = f"{BOX}/mailFolders/inbox/messages"
    found = {"$filter": f"subject eq '{subject}'"}
    shown = until(lambda: graph.get(url, params=found).json()["value"])[0]["id"]
    everything = "internetMessageHeaders,conversationIndex"
    start = graph.get(f"{url}/delta").json()
    while "@odata.nextLink" in start:
        start = graph.get(start["@odata.nextLink"]).json()
    changed = graph.patch(f"{url}/{shown}", json={"isRead": True})
    copied = graph.post(f"{url}/{shown}/copy", json={"destinationId": "junkemail"})
    moved = graph.post(f"{url}/{shown}/move", json={"destinationId": "deleteditems"})
    return [
        *(graph.get(f"{BOX}/mailFolders"), graph.get(f"{BOX}/mailFolders/msgfolderroot")),
        *(graph.get(f"{BOX}/messages", params={"$count": "true"}), changed, copied, moved),
        graph.get(f"{BOX}/messages/{moved.json()['id']}", params={"$select": everything}),
        *(graph.get(start["@odata.deltaLink"]), graph.get(f"{url}/delta")),
    ]


def test_every_kind_of_answer_has_the_shape_of_its_type(answers):
    """Runs without the schema: names, types and OData's own fields that every client relies on."""
    for answer in answers:
        assert answer.status_code in {200, 201}, answer.text
        examine(answer)
        body = answer.json()
        assert body["@odata.context"].startswith("https://127.0.0.1:")
        assert answer.headers["content-type"].startswith("application/json;odata.metadata=minimal")
        for kind, one in resources(body):
            assert isinstance(one["id"], str)
            if kind == "message" and "subject" in one:
                assert isinstance(one["receivedDateTime"], str)
                assert isinstance(one["isRead"], bool)
                assert one["@odata.etag"].startswith('W/"')
            if kind == "mailFolder":
                assert isinstance(one["totalItemCount"], int)


def test_every_kind_of_answer_validates_against_the_schema_of_microsoft(answers):
    if not SCHEMA.exists():
        pytest.skip("the schema of Microsoft Graph is not beside the checkout (../shared/corpora/graph)")
    shown = [one for answer in answers for one in resources(answer.json())]
    assert {"message", "mailFolder"} == {kind for kind, _ in shown}
    for kind, one in shown:
        validator(kind).validate(one)
    with pytest.raises(jsonschema.ValidationError):
        validator("message").validate({"id": "x", "receivedTime": "2026-01-01T00:00:00Z"})


def test_a_message_has_what_the_documented_example_has(graph, answers):
    examples = SCHEMA.with_name("doc_examples.json")
    if not examples.exists():
        pytest.skip("the documented examples of Graph are not beside the checkout (../shared/corpora/graph)")
    whole, headers = (example["response"] for example in json.loads(examples.read_text()))
    message = graph.get(f"{BOX}/messages/{answers[5].json()['id']}").json()
    assert whole.keys() == message.keys()
    assert headers.keys() <= answers[6].json().keys()
