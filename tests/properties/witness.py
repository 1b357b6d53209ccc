"""The oracle: knows the truth, hears what the ledger commits, and says what is wrong. Shares no rule with the agent."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from properties.post import Mail, Page, Post
from properties.setups import KEEP, Setup
from properties.timeline import Timeline
from properties.wire import REFUSALS

from agent.ledger import LookRecord
from checks.core.model import Canary, Conclusion, Sighting

NEAR = 0.001
BLIND = 125.0  # seconds without a look that may go unnoticed: two intervals of the slowest check, and some slack
MAY_BREAK = 3  # a message over which the connection broke so often may be what breaks it
SEEN = frozenset({"delivered", "late", "junk"})
VERDICTS = {
    "delivered": "pass",
    "late": "warn",
    "indeterminate": "unknown",
    "unobserved": "unknown",
    "local_fault": "unknown",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A copy that the ledger knows: what was written down of it, and what is true of it."""

    sighting: Sighting
    mail: Mail
    not_before: float  # the true moment of visibility on the agent's timeline; over a restart it is a span
    not_after: float


@dataclass(frozen=True, slots=True)
class Done:
    """A conclusion as the ledger took it."""

    conclusion: Conclusion
    at: float
    commit: int


class Witness:
    """Hears of every commit. What is wrong lands in `post.wrongs`.

    Writing takes no simulated time: the first byte of a canary is sent in the moment in which it was started.
    """

    def __init__(self, post: Post, setup: Setup) -> None:
        self.post = post
        self.setup = setup
        self.lives: list[Timeline] = []
        self.deaths: list[float] = []
        self.canaries: dict[str, Canary] = {}
        self.began: dict[str, float] = {}  # when each was started, in true time
        self.seen: dict[str, list[Seen]] = defaultdict(list)
        self.bounced: set[str] = set()
        self.done: dict[str, Done] = {}
        self.told: dict[str, int] = {}  # in which commit the answer to each was written down
        self.commits = 0
        self.restarted = 0  # the commit in which the histograms began anew
        self.limits: frozenset[float] = frozenset()
        self.recovered: set[str] = set()
        self.ignored: Counter[tuple[str, str]] = Counter()
        self.looks: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)  # began: true, steady
        self.watched_since: dict[tuple[str, str], float] = {}

    @property
    def clock(self) -> Timeline:
        """The timeline of this life."""
        return self.lives[-1]

    def born(self, clock: Timeline, setup: Setup) -> None:
        """Take note of a new life."""
        self.lives.append(clock)
        self.configured(setup)

    def died(self) -> None:
        """Take note of its end."""
        self.deaths.append(self.post.now())

    def configured(self, setup: Setup) -> None:
        """Take note of settings that are in force now."""
        self.setup = setup
        places = {(mailbox, folder) for mailbox, folders in setup.folders.items() for folder in folders}
        for place in self.watched_since.keys() - places:
            del self.watched_since[place]
            del self.looks[place]
        for place in places - self.watched_since.keys():
            self.watched_since[place] = self.post.now()
            self.looks[place] = []

    def started(self, canary: Canary) -> None:
        """Hear that a canary was written down."""
        self.canaries[canary.id] = canary
        self.began[canary.id] = self.post.now()

    def attempted(self, canary: str) -> None:
        """Hear that the answer to a canary was written down."""
        self.post.sent[canary].recorded = True
        self.told.setdefault(canary, self.commits)

    def bounded(self, thresholds: Sequence[float]) -> None:
        """Hear which thresholds histograms have now: with others, they begin anew."""
        if self.limits != (limits := frozenset(thresholds)):
            self.limits, self.restarted = limits, self.commits

    def looked(self, look: LookRecord) -> None:
        """Hear that a page of a look was written down; hold it against what the page showed."""
        page = self.post.pages[look.cursor]
        sightings = {found.ref: found for found in look.sightings}
        bounces = {found.ref for found in look.bounces}
        for mail, ref in zip(page.mails, page.refs, strict=True):
            if mail.kind in {"forged", "foreign"}:
                self.ignored[look.mailbox, mail.kind] += 1
            elif mail.kind in {"bounce", "delayed"} and ref in bounces:
                mail.known = True
                if mail.kind == "bounce":
                    self.bounced.add(mail.canary or "")
            elif ref in sightings:
                self._sighted(mail, sightings[ref])
            elif self._countable(mail, look):
                self._wrong(f"a canary in {look.folder} was shown and not recognised", mail.canary)
        if look.complete:
            began = look.began_at - self.clock.at(0.0)
            self.looks[look.mailbox, look.folder].append((began, look.began_at))
            self._nothing_overlooked(look, page)

    def _sighted(self, mail: Mail, sighting: Sighting) -> None:
        canary = mail.canary or ""
        if mail.kind != "copy" or mail.mailbox != self.post.sent[canary].mailbox or sighting.canary != canary:
            self._wrong(f"a {mail.kind} in {mail.folder} was taken for a canary", sighting.canary)
        if mail.known:
            return
        mail.known = True
        if sighting.findings is None and self._can_be_fetched(mail, sighting):
            self._wrong("evidence that the server would hand out was given up", canary)
        seen = Seen(sighting, mail, *self._span(mail.visible_at))
        self.seen[canary].append(seen)
        if sighting.seen_at < seen.not_before - NEAR:
            self._wrong(f"seen {seen.not_before - sighting.seen_at:.3f} s before it was visible", canary)
        if sighting.after_at is not None and sighting.after_at > seen.not_after + NEAR:
            late = sighting.after_at - seen.not_after
            self._wrong(f"a look {late:.3f} s after it was visible is said not to have shown it", canary)
        if canary in self.done and self.done[canary].conclusion.outcome not in SEEN:
            self.recovered.add(canary)

    def _can_be_fetched(self, mail: Mail, sighting: Sighting) -> bool:
        """Tell whether a message lies where it was shown, on a server that has not often broken off."""
        there = str(self.post.validity[mail.mailbox, mail.folder]) == sighting.ref.validity and mail.gone_at is None
        return there and self.post.broken[mail.mailbox] < MAY_BREAK

    def _countable(self, mail: Mail, look: LookRecord) -> bool:
        """Tell whether a message that was shown must be recognised: a copy in its place, not older than is kept."""
        if mail.kind != "copy" or mail.mailbox != self.post.sent[mail.canary or ""].mailbox:
            return False
        return look.answered_at - self.canaries[mail.canary or ""].started_at <= KEEP

    def _nothing_overlooked(self, look: LookRecord, page: Page) -> None:
        """Hold a complete look against what lies in the folder: whatever was there before is known now."""
        for mail in self.post.mails:
            here = (mail.mailbox, mail.folder) == (look.mailbox, look.folder)
            there = mail.visible_at < page.at and mail.gone_at is None
            if here and there and not mail.known and self._countable(mail, look):
                self._wrong(f"a complete look into {look.folder} overlooked a canary", mail.canary)

    def concluded(self, conclusions: list[Conclusion]) -> None:
        """Hear of conclusions that are on record now; each canary has one, and it is true."""
        for one in conclusions:
            if one.canary in self.done:
                self._wrong("concluded twice", one.canary)
            self.done[one.canary] = Done(one, self.post.now(), self.commits)
            may = self._outcomes(one)
            if one.outcome.value not in may:
                self._wrong(
                    f"{one.outcome.value} {list(one.reasons)}, though the truth allows {'|'.join(sorted(may))}",
                    one.canary,
                )
            if one.verdict.value != self._verdict(one):
                self._wrong(f"{one.outcome.value} is {one.verdict.value}", one.canary)
            self._durations(one)

    def _verdict(self, conclusion: Conclusion) -> str:
        sent = self.post.sent.get(conclusion.canary)
        refused = sent is not None and sent.check == "negative" and sent.fate.refusal == "recipient"
        if conclusion.outcome == "rejected" and refused:
            return "pass"
        if conclusion.outcome == "delivered" and self._unread(conclusion.canary):
            return "unknown"
        return VERDICTS.get(conclusion.outcome.value, "fail")

    def _unread(self, canary: str) -> bool:
        """Tell whether a copy was seen whose header had to say that it is no junk, and was gone before it was read."""
        first = min(self.seen[canary], key=lambda one: one.sighting.seen_at)
        return first.sighting.findings is None and self.canaries[canary].check.expect.placement == "inbox"

    def _outcomes(self, conclusion: Conclusion) -> set[str]:
        """Say which outcomes the truth allows."""
        canary = self.canaries[conclusion.canary]
        sent = self.post.sent.get(canary.id)
        negative = canary.check.expect.refused is not None
        if sent is not None and sent.told():
            if sent.fate.answer == "local":
                return {"local_fault"}
            if sent.fate.answer == "refused":
                outcome = REFUSALS[sent.fate.refusal].outcome
                return self._unreachable(sent.began_at) if outcome == "unreachable" else {outcome}
            if sent.fate.answer == "taken" and negative:
                return {"accepted"}
        seen = self.seen[canary.id]
        if seen:
            return {"accepted"} if negative else {self._arrival(canary, seen)}
        if canary.id in self.bounced:
            return {"bounced"}
        return self._absence(canary, sure=sent is not None and sent.told() and sent.fate.answer == "taken")

    def _unreachable(self, since: float) -> set[str]:
        """Blame the other side only if the agent reached anybody since; a reload forgets whom it reached before."""
        blamed = {"unreachable"} if any(at >= since for at in self.post.contacts) else set()
        return {"local_fault"} | blamed

    def _arrival(self, canary: Canary, seen: list[Seen]) -> str:
        first = min(seen, key=lambda one: one.sighting.seen_at)
        if first.mail.folder == "Junk Email" and canary.check.expect.placement == "inbox":
            return "junk"
        unseen_at = first.sighting.after_at
        late_at = canary.started_at + canary.check.limits.late_after
        return "late" if unseen_at is not None and unseen_at > late_at else "delivered"

    def _absence(self, canary: Canary, *, sure: bool) -> set[str]:
        limits, began, now = canary.check.limits, canary.started_at, self.clock.steady()
        watched = self._watched(canary)
        given_up = now >= began + limits.lost_after + limits.observe_within - NEAR
        may = set()
        if watched >= limits.lost_after - NEAR:
            may.add("lost" if sure else "indeterminate")
        if given_up:
            may.add("unobserved" if sure else "indeterminate")
        return may

    def _watched(self, canary: Canary) -> float:
        """Tell for how long somebody looked into all watched folders since a canary began, in true seconds."""
        began = self.began[canary.id]
        gaps: list[tuple[float, float]] = []
        last = self.post.now()
        places = [place for place in self.watched_since if place[0] == canary.check.mailbox]
        births = [life.began for life in self.lives]  # what was blind before it is one gap, what is after it another
        for place in places:
            looks = [self.watched_since[place], *(at for at, _ in self.looks[place])]
            moments = sorted([*looks, *(birth for birth in births if birth > looks[0])])
            gaps += [(a, b) for a, b in pairwise(moments) if b - a > BLIND]
            last = min(last, looks[-1])
        if not places:
            return 0.0
        blind, until = 0.0, began
        for start, end in sorted(gaps):
            until = max(until, start)
            blind += max(0.0, min(end, last) - until)
            until = max(until, end)
        return last - began - blind + BLIND * len([at for at in self.deaths if at >= began])

    def _durations(self, conclusion: Conclusion) -> None:
        """Hold the reported end-to-end bracket against the true one."""
        if conclusion.end_to_end is None or not self.seen[conclusion.canary]:
            return
        canary = self.canaries[conclusion.canary]
        first = min(self.seen[canary.id], key=lambda one: one.sighting.seen_at)
        upper = canary.started_at + conclusion.end_to_end
        lower = upper - (conclusion.observation_gap or 0.0)
        accepted = canary.started_at + (conclusion.submission or 0.0)
        if upper < first.not_before - NEAR or lower > max(first.not_after, accepted) + NEAR:
            truth = f"{first.not_before:.3f}..{first.not_after:.3f}"
            self._wrong(f"said to have come between {lower:.3f} and {upper:.3f}, came {truth}", canary.id)

    def _span(self, true_time: float) -> tuple[float, float]:
        """Say where a true moment lies on the agent's timeline: a span, if nobody was alive or time was taken back."""
        life = sum(one.began <= true_time for one in self.lives) - 1
        here = self.lives[life].at(true_time)
        later = [one.at(one.began) for one in self.lives[life + 1 :]]
        died = life < len(self.deaths) and self.deaths[life] < true_time
        low = self.lives[life].at(self.deaths[life]) if died else here
        high = max(low, later[0]) if died and later else here
        return min([low, *later]), high

    def _wrong(self, what: str, canary: str | None) -> None:
        sent = self.post.sent.get(canary or "")
        self.post.wrongs.append(f"{sent.check if sent else 'unsent'}: {what}; {sent.fate if sent else ''}")
