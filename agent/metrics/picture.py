"""What one scrape shows: the agent and its ledger at one moment, arranged so that each series is found quickly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from agent.ledger import CheckStanding, Histogram, Snapshot, Total
from agent.ledger.notified import Outbox
from agent.status import AgentView
from checks.core.model import Check, Verdict
from checks.core.servers import ServerTimes
from checks.core.verdict import current

_NOTHING = Snapshot()
_NO_PAGE = Outbox()


class Picture:
    """The agent at one moment. `ledger` is None if it could not be read."""

    def __init__(self, view: AgentView, ledger: Snapshot | None) -> None:
        self.view = view
        self.ledger = ledger
        self._record = ledger or _NOTHING
        self._totals: dict[tuple[str, str], list[Total]] = defaultdict(list)
        for total in self._record.totals:
            self._totals[total.owner, total.metric].append(total)
        self._server_times: dict[str, ServerTimes | None] = {}
        self._histograms: dict[tuple[str, str], list[Histogram]] = defaultdict(list)
        for histogram in self._record.histograms:
            self._histograms[histogram.owner, histogram.family].append(histogram)

    @property
    def checks(self) -> Sequence[Check]:
        """The configured checks, in the order of the settings."""
        return [one.check for one in self.view.checks]

    @property
    def bounds(self) -> Sequence[float]:
        """The upper bounds of the buckets that all histograms share, in seconds; the last one, +Inf, is not listed."""
        return self._record.bounds

    def unix(self, at: float) -> float:
        """Turn a moment of the steady timeline into Unix time."""
        return at + self.view.wall_offset

    def totals(self, owner: str, metric: str) -> Sequence[Total]:
        """List the counters of a check or a mailbox."""
        return self._totals.get((owner, metric), ())

    def counts(
        self, check: Check, metric: str, labels: Sequence[str] = (), known: Iterable[tuple[str, ...]] = ((),)
    ) -> Iterator[tuple[tuple[str, ...], float]]:
        """Walk through a counter of *check*: (check, method, *labels*) and the value.

        The series in *known* are there from the start, so that a first event is a step from zero and not the
        appearance of a series, which ``rate()`` cannot see. What was counted while the check used another method
        keeps that method's label: a counter never goes back.
        """
        values = dict.fromkeys(((check.method, *values) for values in known), 0.0)
        for total in self.totals(check.name, metric):
            key = (total.labels["method"], *(total.labels[name] for name in labels))
            values[key] = values.get(key, 0.0) + total.value
        for key, value in values.items():
            yield (check.name, *key), value

    def histograms(self, check: Check, family: str) -> Sequence[Histogram]:
        """List the histograms of *check*: one of the method that it has now, with zero counts if need be."""
        known = self._histograms.get((check.name, family), [])
        if any(one.method == check.method for one in known):
            return known
        counts = [0] * (len(self.bounds) + 1)
        return [
            Histogram(owner=check.name, method=check.method, family=family, counts=counts, sum=0.0),
            *known,
        ]

    def standing(self, check: Check) -> CheckStanding | None:
        """Tell how *check* stood last; None if no canary of it has concluded yet, as after it moved to another path."""
        return self._record.newest_of(check)

    def server_times(self, check: Check) -> ServerTimes | None:
        """Tell what the servers' clocks say of the newest canary of *check* that was seen; read once."""
        if check.name not in self._server_times:
            standing = self.standing(check)
            self._server_times[check.name] = None if standing is None else standing.server_times()
        return self._server_times[check.name]

    def in_flight(self, check: Check) -> int:
        """Count what is on its way by the name of *check*, whatever it was when that started: so the books add up."""
        return sum(one.count for one in self._record.in_flight.get(check.name, ()))

    def oldest_at(self, check: Check) -> float | None:
        """Tell when the oldest canary that *check* as it is now has on its way was started; None if it has none."""
        return self._record.in_flight_of(check).oldest_at

    def looked_at(self, mailbox: str) -> float | None:
        """Tell when the last complete look into all folders of *mailbox* began; None if there was none."""
        return self._record.looked_at.get(mailbox)

    def outbox(self, channel: str) -> Outbox:
        """Tell how a channel of alerts does."""
        return self._record.outboxes.get(channel, _NO_PAGE)

    def verdict(self, check: Check) -> Verdict:
        """Tell the current verdict of *check*; without a ledger nobody can know, which makes it `unknown`."""
        verdict, _ = current(self._record.standing_of(check), self.view.now_at)
        return verdict

    @property
    def began_wall(self) -> float | None:
        """Since when the ledger counts, as Unix time; None before the first run."""
        return self._record.began_wall

    def conserved(self) -> bool:
        """Tell whether every check's books add up: canaries started = canaries concluded + canaries in flight."""
        balance: dict[str, float] = defaultdict(float)
        for total in self._record.totals:
            if total.metric == "canaries_started":
                balance[total.owner] += total.value
            elif total.metric == "canaries":
                balance[total.owner] -= total.value
        for name, flying in self._record.in_flight.items():
            balance[name] -= sum(one.count for one in flying)
        return not any(balance.values())
