"""What the agent answers, address by address."""

from __future__ import annotations

import gzip
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from agent.status import PathView
from checks.errors import LocalFault
from checks.ports import Endpoint

pytestmark = pytest.mark.anyio
TOKEN = "correct horse battery staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def token() -> str:
    return TOKEN


async def test_metrics_are_answered_as_prometheus_text(serving):
    async with serving() as client:
        answer = await client.get("/metrics")

    names = {family.name for family in text_string_to_metric_families(answer.text)}
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert {"relaycanary_ledger_up", "relaycanary_build_info"} <= names


async def test_metrics_are_answered_as_openmetrics_in_gzip_if_asked_for(serving):
    async with serving() as client:
        answer = await client.get(
            "/metrics", Accept="application/openmetrics-text;version=1.0.0", Accept_Encoding="gzip"
        )

    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert gzip.decompress(answer.body).endswith(b"# EOF\n")


async def test_an_answer_of_several_blocks_arrives_whole(serving, agent):
    agent.view = replace(agent.view, paths=[a_path(number) for number in range(1500)])
    async with serving() as client:
        answer = await client.get("/metrics")

    assert len(answer.body) == int(answer.headers["content-length"]) > 2 * 65536
    assert answer.text.count("\nrelaycanary_path_info{") == 1500


def a_path(number: int) -> PathView:
    to = Endpoint(host="mx.contoso.example", port=25, tls="required")
    return PathView(name=f"relay-{number}", method="relay", endpoint=to, certificates=())


async def test_head_tells_the_length_and_sends_nothing(serving):
    async with serving() as client:
        answers = {path: await client.request("HEAD", path) for path in ("/", "/metrics", "/-/healthy", "/-/ready")}

    for answer in answers.values():
        assert answer.status == 200
        assert answer.body == b""
        assert int(answer.headers["content-length"]) > 0


async def test_the_process_is_healthy_even_before_it_has_settings(serving, agent):
    agent.view = replace(agent.view, applied=False)
    async with serving() as client:
        answer = await client.get("/-/healthy")

    assert answer.status == 200


async def test_the_agent_is_ready_once_settings_are_in_force_and_the_ledger_answers(serving):
    async with serving() as client:
        answer = await client.get("/-/ready")

    assert (answer.status, answer.text) == (200, "ready\n")


async def test_an_agent_without_settings_has_no_metrics_rather_than_no_checks(serving, agent):
    agent.view = replace(agent.view, applied=False)
    async with serving() as client:
        answer = await client.get("/metrics")

    assert answer.status == 503


async def test_an_agent_without_settings_is_not_ready_and_says_so(serving, agent):
    agent.view = replace(agent.view, applied=False)
    async with serving() as client:
        answer = await client.get("/-/ready")

    assert answer.status == 503
    assert "settings are not in force" in answer.text


async def test_an_agent_whose_ledger_does_not_answer_is_not_ready_and_says_why(serving, file: Path):
    vandal = sqlite3.connect(file)
    vandal.execute("ALTER TABLE canaries RENAME TO gone")
    vandal.close()
    async with serving() as client:
        answer = await client.get("/-/ready")
        metrics = await client.get("/metrics")

    assert answer.status == 503
    assert "ledger" in answer.text
    assert "Traceback" not in answer.text
    assert metrics.status == 200
    assert "relaycanary_ledger_up 0.0" in metrics.text


async def test_a_reload_with_the_token_takes_the_settings_over(serving, agent):
    async with serving(token=token) as client:
        answer = await client.request("POST", "/-/reload", **BEARER)

    assert (answer.status, answer.text) == (200, "reloaded\n")
    assert agent.reloads == 1


async def test_a_reload_of_bad_settings_tells_what_is_wrong(serving, agent):
    agent.problems = "relaycanary.yaml:3: paths.relay.prt: unknown key; did you mean port?"
    async with serving(token=token) as client:
        answer = await client.request("POST", "/-/reload", **BEARER)

    assert answer.status == 400
    assert answer.text == f"{agent.problems}\n"


async def test_nothing_is_reloaded_without_the_token(serving, agent):
    wrong = ["", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer \xe9"]
    async with serving(token=token) as client:
        answers = [await client.request("POST", "/-/reload")]
        answers += [await client.request("POST", "/-/reload", Authorization=value) for value in wrong]

    for answer in answers:
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert TOKEN not in answer.text
    assert agent.reloads == 0


async def test_an_agent_without_a_token_reloads_for_nobody_and_names_the_setting(serving, agent):
    async with serving() as client:
        answer = await client.request("POST", "/-/reload", Authorization="Bearer ")

    assert answer.status == 403
    assert "web.token" in answer.text
    assert agent.reloads == 0


async def test_a_token_that_cannot_be_read_lets_nobody_in(serving, agent):
    def unreadable() -> str:
        raise LocalFault("the secret file /etc/relaycanary/token is empty")

    async with serving(token=unreadable) as client:
        answer = await client.request("POST", "/-/reload", **BEARER)

    assert answer.status == 503
    assert "/etc" not in answer.text
    assert agent.reloads == 0


async def test_a_token_may_have_letters_of_any_alphabet(serving, agent):
    sent = "geheim-ключ".encode().decode("latin-1")
    async with serving(token=lambda: "geheim-ключ") as client:
        answer = await client.request("POST", "/-/reload", Authorization=f"Bearer {sent}")

    assert answer.status == 200
    assert agent.reloads == 1


async def test_a_reload_is_asked_for_by_post_only(serving, agent):
    async with serving(token=token) as client:
        answers = [await client.request(one, "/-/reload", **BEARER) for one in ("GET", "HEAD", "PUT", "DELETE")]

    assert [(answer.status, answer.headers["allow"]) for answer in answers] == [(405, "POST")] * 4
    assert agent.reloads == 0


async def test_what_only_shows_cannot_be_posted_to(serving):
    async with serving() as client:
        assert (await client.request("POST", "/metrics")).status == 405


async def test_what_is_not_there_is_not_found_and_leads_nowhere_else(serving):
    async with serving() as client:
        paths = ["/nothing", "/metrics/", "/-/reload/", "//evil.example/", "/%2e%2e/etc/passwd"]
        answers = [await client.get(path) for path in paths]

    assert {answer.status for answer in answers} == {404}
    assert not any("location" in answer.headers for answer in answers)


async def test_a_defect_is_answered_without_its_details(serving, agent):
    agent.view = None
    with capture_logs() as logged:
        async with serving() as client:
            answer = await client.get("/")

    assert answer.status == 500
    assert answer.text == "the agent failed to answer: its log says why\n"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert [(one["event"], one["exc_info"]) for one in logged] == [("web.failed", True)]
