"""Delta: what is new, changed and gone in a folder since the last round, in pages, and tokens that have expired."""

from __future__ import annotations

import uuid

import pytest
from lab.microsoft import graph_client, until

from checks.lab import Lab

BOX = "/users/noreply@contoso.example/mailFolders/inbox/messages"
DELTA = f"{BOX}/delta"
IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}


class Follower:
    """A client that keeps its place by delta links alone."""

    def __init__(self, graph, url: str = DELTA, **headers: str) -> None:
        self.graph, self.url, self.headers = graph, url, headers
        self.pages = 0

    def round(self) -> list[dict]:
        """Read all pages of a round."""
        told: list[dict] = []
        while True:
            answer = self.graph.get(self.url, headers=self.headers)
            assert answer.status_code == 200, answer.text
            self.pages += 1
            told += answer.json()["value"]
            if "@odata.deltaLink" in answer.json():
                self.url = answer.json()["@odata.deltaLink"]
                return told
            self.url = answer.json()["@odata.nextLink"]


@pytest.fixture
def send(sender, reader):
    """Send a mail to noreply's inbox and wait for it; returns its subject."""

    def one() -> str:
        subject = f"s{uuid.uuid4().hex}"
        assert sender("direct", recipient="noreply@contoso.example").send(subject).accepted
        reader("noreply").wait(subject)
        return subject

    return one


def subjects(told: list[dict]) -> list[str]:
    return [one["subject"] for one in told if "@removed" not in one]


def removed(told: list[dict]) -> list[str]:
    return [one["id"] for one in told if "@removed" in one]


@pytest.mark.parametrize("form", ["delta", "delta()", "microsoft.graph.delta()"])
def test_the_first_round_tells_all_and_the_next_what_is_new(graph, send, form):
    before = send()
    follower = Follower(graph, f"{BOX}/{form}")
    assert before in subjects(follower.round())
    assert follower.round() == []
    new = send()
    assert subjects(follower.round()) == [new]
    assert follower.round() == []


def test_a_round_comes_in_pages_that_tell_each_message_once(graph, send):
    sent = {send() for _ in range(5)}
    follower = Follower(graph, Prefer="odata.maxpagesize=2")
    told = follower.round()
    assert sent <= set(subjects(told))
    ids = [message["id"] for message in told]  # subjects may be alike: two bounces of one mail
    assert len(ids) == len(set(ids))
    assert follower.pages == -(-len(ids) // 2)


def test_mail_that_comes_during_the_first_round_is_told_by_the_second(graph, send):
    for _ in range(3):
        send()
    first = graph.get(DELTA, headers={"Prefer": "odata.maxpagesize=2"}).json()
    late = send()
    follower = Follower(graph, first["@odata.nextLink"])
    assert late not in subjects(follower.round())
    assert subjects(follower.round()) == [late]


def test_mail_that_goes_during_the_first_round_is_told_by_the_second(graph, send):
    for _ in range(3):
        send()
    first = graph.get(DELTA, headers={"Prefer": "odata.maxpagesize=2"}).json()
    told = first["value"][0]["id"]
    follower = Follower(graph, first["@odata.nextLink"])
    assert graph.post(f"{BOX}/{told}/permanentDelete").status_code == 204
    assert removed(follower.round()) == []
    assert removed(follower.round()) == [told]


@pytest.mark.parametrize("headers", [{}, IMMUTABLE])
def test_what_is_gone_is_told_by_its_id_whoever_removed_it(graph, send, reader, headers):
    by_graph, by_imap, by_move = send(), send(), send()
    follower = Follower(graph, **headers)
    known = {one["subject"]: one["id"] for one in follower.round()}
    assert graph.post(f"{BOX}/{known[by_graph]}/permanentDelete").status_code == 204
    assert graph.post(f"{BOX}/{known[by_move]}/move", json={"destinationId": "junkemail"}).status_code == 201
    box = reader("noreply")
    box.client.delete_messages(box.uids(by_imap))
    box.client.expunge()
    gone = follower.round()
    assert set(removed(gone)) == {known[by_graph], known[by_imap], known[by_move]}
    assert all(one["@removed"] == {"reason": "deleted"} for one in gone)


def test_a_message_with_another_flag_is_told_again(graph, send):
    subject = send()
    follower = Follower(graph)
    (known,) = [one for one in follower.round() if one["subject"] == subject]
    graph.patch(f"{BOX}/{known['id']}", json={"isRead": True})
    (changed,) = follower.round()
    assert (changed["id"], changed["isRead"]) == (known["id"], True)


def test_a_link_may_be_used_twice(graph, send):
    follower = Follower(graph)
    follower.round()
    link = follower.url
    new = send()
    assert subjects(follower.round()) == [new]
    assert subjects(Follower(graph, link).round()) == [new]


def test_a_link_keeps_what_was_selected_and_filtered(graph, send):
    send()
    follower = Follower(graph, f"{DELTA}?$select=subject&$filter=receivedDateTime ge 2099-01-01T00:00:00Z")
    assert follower.round() == []
    send()
    assert follower.round() == []
    narrow = Follower(graph, f"{DELTA}?$select=subject")
    assert {name for one in narrow.round() for name in one} == {"@odata.type", "@odata.etag", "id", "subject"}


def test_expired_tokens_are_answered_410_until_the_client_begins_anew(lab, graph, send):
    follower = Follower(graph)
    follower.round()
    lab.break_("noreply", "delta_expired")
    answer = graph.get(follower.url)
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "SyncStateNotFound")
    subject = send()
    assert subject in subjects(Follower(graph).round())
    lab.heal("noreply")
    assert subjects(follower.round()) == [subject]


def test_a_replay_tells_old_changes_again(lab, graph, send):
    sent = [send() for _ in range(3)]
    follower = Follower(graph)
    follower.round()
    lab.break_("noreply", "delta_replays")
    assert set(sent) <= set(subjects(follower.round()))
    lab.heal("noreply")
    assert follower.round() == []


def test_tokens_of_an_earlier_lab_are_known_no_more(tmp_path):
    with Lab(tmp_path) as lab, graph_client(lab) as graph:
        follower = Follower(graph)
        follower.round()
        token = follower.url.partition("?")[2]
    with Lab(tmp_path) as lab, graph_client(lab) as graph:
        assert graph.get(f"{DELTA}?{token}").status_code == 410


@pytest.mark.parametrize("token", ["nonsense", "e30", "W10", "bnVsbA", "%F0%9F%98%80"])
def test_a_token_that_is_none_is_refused(graph, token):
    answer = graph.get(f"{DELTA}?$deltatoken={token}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "SyncStateInvalid")


def test_a_token_of_another_folder_is_refused(graph):
    follower = Follower(graph)
    follower.round()
    other = follower.url.replace("/inbox/", "/junkemail/")
    assert graph.get(other).status_code == 400


def test_delta_takes_no_search_and_counts_nothing(graph):
    answer = graph.get(DELTA, params={"$search": '"x"'})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ErrorInvalidUrlQuery")


def test_a_new_message_is_told_without_a_round_for_each(graph, send):
    """What a reader does that polls: the same link again and again, until it tells something."""
    follower = Follower(graph)
    follower.round()
    subject = send()
    assert subject in until(lambda: subjects(follower.round()))
