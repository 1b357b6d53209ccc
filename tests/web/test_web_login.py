"""Who is let in: readers by a password of which only the hash is known, programs by the token."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace

import bcrypt
import httpx
import pytest
from structlog.testing import capture_logs
from support.passwords import a_hash

from agent.web import passwords
from agent.web.limits import Limit, client_of
from checks.errors import LocalFault

pytestmark = pytest.mark.anyio
PASSWORD = "pass:wörd"
TOKEN = "t0ken"
HASH = a_hash(PASSWORD)
GOOD = {"prometheus": lambda: HASH}


def basic(username: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


async def all_at_once(client, tried: list[str]) -> list[int]:
    """Ask with all these passwords at once, from the event loop: threads of clients would take those of the agent."""
    async with httpx.AsyncClient(timeout=60) as http:
        ask = (http.get(f"{client.url}/-/ready", headers=basic("prometheus", one)) for one in tried)
        return [answer.status_code for answer in await asyncio.gather(*ask)]


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Note every hash that is computed, and which of their salts it has."""
    seen: list[bytes] = []
    real = bcrypt.checkpw

    def check(password: bytes, hashed: bytes) -> bool:
        seen.append(hashed)
        return real(password, hashed)

    monkeypatch.setattr(passwords.bcrypt, "checkpw", check)
    return seen


async def test_with_users_nothing_is_shown_without_a_login(serving):
    async with serving(users=GOOD) as client:
        paths = ["/", "/metrics", "/-/ready", "/nothing", "//-/healthy", "/-/healthy/", "/-/healthy/../../metrics"]
        paths += ["/-/reload", "/api/v1/checks/relay/run", "/probe?check=relay"]
        answers = [await client.get(path) for path in paths]

    assert {answer.status for answer in answers} == {401}
    for answer in answers:
        assert answer.headers["www-authenticate"] == 'Basic realm="relaycanary", charset="UTF-8"'
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_health_of_the_process_is_still_for_everybody(serving):
    async with serving(users=GOOD) as client:
        assert (await client.get("/-/healthy")).status == 200


async def test_the_right_login_is_let_in_and_its_hash_is_computed_once(serving, computed):
    async with serving(users=GOOD) as client:
        at_once = await all_at_once(client, [PASSWORD] * 4)
        later = await client.get("/metrics", **basic("prometheus", PASSWORD))

    assert (at_once, later.status) == ([200] * 4, 200)
    assert len(computed) == 1


async def test_a_wrong_login_is_not(serving):
    right = base64.b64encode(f"prometheus:{PASSWORD}".encode()).decode()
    wrong = [
        basic("prometheus", "wrong"),
        basic("prometheus", PASSWORD + "x" * 80),
        basic("grafana", PASSWORD),
        basic("", ""),
        basic("prometheus", ""),
        {"Authorization": "Basic"},
        {"Authorization": "Basic prometheus:pass:word"},
        {"Authorization": "Basic ===="},
        {"Authorization": f"Bearer {right}"},
    ]
    async with serving(users=GOOD) as client:
        answers = [(await client.get("/metrics", **headers)).status for headers in wrong]

    assert answers == [401] * len(wrong)


async def test_a_name_that_nobody_has_costs_as_much_as_a_wrong_password(serving, computed):
    async with serving(users={"noc": lambda: a_hash("something", 11)}) as client:
        await client.get("/metrics", **basic("noc", "wrong"))
        await client.get("/metrics", **basic("nobody", "wrong"))

    assert [one[:7] for one in computed] == [b"$2b$11$"] * 2
    assert computed[0] != computed[1]


async def test_a_hash_that_is_renewed_counts_from_the_next_request_on(serving):
    hashes = [a_hash(PASSWORD)]
    async with serving(users={"prometheus": lambda: hashes[-1]}) as client:
        before = await client.get("/metrics", **basic("prometheus", PASSWORD))
        hashes.append(a_hash("renewed"))
        old = await client.get("/metrics", **basic("prometheus", PASSWORD))
        new = await client.get("/metrics", **basic("prometheus", "renewed"))

    assert (before.status, old.status, new.status) == (200, 401, 200)


@pytest.mark.parametrize("content", [None, "", "no hash", "$2b$10$short"])
async def test_a_hash_that_cannot_be_read_or_is_none_lets_nobody_in(serving, content):
    def read() -> str:
        if content is None:
            raise LocalFault("the secret file /etc/hash is empty")
        return content

    async with serving(users={"prometheus": read}) as client:
        answer = await client.get("/metrics", **basic("prometheus", ""))

    assert answer.status == (503 if content is None else 401)
    assert "/etc/hash" not in answer.text


