"""Fire drills on a real Prometheus and a real Alertmanager: exactly the right alert comes, and goes again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from alerting import drill
from alerting.certificate import write_client_certificate
from alerting.conftest import Record, a_stack, with_password
from alerting.drill import Drill
from alerting.stack import Stack

pytestmark = pytest.mark.servers

PATH, PAGER, TICKETS = "RelaycanaryPathBroken", "pager", "tickets"
SHORT = [
    Drill(
        name="connector mismatch",
        faults={"relay": "connector_mismatch"},
        alerts={PATH: PAGER},
        words=("550 5.7.64", "Path relay", "What to do: ", "connector"),
    ),
    Drill(
        name="everything to Junk",
        faults={"direct": "junk"},
        alerts={"RelaycanaryMailInJunk": PAGER},
        words=("Junk", "What to do: "),
    ),
]
LONG = [
    Drill(
        name="basic auth retired",
        faults={"submission": "basic_auth_retired"},
        alerts={PATH: PAGER},
        words=("550 5.7.30", "Path submission", "What to do: "),
    ),
    Drill(name="port 25 blocked", faults={"relay": "port_closed"}, alerts={PATH: PAGER}, words=("unreachable",)),
    Drill(
        name="direct send switched off",
        faults={"direct": "direct_send_rejected"},
        alerts={PATH: PAGER},
        words=("550 5.7.68", "Path direct"),
    ),
    Drill(
        name="slow delivery",
        faults={"relay": "delay=14"},
        alerts={"RelaycanaryMailOverdue": TICKETS, "RelaycanaryPathDegraded": TICKETS},
    ),
    Drill(
        name="mail vanishes",
        faults={"relay": "lose"},
        alerts={"RelaycanaryMailOverdue": TICKETS, "RelaycanaryMailLost": PAGER},
    ),
    Drill(
        name="mail bounces",
        faults={"submission": "bounce"},
        alerts={"RelaycanaryMailBounced": PAGER},
    ),
    Drill(name="IMAP down", faults={"outside": "imap_down"}, alerts={"RelaycanaryMailboxUnreadable": TICKETS}),
    Drill(
        name="every path closed",
        faults=dict.fromkeys(("relay", "submission", "direct"), "port_closed") | {"graph": "graph_unavailable"},
        alerts={"RelaycanaryAllPathsDown": PAGER},
        held_back=frozenset({PATH}),
    ),
    Drill(
        name="agent killed",
        kill=True,
        alerts={"RelaycanaryAgentDown": PAGER},
        also=frozenset({"RelaycanaryMailOverdue"}),  # of the message that was being sent when it died
    ),
]


@pytest.mark.parametrize("one", SHORT, ids=lambda one: one.name)
def test_exactly_the_right_alert_comes_and_is_resolved(stack: Stack, one: Drill) -> None:
    drill.run(stack, one)


@pytest.mark.long
@pytest.mark.parametrize("one", [*SHORT, *LONG], ids=lambda one: one.name)
def test_every_drill_brings_its_alerts_and_no_other(own_stack: Stack, one: Drill, record: Record) -> None:
    record(drill.run(own_stack, one))


@pytest.mark.long
def test_a_client_certificate_that_runs_out_is_announced_and_pages_when_it_has(tmp_path: Path, record: Record) -> None:
    expiring = frozenset({"RelaycanaryCertificateExpiring"})
    soon = 5.0  # seconds; a slow machine gets its stack up with a certificate that lasts longer

    def with_short_certificate(settings: dict[str, Any]) -> None:
        with_password(settings)
        file = tmp_path / "client.pem"
        file.touch(mode=0o600)
        write_client_certificate(tmp_path / ".lab", file, seconds=3600)
        relay = settings["paths"]["relay"]
        relay.pop("source_address", None)
        relay["client_certificate"] = {"file": str(file)}

    with a_stack(tmp_path, with_short_certificate, expiring) as stack:
        stack.until("it is announced", lambda: stack.receiver.got("RelaycanaryCertificateExpiring", "firing", 0))
        write_client_certificate(tmp_path / ".lab", tmp_path / "client.pem", seconds=soon)
        began_at = time.monotonic() + soon
        one = Drill(name="client certificate expired", alerts={PATH: PAGER}, words=("Path relay",))
        fired = drill.wait_for(stack, one, began_at)
        write_client_certificate(tmp_path / ".lab", tmp_path / "client.pem", seconds=90 * 86400)
        record(drill.wait_for_the_end(stack, one, began_at, fired))
        stack.until(
            "the new one is known", lambda: not stack.query('ALERTS{alertname="RelaycanaryCertificateExpiring"}')
        )
