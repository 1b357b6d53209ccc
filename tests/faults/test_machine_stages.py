"""kill -9 with a canary held at each stage of its life: after the next start it has the one verdict that is true."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import uuid
from collections import Counter
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from faults.misbehaviour import Act
from faults.rig import server_context
from faults.smtp_proxy import At, Fault, SmtpProxy
from support.process import AgentProcess, LedgerFile, Setup, arrived, hold_against, until

pytestmark = pytest.mark.servers

_LIMITS = {"every": "300d", "late_after": "2s", "lost_after": "4s"}


def an_address(kind="stage"):
    return f"{kind}-{uuid.uuid4().hex[:12]}@corp.test"


def restart(settings, ledger, killed):
    """Start the agent again, and wait until the canary of the killed one and its own have a verdict."""
    with AgentProcess(settings) as agent:
        until("both have a verdict", lambda: ledger.count("outcome IS NOT NULL") == 2)
        (row,) = ledger.canaries(f"id = '{killed}'")
        assert agent.total("relaycanary_canaries_started_total") == 2
        assert agent.total("relaycanary_canaries_total") == 2
        assert agent.total("relaycanary_canaries_total", f"outcome={row['outcome']}") >= 1
        assert agent.total("relaycanary_canaries_in_flight") == 0
        assert agent.verdicts() == {"pass"}, "the newest canary decides"
        assert agent.stop() == 0
    return row["outcome"], row["verdict"]


HELD = {
    **{
        stage.value: (Fault(at=stage, act=Act.HANG), ("indeterminate", "unknown"))
        for stage in At
        if stage is not At.QUIT
    },
    "reply": (Fault(at=At.DOT, act=Act.HANG, taken=True), ("delivered", "pass")),
}


class Held:
    """Proxies in front of the submission port, one for each stage, in a thread of their own."""

    def __init__(self, testbed, authority) -> None:
        trust = ssl.create_default_context(cafile=str(testbed.certificates.ca))
        self.proxies = {name: SmtpProxy(testbed.ports.submission, server_context(authority), trust) for name in HELD}
        self._events = {name: threading.Event() for name in HELD}
        for name, proxy in self.proxies.items():
            proxy.fault, proxy.reached = HELD[name][0], self._events[name].set

    def all_are(self) -> bool:
        """Tell whether a conversation is held at each stage."""
        return all(event.is_set() for event in self._events.values())

    def let_go(self) -> None:
        """Pass everything on from now on."""
        for proxy in self.proxies.values():
            proxy.fault = None

    @contextmanager
    def running(self):
        """Listen."""
        loop, stack = asyncio.new_event_loop(), AsyncExitStack()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()

        def do(work):
            return asyncio.run_coroutine_threadsafe(work, loop).result(20)

        try:
            for proxy in self.proxies.values():
                do(stack.enter_async_context(proxy))
            yield self
        finally:
            do(stack.aclose())
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def write(self, testbed, folder, ca_file, address):
        """Write settings with a path and a check for each proxy."""
        file = Setup(address=address).write(testbed, folder)
        known = yaml.safe_load(file.read_text())
        path = {**known["paths"].pop("direct"), "kind": "submission", "credential": "reader", "tls": "required"}
        for name, proxy in self.proxies.items():
            known["paths"][name] = {**path, "port": proxy.port, "ca_file": str(ca_file)}
        known["checks"] = {name: {"path": name, "mailbox": "inbox", **_LIMITS} for name in HELD}
        file.write_text(yaml.safe_dump(known))
        return file


@dataclass(frozen=True)
class Killed:
    """What came of the canaries that were held when the agent was killed, by stage; and what was there in truth."""

    rows: dict[str, Any]
    truth: Counter[str]
    ledger: LedgerFile


@pytest.fixture(scope="module")
def killed(testbed, authority, ca_file, tmp_path_factory):
    """Kill an agent while it holds a canary at every stage, and let the next one conclude them."""
    address = an_address()
    with Held(testbed, authority).running() as held:
        settings = held.write(testbed, tmp_path_factory.mktemp("stages"), ca_file, address)
        ledger = LedgerFile(settings)
        with AgentProcess(settings):
            until("a canary is held at each stage", held.all_are)
        cut_off = {row["name"]: row for row in ledger.canaries()}
        assert {(row["state"], row["attempt_kind"]) for row in cut_off.values()} == {("started", None)}
        held.let_go()
        with AgentProcess(settings) as agent:
            until("all have a verdict", lambda: ledger.count("outcome IS NOT NULL") == 2 * len(HELD))
            assert agent.total("relaycanary_canaries_started_total") == 2 * len(HELD)
            assert agent.total("relaycanary_canaries_total") == 2 * len(HELD)
            assert agent.total("relaycanary_canaries_in_flight") == 0
            assert agent.verdicts() == {"pass"}, "the newest canary decides"
            assert agent.stop() == 0
        rows = {name: ledger.canaries(f"id = '{row['id']}'")[0] for name, row in cut_off.items()}
        yield Killed(rows, arrived(testbed, address), ledger)


@pytest.mark.parametrize("at", HELD)
def test_a_canary_of_a_killed_agent_is_judged_by_what_became_of_it(killed, at):
    """Only the message that the server had got arrives; it is delivered although its acceptance is not on record."""
    row = killed.rows[at]
    assert (row["outcome"], row["verdict"]) == HELD[at][1]
    assert killed.truth[row["id"]] == (at == "reply")


def test_after_a_kill_at_every_stage_the_books_are_right(killed):
    assert hold_against(killed.ledger, killed.truth) == []


def test_a_canary_that_was_planned_but_never_left_is_in_doubt_after_a_kill(testbed, tmp_path):
    """The name of the server is being looked up, at a name server that never answers."""
    address = an_address()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        asked = f"127.0.0.1:{silent.getsockname()[1]}"
        lost_in_dns = {"kind": "smtp", "host": "mx.corp.test", "nameservers": [asked]}
        setup = Setup(address=address, path=lost_in_dns, limits=_LIMITS)
        settings = setup.write(testbed, tmp_path)
        ledger = LedgerFile(settings)
        with AgentProcess(settings):
            silent.settimeout(20)
            assert silent.recv(512)
    (killed,) = ledger.canaries()
    Setup(address=address, limits=_LIMITS).write(testbed, tmp_path)
    assert restart(settings, ledger, killed["id"]) == ("indeterminate", "unknown")
    assert hold_against(ledger, arrived(testbed, address)) == []


def test_a_canary_that_was_accepted_and_not_yet_seen_is_delivered_after_a_kill(testbed, tmp_path):
    """Its latency holds the time in which nobody looked, and the gap beside it says so."""
    address = an_address("delay-2500")
    limits = {**_LIMITS, "late_after": "20s", "lost_after": "40s"}
    settings = Setup(address=address, limits=limits).write(testbed, tmp_path)
    ledger = LedgerFile(settings)
    with AgentProcess(settings):
        until("the canary is accepted", lambda: ledger.count("state = 'waiting'"))
    assert not arrived(testbed, address)
    testbed.wait_for_arrivals(address)
    (killed,) = ledger.canaries()
    assert restart(settings, ledger, killed["id"]) == ("delivered", "pass")
    (row,) = ledger.canaries(f"id = '{killed['id']}'")
    assert row["delivery"] - row["observation_gap"] <= 2.6 <= row["delivery"] + 0.1
    assert hold_against(ledger, arrived(testbed, address)) == []


def test_a_canary_that_was_seen_and_not_yet_judged_is_judged_once_after_a_kill(testbed, tmp_path):
    """The ledger is kept from taking verdicts, but takes the sighting."""
    address = an_address()
    settings = Setup(address=address, limits=_LIMITS).write(testbed, tmp_path)
    ledger = LedgerFile(settings)
    with AgentProcess(settings) as agent:
        until("the first canary has its verdict", lambda: ledger.count("outcome = 'delivered'"))
        assert agent.stop() == 0
    with closing(ledger.other_process()) as other:
        other.execute(
            "CREATE TRIGGER hold BEFORE UPDATE OF outcome ON canaries BEGIN SELECT RAISE(ABORT, 'no verdicts now'); END"
        )
    with AgentProcess(settings):
        until("the second canary is seen", lambda: ledger.count("outcome IS NULL AND sightings = 1"))
    with closing(ledger.other_process()) as other:
        other.execute("DROP TRIGGER hold")
    with AgentProcess(settings) as agent:
        until("all three have a verdict", lambda: ledger.count("outcome = 'delivered'") == 3)
        assert agent.total("relaycanary_canaries_duplicates_total") == 0
        assert agent.total("relaycanary_delivery_seconds_count") == 3
        assert agent.stop() == 0
    assert hold_against(ledger, arrived(testbed, address)) == []
