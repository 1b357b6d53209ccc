"""kill -9 with a canary held at each stage of its life: after the next start it has the one verdict that is true."""

from __future__ import annotations

import socket
import socketserver
import threading
import uuid
from contextlib import closing, contextmanager

import pytest
from support.process import AgentProcess, LedgerFile, Setup, arrived, hold_against, until

pytestmark = pytest.mark.servers

_LIMITS = {"every": "1h", "late_after": "2s", "lost_after": "4s"}


class Stalling(socketserver.ThreadingTCPServer):
    """An SMTP proxy in plain text that stops for ever at one stage, in the first conversation that comes there.

    `at` is a command, or "greeting"; "dot" swallows the message, "reply" hands it over and keeps the answer.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, upstream: int, at: str) -> None:
        self.upstream = upstream
        self.at = at
        self.held = threading.Event()
        super().__init__(("127.0.0.1", 0), _Talk)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def passes(self, stage: str) -> bool:
        """Tell whether the conversation may go on after *stage*."""
        if stage == self.at and not self.held.is_set():
            self.held.set()
            return False
        return True


class _Talk(socketserver.StreamRequestHandler):
    server: Stalling  # type: ignore[mutable-override] # socketserver's own idiom

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.upstream)) as upstream, upstream.makefile("rwb") as far:
            if not self._answer(far, "greeting"):
                return
            for line in self.rfile:
                verb = line[:4].decode().upper()
                far.write(line)
                far.flush()
                if not self._answer(far, verb):
                    return
                if verb == "DATA" and not self._message(far):
                    return

    def _message(self, far) -> bool:
        lines = []
        while not lines or lines[-1] != b".\r\n":
            lines.append(self.rfile.readline())
        if not self.server.passes("dot"):
            return self._hold()
        far.writelines(lines)
        far.flush()
        return self._answer(far, "reply")

    def _answer(self, far, stage: str) -> bool:
        reply = [far.readline()]
        while reply[-1][3:4] == b"-":
            reply.append(far.readline())
        if not self.server.passes(stage):
            return self._hold()
        self.wfile.writelines(reply)
        return True

    def _hold(self) -> bool:
        while self.rfile.read(1):  # until the agent is gone
            continue
        return False


@contextmanager
def stalling(testbed, at):
    with Stalling(testbed.ports.mx, at) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()


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


STAGES = {
    "greeting": ("indeterminate", "unknown"),
    "MAIL": ("indeterminate", "unknown"),
    "RCPT": ("indeterminate", "unknown"),
    "DATA": ("indeterminate", "unknown"),
    "dot": ("indeterminate", "unknown"),
    "reply": ("delivered", "pass"),
}


@pytest.mark.parametrize("at", STAGES)
def test_a_canary_of_a_killed_agent_is_judged_by_what_became_of_it(testbed, tmp_path, at):
    """Only the message that the server had got arrives; it is delivered although its acceptance is not on record."""
    address = an_address()
    with stalling(testbed, at) as proxy:
        settings = Setup(address=address, path={"port": proxy.port}, limits=_LIMITS).write(testbed, tmp_path)
        ledger = LedgerFile(settings)
        with AgentProcess(settings):
            assert proxy.held.wait(20)
        (killed,) = ledger.canaries()
        assert (killed["state"], killed["attempt_kind"]) == ("started", None)
        assert restart(settings, ledger, killed["id"]) == STAGES[at]
    truth = arrived(testbed, address)
    assert truth[killed["id"]] == (at == "reply")
    assert hold_against(ledger, truth) == []


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
