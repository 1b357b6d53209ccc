"""Random histories of the whole agent in simulated time: whatever happens, the three promises hold."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import defaultdict, deque
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from properties import books, green
from properties.lives import Agent
from properties.post import FOLDERS, Copy, Fate, Mail, Notice, Post, answer, forge
from properties.setups import KEEP, NAMES, SETUPS
from properties.wire import REFUSALS
from structlog.testing import capture_logs
from support.simulation import SimulatedLoop
from support.tenant import our_fault, unreadable

from checks.errors import MailboxUnreadable

PROFILE = settings.get_current_profile_name()
LONG = PROFILE == "long"
EXAMPLES = {"long": 1000, "hasty": 300}.get(PROFILE, 40)
DEFECTS = frozenset({"part.failed", "part.ended", "probe.failed"})
MEMORY = Path("/dev/shm")  # noqa: S108 - each commit is synchronous: on a disk, a history would mostly wait for it
PLACES = [(mailbox, folder) for mailbox, folders in FOLDERS.items() for folder in folders]

delays = st.sampled_from([0.0, 0.4, 2.0, 20.0, 70.0, 298.0, 400.0])
copies = st.builds(Copy, st.sampled_from(["INBOX", "INBOX", "Junk Email"]), delays, st.booleans())
notices = st.none() | st.builds(Notice, st.booleans(), st.sampled_from(sorted(FOLDERS)), delays)
waits = st.sampled_from([0.1, 0.3, 1.0, 30.0])
arriving = st.lists(copies, min_size=1, max_size=2)
fates = st.one_of(
    st.builds(Fate, copies=arriving, until_dot=waits, until_reply=waits),
    st.builds(Fate, copies=st.lists(copies, max_size=3), until_dot=waits, until_reply=waits, notice=notices),
    st.builds(Fate, st.just("doubt"), copies=st.lists(copies, max_size=1), notice=notices, until_reply=waits),
    st.builds(Fate, st.just("refused"), st.sampled_from(sorted(REFUSALS)), copies=st.just(())),
    st.builds(Fate, st.just("refused"), st.just("later"), copies=arriving, until_reply=waits),
    st.builds(Fate, st.sampled_from(["local", "defect"]), copies=st.lists(copies, max_size=1)),
)
troubles = st.sampled_from([unreadable(), our_fault(), MailboxUnreadable("throttled", "slow down", retry_after=100.0)])
spans = st.sampled_from([0.0, 0.0, 0.5, 1.0, 3.0, 10.0, 35.0, 65.0, 130.0, 310.0, 700.0])


class Histories(RuleBasedStateMachine):
    """One history: an agent, its mailboxes, and everything that can go wrong around them."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = SimulatedLoop()
        self.folder = Path(tempfile.mkdtemp(prefix="history-", dir=MEMORY if MEMORY.is_dir() else None))
        self.logs = capture_logs()
        self.log: list[Any] = self.logs.__enter__()
        self.fates: dict[str, deque[Fate]] = defaultdict(deque)
        self.post = Post(self.loop.time)
        self.agent = Agent(self.loop, self.folder, self.post, self.next_fate)

    def next_fate(self, check: str) -> Fate:
        return self.fates[check].popleft() if self.fates[check] else Fate()

    def run(self, story: Any) -> None:
        self.loop.run_until_complete(story)

    def send(self, check: str, fate: Fate) -> None:
        if check in self.agent.setup.checks:
            self.fates[check].append(fate)
            self.run(self.agent.fire(check))

    def kill(self, after: float, steps: int, *, committed: bool) -> None:
        """Kill the agent at a point that only the event loop knows."""

        async def story() -> None:
            await asyncio.sleep(after)
            for _ in range(steps):
                await asyncio.sleep(0)
            await self.agent.kill(committed=committed)

        self.run(story())

    @property
    def alive(self) -> bool:
        return self.agent.pipeline is not None

    @initialize()
    def begin(self) -> None:
        self.run(self.agent.start())

    @precondition(lambda self: self.alive)
    @rule(canaries=st.lists(st.tuples(st.sampled_from(NAMES), fates), min_size=1, max_size=4), wait=spans)
    def some_are_sent(self, canaries: list[tuple[str, Fate]], wait: float) -> None:
        for check, fate in canaries:
            self.send(check, fate)
        self.run(asyncio.sleep(wait))

    @precondition(lambda self: self.alive)
    @rule(delay=delays)
    def send_two_that_come_at_once(self, delay: float) -> None:
        for check in ("relay", "scan", "scan"):
            self.send(check, Fate(copies=(Copy(delay=delay),)))

    @precondition(lambda self: self.alive)
    @rule(number=st.integers(1, 5), pause=st.sampled_from([30.0, 65.0]))
    def some_are_refused_as_they_should_be(self, number: int, pause: float) -> None:
        """Such a canary concludes, and passes, without a look into any mailbox."""
        for _ in range(number):
            self.send("negative", Fate("refused", "recipient", copies=()))
            self.run(asyncio.sleep(pause))
            self.nothing_is_wrong()

    @precondition(lambda self: self.alive)
    @rule(
        check=st.sampled_from(NAMES), late=st.lists(st.builds(Copy, delay=st.sampled_from([90.0, 250.0])), max_size=1)
    )
    def one_is_overtaken(self, check: str, late: list[Copy]) -> None:
        """The next one arrives while it is overdue."""
        self.send(check, Fate(copies=late))
        self.run(asyncio.sleep(35))
        self.send(check, Fate())
        for _ in range(3):
            self.run(asyncio.sleep(20))
            self.nothing_is_wrong()

    @precondition(lambda self: self.post.sent)
    @rule(data=st.data(), kind=st.sampled_from(["forged", "foreign", "answer", "copy", "elsewhere", "other"]))
    def somebody_writes(self, data: st.DataObject, kind: str) -> None:
        sent = data.draw(st.sampled_from(list(self.post.sent.values())), label="about")
        mailbox, folder = data.draw(st.sampled_from(PLACES), label="to")
        now = self.loop.time()
        if kind in {"forged", "foreign"}:
            content = forge(sent.content, key=kind == "foreign")
            self.post.put(Mail(mailbox, folder, content, now, kind))
        elif kind == "answer":
            self.post.put(Mail(mailbox, folder, answer(sent.content), now, "answer"))
        elif kind == "copy":
            place = sent.mailbox, folder if folder in FOLDERS[sent.mailbox] else "INBOX"
            self.post.put(Mail(*place, sent.content, now, "copy", sent.id))
        elif kind == "elsewhere":
            other = "outside" if sent.mailbox == "inbox" else "inbox"
            self.post.put(Mail(other, "INBOX", sent.content, now, "copy", sent.id))
        else:
            self.post.put(Mail(mailbox, folder, b"Subject: payroll\r\n\r\nkeep me\r\n", now))

    @rule(data=st.data())
    def somebody_deletes(self, data: st.DataObject) -> None:
        there = [mail for place in PLACES for mail in self.post.visible(*place)]
        if there:
            data.draw(st.sampled_from(there), label="mail").gone_at = self.loop.time()

    @rule(data=st.data(), wait=st.sampled_from([0.0, KEEP + 700.0]))
    def a_place_is_given_to_another_message(self, data: st.DataObject, wait: float) -> None:
        """A folder was restored: what the agent wrote down as a canary's place is somebody else's now."""
        there = [mail for place in PLACES for mail in self.post.visible(*place) if mail.known and mail.is_ours()]
        if there:
            ours = data.draw(st.sampled_from(there), label="instead of")
            ours.gone_at = now = self.loop.time()
            content = b"Subject: payroll\r\n\r\nkeep me\r\n"
            self.post.put(Mail(ours.mailbox, ours.folder, content, now, uid=ours.uid))
            self.run(asyncio.sleep(wait))

    @rule(mailbox=st.sampled_from(sorted(FOLDERS)), trouble=troubles)
    def a_mailbox_goes_down(self, mailbox: str, trouble: Exception) -> None:
        self.post.trouble[mailbox] = trouble
        for wake in self.post.wishes[mailbox]:
            wake()

    @precondition(lambda self: self.alive)
    @rule(check=st.sampled_from(NAMES), wait=spans)
    def nobody_can_be_reached(self, check: str, wait: float) -> None:
        """Our network is gone: what cannot connect now says nothing about the other side."""
        for mailbox in FOLDERS:
            self.a_mailbox_goes_down(mailbox, unreadable())
        self.send(check, Fate("refused", "connection", copies=()))
        self.run(asyncio.sleep(wait))

    @rule(mailbox=st.sampled_from(sorted(FOLDERS)), after=st.integers(0, 6))
    def a_server_will_say_bye(self, mailbox: str, after: int) -> None:
        self.post.farewells[mailbox] = after

    @precondition(lambda self: self.alive)
    @rule(check=st.sampled_from(NAMES), fetches=st.integers(1, 4), wait=spans)
    def evidence_is_throttled(self, check: str, fetches: int, wait: float) -> None:
        for mailbox in FOLDERS:
            self.post.throttled[mailbox] = fetches
        self.send(check, Fate())
        self.run(asyncio.sleep(wait))

    @rule(mailbox=st.sampled_from(sorted(FOLDERS)), seconds=st.sampled_from([0.01, 1.0, 8.0]))
    def a_server_becomes_slow_or_quick(self, mailbox: str, seconds: float) -> None:
        self.post.slowness[mailbox] = seconds

    @rule(place=st.sampled_from(PLACES))
    def a_folder_is_renumbered(self, place: tuple[str, str]) -> None:
        self.post.renumber(*place)

    @precondition(lambda self: self.alive)
    @rule(messages=st.integers(4, 8), delay=st.sampled_from([0.4, 2.0]), dies=st.booleans())
    def a_long_list_is_told_anew(self, messages: int, delay: float, dies: bool) -> None:
        """A canary arrives while the pages of a round are read, and perhaps the agent dies meanwhile."""
        for _ in range(messages):
            self.post.put(Mail("outside", "INBOX", b"Subject: payroll\r\n\r\nkeep me\r\n", self.loop.time()))
        self.post.slowness["outside"] = 1.0
        self.post.renumber("outside", "INBOX")
        for wake in self.post.wishes["outside"]:
            wake()
        self.send("outside", Fate(copies=(Copy(delay=delay),)))
        self.run(asyncio.sleep(3.5))
        if dies:
            self.kill(0.0, 0, committed=True)
            self.run(asyncio.sleep(3.0))
            self.run(self.agent.start())
        self.run(asyncio.sleep(20.0))
        del self.post.slowness["outside"]

    @rule(seconds=spans)
    def time_passes(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule(seconds=spans)
    def everything_works_for_a_while(self, seconds: float) -> None:
        self.post.trouble.clear()
        self.agent.trouble("")
        self.run(asyncio.sleep(seconds))

    @rule(seconds=st.sampled_from([-3600.0, -90.0, 90.0, 3600.0]))
    def the_wall_clock_is_set(self, seconds: float) -> None:
        self.agent.wall_step += seconds

    @rule(seconds=st.sampled_from([10.0, 200.0, 2000.0]))
    def the_machine_sleeps(self, seconds: float) -> None:
        self.loop.passed += seconds

    @precondition(lambda self: self.alive)
    @rule(after=spans, steps=st.integers(0, 40), committed=st.booleans())
    def the_agent_is_killed(self, after: float, steps: int, committed: bool) -> None:
        self.kill(after, steps, committed=committed)

    @precondition(lambda self: self.alive)
    @rule(
        check=st.sampled_from(NAMES),
        fate=fates,
        after=st.sampled_from([0.0, 0.1, 0.3, 0.4, 0.6]),
        steps=st.integers(0, 20),
        committed=st.booleans(),
    )
    def the_agent_is_killed_while_it_sends(
        self, check: str, fate: Fate, after: float, steps: int, committed: bool
    ) -> None:
        self.send(check, fate)
        self.kill(after, steps, committed=committed)

    @precondition(lambda self: self.alive)
    @rule()
    def the_agent_is_stopped(self) -> None:
        self.run(self.agent.stop())

    @precondition(lambda self: not self.alive)
    @rule(after=spans)
    def the_agent_is_started(self, after: float) -> None:
        self.run(asyncio.sleep(after))
        self.run(self.agent.start())

    @precondition(lambda self: self.alive)
    @rule(setup=st.sampled_from(range(len(SETUPS))))
    def the_settings_are_reloaded(self, setup: int) -> None:
        self.run(self.agent.reload(SETUPS[setup]))

    @precondition(lambda self: self.alive)
    @rule(trouble=st.sampled_from(["locked", "full"]))
    def the_ledger_fails(self, trouble: str) -> None:
        self.agent.trouble(trouble)

    @invariant()
    def nothing_is_wrong(self) -> None:
        assert not self.post.wrongs, self.post.wrongs
        defect = self.agent.defect()
        assert defect is None, repr(defect)
        failed = [event for event in self.log if event["event"] in DEFECTS]
        assert not failed, failed
        if self.agent.file.exists():
            assert list(books.complaints(self.agent.file, self.agent.witness)) == []
        if self.alive:
            assert list(self.loop.run_until_complete(green.complaints(self.agent))) == []
            assert self.loop.run_until_complete(self.agent.verify()) == []

    def teardown(self) -> None:
        try:
            if self.agent.witness.lives and not self.post.wrongs:
                self.let_it_end()
        finally:
            self.bury()

    def let_it_end(self) -> None:
        """With everything in order again, every canary comes to its end, and the mailboxes are clean after a while."""
        self.post.trouble.clear()
        self.post.farewells.clear()
        self.post.throttled.clear()
        self.post.slowness.clear()
        if not self.alive:
            self.run(self.agent.start())
        self.agent.trouble("")
        self.run(self.agent.reload(SETUPS[0]))
        for _ in range(30):
            self.run(asyncio.sleep(100))
            if self.agent.witness.canaries.keys() == self.agent.witness.done.keys():
                break
        self.nothing_is_wrong()
        unfinished = self.agent.witness.canaries.keys() - self.agent.witness.done.keys()
        assert not unfinished, [self.post.sent.get(canary) for canary in unfinished]
        assert self.loop.run_until_complete(self.agent.verify()) == []

    def bury(self) -> None:
        if self.alive:
            self.run(self.agent.kill(committed=True))
        self.logs.__exit__(None, None, None)
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        shutil.rmtree(self.folder)


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40 if LONG else 25,
    deadline=None,
    derandomize=not LONG,
    suppress_health_check=list(HealthCheck),
)


@given(st.floats(0.0, 60.0), st.sampled_from([0.01, 1.0, 5.0]))
@settings(max_examples=300 if LONG else 25, deadline=None, derandomize=not LONG)
def test_the_bracket_of_a_latency_contains_the_truth_however_slow_the_looks_are(delay, half_a_look):
    history = Histories()
    try:
        history.begin()
        history.post.slowness["inbox"] = half_a_look
        history.send("relay", Fate(copies=(Copy(delay=delay),)))
        history.run(asyncio.sleep(150))
        history.nothing_is_wrong()
        assert [one.conclusion.end_to_end for one in history.agent.witness.done.values()]
    finally:
        history.bury()
