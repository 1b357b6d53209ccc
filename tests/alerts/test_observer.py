"""For how long nobody knows: over restarts and reloads, and never for longer than somebody was there to see it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from support.agent_view import make_check, make_view

from agent.alerts import incident as incidents
from agent.alerts.incident import Incident
from agent.alerts.observe import Observer
from agent.alerts.policy import Policy, Route
from agent.alerts.rules import decide
from agent.ledger.alerting import Reading, Told
from agent.ledger.snapshot import CheckStanding, InFlight, Snapshot
from agent.status import AgentView, MailboxStatus
from checks.core.model import Check, Limits, Verdict

T0 = 1_700_000_000.0
MINUTE = 60
KINDS = (Verdict.FAIL, Verdict.WARN, Verdict.UNKNOWN)
OFTEN = make_check(limits=Limits(every=60.0, late_after=60.0, lost_after=600.0))
SELDOM = make_check(limits=Limits(every=4 * 3600.0, late_after=60.0, lost_after=600.0))
SLOW = make_check(limits=Limits(every=900.0, late_after=1800.0, lost_after=7200.0))
NEW = MailboxStatus()


def up(interval: float = 30.0) -> MailboxStatus:
    return MailboxStatus(up=True, look_interval=interval, since_at=T0)


def down(since_at: float | None = None) -> MailboxStatus:
    return MailboxStatus(reason="connect", detail="refused", look_interval=60.0, since_at=since_at)


def reading(check: Check, at: float, *, fault: bool = False) -> Reading:
    """Read that the mailbox was looked into, and the newest canary concluded, *at* then: passed, or with a *fault*."""
    standing = CheckStanding(
        canary="c1",
        outcome="local_fault" if fault else "delivered",
        verdict="unknown" if fault else "pass",
        reasons=[],
        concluded_at=at,
        since_at=T0,
        passed_at=T0,
        end_to_end=2.0,
        observation_gap=0.1,
        check=check,
        seq=9,
        streaks={kind: 9 * (fault and kind is Verdict.UNKNOWN) for kind in KINDS},
    )
    return Reading(
        snapshot=Snapshot(standings={check.name: standing}, looked_at={check.mailbox: at}),
        began={kind: {} for kind in KINDS},
        better={(check.name, kind): 0 if fault and kind is Verdict.UNKNOWN else 2 for kind in KINDS},
        told=(),
        silences=(),
    )


@dataclass
class Agent:
    """Decides every five seconds, like the stage; what it wrote is there again after a `restart`. Time begins at T0."""

    check: Check = OFTEN
    observer: Observer = field(default_factory=Observer)
    open: Sequence[Incident] = ()
    told: dict[str, Told] = field(default_factory=dict)
    events: list[tuple[str, float]] = field(default_factory=list)
    changes: int = 0
    ids: itertools.count[int] = field(default_factory=itertools.count)

    def restart(self) -> None:
        self.observer = Observer()
        self.open = [incidents.load(incidents.dump(one)) for one in self.open]

    def live(
        self,
        first: float,
        last: float,
        status: MailboxStatus | Callable[[float], MailboxStatus],
        looked: Callable[[float], float] = lambda at: at,
        *,
        fault: bool = False,
    ) -> None:
        """Live from *first* to *last*, in minutes; *looked* tells when the newest look was, in seconds."""
        for at in range(int(first * MINUTE), int(last * MINUTE), 5):
            now = status(at) if callable(status) else status
            self._once(at, now, reading(self.check, T0 + looked(at), fault=fault))

    @property
    def told_at(self) -> list[tuple[str, int]]:
        """What the pager was told, and in which minute."""
        return [(event, int(at // MINUTE)) for event, at in self.events]

    def _once(self, at: float, status: MailboxStatus, read: Reading) -> None:
        view: AgentView = make_view(self.check, now_at=T0 + at, wall_offset=0.0)
        (mailbox,) = view.mailboxes
        view = replace(view, mailboxes=[replace(mailbox, status=status)])
        policy = Policy(routes=[Route(name="oncall", severity="critical")])
        read = replace(read, told=[self.told[one.id] for one in self.open if one.id in self.told])
        scene = self.observer.scene(view, read, policy, datetime.fromtimestamp(T0 + at, UTC))
        decision = decide(scene, self.open, read.told, policy, new_id=lambda: f"i{next(self.ids)}")
        self.open = tuple(decision.open)
        self.changes += len(decision.changed)
        for one in decision.pages:
            page = one.page
            self.events.append((page.event.value, at))
            self.told[one.incident] = Told(
                incident=one.incident,
                channel=one.route,
                event=page.event.value,
                severity=page.severity,
                gist=one.gist,
                written_wall=T0 + at,
                sent=True,
            )


@pytest.mark.parametrize("check", [OFTEN, SELDOM])
def test_a_restart_neither_ends_nor_repeats_a_page_about_a_mailbox_that_stays_unreadable(check):
    agent = Agent(check)
    agent.live(0, 70, down(T0), lambda _: 0)
    assert agent.told_at == [("opened", 60)]
    agent.restart()
    agent.live(70.5, 140, down(), lambda _: 0)
    assert agent.told_at == [("opened", 60)]
    assert [one.story.title for one in agent.open] == ["Mailbox inbox cannot be read: 1 check is blind"]
    agent.live(140, 141, up())
    assert agent.told_at == [("opened", 60), ("resolved", 140)]


def test_a_restart_neither_ends_nor_repeats_a_page_about_what_the_agent_cannot_try():
    agent = Agent()
    agent.live(0, 70, up(), fault=True)
    agent.restart()
    agent.live(70.5, 140, up(), fault=True)
    assert agent.told_at == [("opened", 60)]


@pytest.mark.parametrize("fault", [False, True])
def test_an_agent_that_is_restarted_every_half_hour_pages_after_an_hour_all_the_same(fault):
    agent = Agent()
    for life in range(4):
        status = up() if fault else down()
        agent.live(30 * life, 30 * life + 29, status, (lambda at: at) if fault else (lambda _: 0), fault=fault)
        agent.restart()
    ((event, minute),) = agent.told_at
    assert event == "opened"
    assert 60 <= minute <= 65


def test_time_in_which_no_agent_ran_is_no_time_in_which_nobody_could_look():
    agent = Agent()
    agent.live(0, 20, down(T0), lambda _: 0)
    agent.restart()
    agent.live(320, 360, down(), lambda _: 0)
    assert agent.told_at == []
    agent.live(360, 365, down(), lambda _: 0)
    assert agent.told_at == [("opened", 361)]  # 19 whole minutes of the first life, 41 of the second


def test_a_machine_that_slept_calls_no_mailbox_unreadable():
    agent = Agent()
    agent.live(0, 10, up())
    agent.live(400, 401, up(), lambda _: 600)  # the connection is dead, and it takes a minute to notice
    agent.live(401, 405, up())
    assert agent.changes == 0


def test_a_mailbox_that_was_unreadable_before_the_machine_slept_goes_on_being_so():
    agent = Agent()
    agent.live(0, 50, down(T0), lambda _: 0)
    agent.live(400, 405, down(T0), lambda _: 0)
    assert agent.told_at == []
    agent.live(405, 420, down(T0), lambda _: 0)
    assert [event for event, _ in agent.told_at] == ["opened"]


@pytest.mark.parametrize(("interval", "first_look"), [(30.0, 20), (30.0, 110), (900.0, 20)])
def test_a_reload_of_an_agent_that_can_look_opens_nothing(interval, first_look):
    agent = Agent(SELDOM)
    agent.live(0, 120, up(interval), lambda at: at - min(interval, at))
    agent.live(120, 120 + first_look / MINUTE, NEW, lambda _: 120 * MINUTE - interval)
    agent.live(120 + first_look / MINUTE, 130, up(interval))
    assert agent.changes == 0


def test_a_reload_does_not_make_a_mailbox_readable():
    agent = Agent()
    agent.live(0, 50, down(T0), lambda _: 0)
    agent.live(50, 51, NEW, lambda _: 0)
    agent.live(51, 70, down(), lambda _: 0)
    assert agent.told_at == [("opened", 60)]


def test_a_watcher_that_looks_no_more_is_noticed_though_it_says_that_all_is_well():
    agent = Agent()
    agent.live(0, 10, up())
    agent.live(10, 80, up(), lambda _: 600)
    ((event, minute),) = agent.told_at
    assert (event, minute) == ("opened", 10 + 2 + 60)  # three intervals and a minute of slack, and an hour


def test_a_look_that_succeeds_begins_the_hour_anew():
    agent = Agent()
    agent.live(0, 40, down(T0), lambda _: 0)
    agent.live(40, 80, down(T0 + 40 * MINUTE), lambda _: 40 * MINUTE - 1)
    assert agent.observer.blind_at == {"inbox": T0 + 40 * MINUTE}


def test_what_lasts_is_written_down_once_a_minute_and_not_every_time():
    agent = Agent()
    agent.live(0, 30, down(T0), lambda _: 0)
    assert 28 <= agent.changes <= 30


def test_a_page_of_an_earlier_version_stays_open():
    agent = Agent()
    agent.live(0, 70, down(T0), lambda _: 0)
    agent.restart()
    agent.open = [
        replace(one, members=tuple(replace(member, lasted=None, counted=0.0) for member in one.members))
        for one in agent.open
    ]
    agent.live(70.5, 90, down(), lambda _: 0)
    assert agent.told_at == [("opened", 60)]


def on_its_way(read: Reading, started: float, at: float) -> Reading:
    """Read that SLOW has had a canary in flight since *started*, and the newest look was *at* then, in seconds."""
    flying = {SLOW.name: [InFlight(count=1, oldest_at=T0 + started)]}
    return replace(read, snapshot=replace(read.snapshot, in_flight=flying, looked_at={SLOW.mailbox: T0 + at}))


def opens(agent: Agent, first: int, last: int, read: Callable[[float], Reading]) -> float | None:
    """Live from *first* to *last*, in minutes; return in which minute an incident is open first, None if in none."""
    for at in range(first * MINUTE, last * MINUTE, 5):
        agent._once(at, up(), read(at))
        if agent.open:
            return at / MINUTE
    return None


@pytest.mark.parametrize("before", ["never", "three hours ago"])
def test_mail_that_is_on_its_way_and_in_time_is_waited_for_and_no_longer(before):
    known = reading(SLOW, T0 - 3 * 3600)
    if before == "never":
        known = replace(known, snapshot=Snapshot())
    assert opens(Agent(SLOW), 0, 60, lambda at: on_its_way(known, 0, at)) == 30


def test_mail_that_is_late_at_once_is_waited_for_as_long_as_nothing_is():
    nothing = replace(reading(SLOW, T0), snapshot=Snapshot(looked_at={SLOW.mailbox: T0}))
    assert opens(Agent(SLOW), 0, 60, lambda at: on_its_way(nothing, -1800, at)) == 10


def test_each_mail_that_comes_to_nothing_is_none_to_wait_for():
    tried = reading(SLOW, T0, fault=True)
    (standing,) = tried.snapshot.standings.values()
    once = replace(standing, streaks=dict.fromkeys(KINDS, 0) | {Verdict.UNKNOWN: 1})
    tried = replace(tried, snapshot=replace(tried.snapshot, standings={SLOW.name: once}))
    assert opens(Agent(SLOW), 0, 60, lambda at: on_its_way(tried, at - 3, at)) == 10


def test_not_knowing_begins_at_the_latest_when_the_mail_that_was_waited_for_comes_to_nothing():
    nothing = replace(reading(SLOW, T0), snapshot=Snapshot())
    (standing,) = reading(SLOW, T0 + MINUTE, fault=True).snapshot.standings.values()
    tried = {SLOW.name: replace(standing, streaks=dict.fromkeys(KINDS, 0) | {Verdict.UNKNOWN: 1})}

    def read(at: float) -> Reading:
        waited = on_its_way(nothing, 0, at)
        done = replace(waited.snapshot, standings=tried, in_flight={})
        return waited if at < MINUTE else replace(waited, snapshot=done)

    assert opens(Agent(SLOW), 0, 15, read) == 1 + 10


def test_mail_that_is_sent_after_the_page_does_not_hold_up_the_hour_of_not_knowing():
    agent = Agent(SLOW)
    nothing = replace(reading(SLOW, T0), snapshot=Snapshot())
    for at in range(0, 62 * MINUTE, 5):
        read = on_its_way(nothing, 15 * MINUTE, at)
        if at < 15 * MINUTE:
            read = replace(read, snapshot=replace(read.snapshot, in_flight={}))
        agent._once(at, up(), read)
    assert agent.told_at == [("opened", 60)]