async def test_who_is_wrong_too_often_is_slowed_down_and_costs_nothing_more(serving, agent, computed):
    async with serving(users=GOOD) as client:
        known = await client.get("/metrics", **basic("prometheus", PASSWORD))
        with capture_logs() as logs:
            wrong = [(await client.get("/metrics", **basic("prometheus", f"guess {n}"))).status for n in range(15)]
        spent = len(computed)
        again = await client.get("/metrics", **basic("prometheus", PASSWORD))
        held = await client.get("/metrics", **basic("prometheus", "guess 20"))
        agent.view = replace(agent.view, now_at=agent.view.now_at + 7)
        later = await client.get("/metrics", **basic("prometheus", "guess 21"))

    assert wrong == [401] * 10 + [429] * 5
    assert (known.status, again.status, held.status, later.status) == (200, 200, 429, 401)
    assert 0 < int(held.headers["retry-after"]) <= 7
    assert spent == 11  # the right one, and ten guesses
    assert logs == [{"event": "web.login_refused", "client": "127.0.0.1", "log_level": "warning"}] * 10


async def test_many_wrong_logins_at_once_do_not_slip_through(serving, computed):
    async with serving(users=GOOD) as client:
        answers = await all_at_once(client, [f"guess {n}" for n in range(30)])

    assert (answers.count(401), answers.count(429)) == (10, 20)
    assert len(computed) == 10


async def test_the_same_wrong_login_over_and_over_is_refused_cheaply_and_locks_nobody_out(serving, computed):
    async with serving(users=GOOD) as client:
        wrong = [(await client.get("/metrics", **basic("prometheus", "stale"))).status for _ in range(15)]
        right = await client.get("/metrics", **basic("prometheus", PASSWORD))

    assert (set(wrong), right.status) == ({401}, 200)
    assert len(computed) == 2


async def test_the_token_is_enough_for_what_demands_it(serving, agent):
    async with serving(users=GOOD, token=lambda: TOKEN) as client:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        without = await client.request("POST", "/-/reload")
        with_login = await client.request("POST", "/-/reload", **basic("prometheus", PASSWORD))
        with_token = await client.request("POST", "/-/reload", **bearer)
        run = await client.request("POST", "/api/v1/checks/nothing/run", **bearer)
        probe = await client.get("/probe?check=nothing", **bearer)
        pages = await client.get("/", **bearer)

    assert (without.status, with_login.status, with_token.status) == (401, 401, 200)
    assert (run.status, probe.status, pages.status) == (404, 404, 401)
    assert agent.reloads == 1


async def test_a_token_cannot_be_guessed_at_full_speed(serving, agent):
    async with serving(token=lambda: TOKEN) as client:
        ask = ("POST", "/-/reload")
        wrong = [(await client.request(*ask, Authorization=f"Bearer {n}")).status for n in range(12)]
        held = await client.request(*ask, Authorization=f"Bearer {TOKEN}")
        agent.view = replace(agent.view, now_at=agent.view.now_at + 60)
        later = await client.request(*ask, Authorization=f"Bearer {TOKEN}")

    assert wrong == [401] * 10 + [429] * 2
    assert (held.status, later.status) == (429, 200)


async def test_reloads_in_a_row_are_limited(serving, agent):
    async with serving(token=lambda: TOKEN) as client:
        reload = [await client.request("POST", "/-/reload", Authorization=f"Bearer {TOKEN}") for _ in range(6)]
        agent.view = replace(agent.view, now_at=agent.view.now_at + 5)
        later = await client.request("POST", "/-/reload", Authorization=f"Bearer {TOKEN}")

    assert [one.status for one in reload] == [200] * 5 + [429]
    assert int(reload[-1].headers["retry-after"]) > 0
    assert (later.status, agent.reloads) == (200, 6)


def test_a_limit_lets_a_burst_go_and_then_one_at_a_time_and_remembers_so_many_names():
    limit = Limit(burst=2, every=5.0)
    for _ in range(2):
        assert limit.wait("a", 100.0) == 0.0
        limit.spend("a", 100.0)
    assert [limit.wait("a", at) for at in (100.0, 103.0, 105.0)] == pytest.approx([5.0, 2.0, 0.0])
    assert limit.wait("b", 100.0) == 0.0
    limit.give_back("a")
    assert limit.wait("a", 100.0) == 0.0
    for number in range(5000):
        limit.spend(str(number), 100.0)
    assert len(limit._spent) <= 1000


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("testclient", "testclient"),
    ],
)
def test_whoever_has_a_network_of_ipv6_addresses_is_one_client(address, name):
    assert client_of({"type": "http", "client": (address, 1)}) == name
    assert client_of({"type": "http", "client": None}) == ""
