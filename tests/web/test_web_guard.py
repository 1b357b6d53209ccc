"""Who may ask, by what name, and what a browser may do with the answer."""

from __future__ import annotations

import asyncio

import pytest

pytestmark = pytest.mark.anyio
EVERYTHING = ["/", "/metrics", "/-/healthy", "/-/ready", "/-/reload", "/nothing"]


async def test_every_answer_has_the_security_headers(serving):
    async with serving() as client:
        answers = [await client.get(path) for path in EVERYTHING]

    assert {answer.status for answer in answers} == {200, 404, 405}
    for answer in answers:
        assert answer.headers["content-security-policy"].startswith("default-src 'none';")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers


async def test_an_agent_on_loopback_answers_to_the_names_of_loopback(serving):
    hosts = ["127.0.0.1", "127.0.0.1:{port}", "localhost:{port}", "LOCALHOST", "localhost.:1", "[::1]:9", "127.9.9.9"]
    async with serving() as client:
        answers = {host: (await client.get("/metrics", Host=host.format(port=client.port))).status for host in hosts}

    assert answers == dict.fromkeys(hosts, 200)


async def test_an_agent_on_loopback_is_not_fooled_by_a_name_that_leads_there(serving):
    async with serving() as client:
        answers = [await client.get(path, Host=f"rebinding.example:{client.port}") for path in EVERYTHING]

    assert {answer.status for answer in answers} == {421}
    assert not any("rebinding" in answer.text for answer in answers)


async def test_a_name_that_only_looks_like_loopback_is_refused(serving):
    hosts = [
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "10.0.0.5",
        "[fe80::1]",
        "127.0.0.1@evil",
        "[",
        ":",
        "",
    ]
    async with serving() as client:
        answers = {host: (await client.get("/metrics", Host=host)).status for host in hosts}

    assert answers == dict.fromkeys(hosts, 421)


async def test_a_request_of_http_1_0_need_not_name_a_host(serving):
    """Health checks of load balancers leave it out; browsers, which are what the check is about, never do."""
    async with serving() as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"GET /-/healthy HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()

    assert answer.startswith(b"HTTP/1.1 200")


async def test_an_agent_answers_to_the_further_names_that_it_is_given(serving):
    async with serving(hosts=["Canary.contoso.example"]) as client:
        known = await client.get("/metrics", Host="canary.contoso.example:9825")
        unknown = await client.get("/metrics", Host="other.contoso.example")

    assert (known.status, unknown.status) == (200, 421)


async def test_an_agent_that_other_machines_reach_answers_to_any_name(serving):
    async with serving(listen="0.0.0.0:9825") as client:
        answer = await client.get("/metrics", Host="canary.contoso.example")

    assert answer.status == 200


async def test_with_names_given_an_agent_that_other_machines_reach_answers_to_no_other(serving):
    async with serving(listen="192.0.2.7:9825", hosts=["canary.contoso.example"]) as client:
        hosts = ("canary.contoso.example", "192.0.2.7:9825", "rebinding.example")
        answers = [(await client.get("/metrics", Host=host)).status for host in hosts]

    assert answers == [200, 200, 421]
