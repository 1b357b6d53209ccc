"""The heartbeat: it beats while the agent would notice that mail has stopped, and not a beat longer."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.agent_view import NOW_AT, make_check, make_view
from support.receiver import Receiver

from agent.alerts.heartbeat import Beat, Heartbeat, Patience, objections
from agent.clock import SystemClock
from agent.ledger import Ledger, LedgerError
from agent.ledger.alert_store import AlertStore
from agent.ledger.pulse import Pulse
from agent.status import AgentView, CheckView, MailboxStatus
from checks.core.model import Limits

pytestmark = pytest.mark.anyio
VIEW = make_view(make_check())
PULSE = Pulse(
    started_at={"relay-inbox": NOW_AT - 100}, looked_at={"inbox": NOW_AT - 20}, judging_at=NOW_AT + 5, untold_wall=None
)
NOW = 1_700_000_000.0


def against(view: AgentView = VIEW, pulse: Pulse = PULSE, **more: Any) -> list[str]:
    known: dict[str, Any] = {"since_at": NOW_AT - 50_000, "decided_at": NOW_AT - 4, "muted": (), "now": NOW}
    return list(objections(view, pulse, **{**known, **more}))


def looking(**status: Any) -> AgentView:
    (mailbox,) = VIEW.mailboxes
    return replace(VIEW, mailboxes=[replace(mailbox, status=MailboxStatus(**{"look_interval": 30.0, **status}))])


def test_nothing_speaks_against_an_agent_that_sends_reads_judges_and_tells():
    assert against() == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"view": replace(VIEW, applied=False)}, "no settings are in force"),
        ({"view": replace(VIEW, checks=())}, "no settings are in force"),
        ({"pulse": replace(PULSE, started_at={"relay-inbox": NOW_AT - 700})}, "check relay-inbox has sent nothing for"),
        ({"pulse": replace(PULSE, started_at={"relay-inbox": None})}, "check relay-inbox has sent nothing for"),
        (
            {"view": replace(VIEW, checks=[CheckView(check=make_check(), next_due=None, skipped=0, delay=0.0)])},
            "check relay-inbox is not scheduled",
        ),
        (
            {"pulse": replace(PULSE, looked_at={"inbox": NOW_AT - 200})},
            "mailbox inbox has not been read for 3 min 20 s",
        ),
        ({"pulse": replace(PULSE, looked_at={"inbox": None})}, "mailbox inbox has not been read for"),
        ({"pulse": replace(PULSE, judging_at=NOW_AT - 90)}, "a verdict has been due for 1 min 30 s"),
        ({"decided_at": NOW_AT - 90}, "the rules of alerts are not gone through"),
        ({"pulse": replace(PULSE, untold_wall=NOW - 400)}, "no channel has taken a page for 6 min 40 s"),
        ({"pulse": replace(PULSE, untold_wall=NOW + 3600)}, "no channel has taken a page since before the clock was"),
    ],
)
def test_whatever_keeps_the_agent_from_noticing_speaks_against_a_beat(changes, said):
    (found,) = against(**changes)
    assert found.startswith(said)


@pytest.mark.parametrize("name", ["started_at", "looked_at", "judging_at"])
def test_what_was_before_our_time_is_no_reproach(name):
    old = {"started_at": {"relay-inbox": NOW_AT - 9000}, "looked_at": {"inbox": NOW_AT - 9000}, "judging_at": 0.0}
    assert against(pulse=replace(PULSE, **{name: old[name]}), since_at=NOW_AT - 30) == []


def test_a_mailbox_that_nobody_is_to_be_woken_for_stops_no_heart():
    blind = replace(PULSE, looked_at={"inbox": NOW_AT - 9000})
    assert against(pulse=blind, muted=("relay-inbox",)) == []


@pytest.mark.parametrize("ago", [299.0, 0.0, -1.0])
def test_a_page_that_was_just_written_has_time_to_be_taken(ago):
    assert against(pulse=replace(PULSE, untold_wall=NOW - ago)) == []


def test_a_mailbox_that_is_looked_into_less_often_has_more_time():
    assert against(view=looking(look_interval=120.0), pulse=replace(PULSE, looked_at={"inbox": NOW_AT - 400})) == []


def a_heart(ledger: Ledger, view: AgentView, **more: Any) -> Heartbeat:
    async def muted() -> tuple[str, ...]:
        return ()

    known: dict[str, Any] = {
        "clock": SystemClock(),
        "store": AlertStore(ledger),
        "view": lambda: view,
        "beat": lambda: None,
        "decided_at": lambda: view.now_at,
        "muted": muted,
    }
    return Heartbeat(**{**known, **more})


async def beats(ledger: Ledger) -> dict[str, float]:
    totals = (await ledger.snapshot()).totals
    return {one.labels["result"]: one.value for one in totals if one.metric == "notifications"}


async def test_a_beat_is_sent_and_counted(tmp_path: Path, receiver: Receiver) -> None:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        await a_heart(ledger, VIEW).once(Beat(url=lambda: f"{receiver.url}/uuid", every=60.0))
        assert await beats(ledger) == {"sent": 1}
        assert (await ledger.snapshot()).outboxes["heartbeat"].success_wall is not None
    assert [(one.method, one.path) for one in receiver.got] == [("GET", "/uuid")]


async def test_a_heart_that_may_not_beat_is_silent_says_why_once_and_counts_it(
    tmp_path: Path, receiver: Receiver, capfd
) -> None:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        heart = a_heart(ledger, replace(VIEW, checks=()))
        for _ in range(3):
            await heart.once(Beat(url=lambda: receiver.url, every=60.0))
        assert await beats(ledger) == {"withheld": 3}
    assert receiver.got == []
    assert "".join(capfd.readouterr()).count("heartbeat.withheld") == 1


def against_after(reload: AgentView, *, old: AgentView, minutes: int = 120) -> list[str]:
    """Ask every minute by the view *old*, then once after a *reload*; return what speaks against that beat."""
    patience = Patience()
    for minute in range(minutes):
        patience.fairly(replace(old, now_at=NOW_AT + 60 * minute), PULSE)
    view = replace(reload, now_at=NOW_AT + 60 * minutes)
    known: dict[str, Any] = {"since_at": NOW_AT, "decided_at": view.now_at, "muted": (), "now": NOW}
    return list(objections(*patience.fairly(view, fresh(view)), **known))


def fresh(view: AgentView) -> Pulse:
    """What the ledger has of an agent that does what it is to do; of a check or mailbox that is new it has nothing."""
    return Pulse(
        started_at={"relay-inbox": view.now_at - 290},
        looked_at={"inbox": view.now_at - 590},
        judging_at=None,
        untold_wall=None,
    )


def test_a_mailbox_with_a_new_watcher_has_the_time_that_it_had_until_that_has_looked() -> None:
    slow = looking(up=True, look_interval=600.0)
    assert against_after(looking(look_interval=0.0), old=slow) == []
    blind = looking(look_interval=120.0)
    (said,) = against_after(looking(look_interval=0.0), old=blind)
    assert said == "mailbox inbox has not been read for 9 min 50 s"


def test_what_a_reload_brings_counts_from_then() -> None:
    (check,), (mailbox,) = VIEW.checks, VIEW.mailboxes
    more = replace(
        looking(up=True, look_interval=600.0),
        checks=[check, replace(check, check=make_check("new", mailbox="second"))],
        mailboxes=[*looking(up=True, look_interval=600.0).mailboxes, replace(mailbox, name="second")],
    )
    assert against_after(more, old=looking(up=True, look_interval=600.0)) == []
    assert len(against_after(more, old=more)) == 2


def test_a_check_that_is_to_run_more_often_now_has_time_for_its_first_canary() -> None:
    (check,) = VIEW.checks
    slow = looking(up=True, look_interval=600.0)
    often = make_check(limits=Limits(every=10.0, late_after=60.0, lost_after=600.0))
    assert against_after(replace(slow, checks=[replace(check, check=often)]), old=slow) == []


async def test_a_beat_that_is_not_taken_is_counted_and_its_address_told_to_nobody(tmp_path: Path, capfd) -> None:
    with socket.socket() as taken, Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/a-secret-uuid"
        await a_heart(ledger, VIEW).once(Beat(url=lambda: url, every=60.0))
        assert await beats(ledger) == {"failed": 1}
    assert "a-secret-uuid" not in "".join(capfd.readouterr())


async def test_a_ledger_that_cannot_be_written_has_no_beat(tmp_path: Path, receiver: Receiver) -> None:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        heart = a_heart(ledger, VIEW)
        await ledger.write(lambda transaction: transaction.connection.exec_driver_sql("drop table totals"))
        with pytest.raises(LedgerError):
            await heart.once(Beat(url=lambda: receiver.url, every=60.0))
    assert receiver.got == []
