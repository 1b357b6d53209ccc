"""How canaries ended, as counts, and what they add up to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from checks.core.model import Outcome, Verdict


@dataclass(slots=True)
class Counts:
    """How canaries ended. `ends` counts (outcome, verdict); those still on their way are in `in_flight`."""

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    in_flight: int = 0

    @property
    def started(self) -> int:
        """All of them."""
        return self.concluded + self.in_flight

    @property
    def concluded(self) -> int:
        """Those with a final verdict."""
        return self.ends.total()

    @property
    def unknown(self) -> int:
        """Those of which nobody can say what became of them."""
        return sum(n for (_, judged), n in self.ends.items() if judged == Verdict.UNKNOWN)

    @property
    def measured(self) -> int:
        """Those that tell something about the path: concluded, and not unknown. Every share is one of these."""
        return self.concluded - self.unknown

    @property
    def on_time(self) -> int:
        """Those that did what their check wants, in time: passed, or degraded (arrived, but not as expected)."""
        return sum(
            n for (outcome, judged), n in self.ends.items() if judged == Verdict.PASS or outcome == Outcome.DEGRADED
        )

    def of(self, *outcomes: Outcome) -> int:
        """Count those that failed to pass by one of these outcomes: a refusal that was wanted is no failure."""
        return sum(n for (outcome, judged), n in self.ends.items() if outcome in outcomes and judged != Verdict.PASS)

    def count(self, outcome: str | None, verdict: str | None, n: int) -> None:
        """Count *n* more canaries; without an outcome and a verdict, they are on their way."""
        if outcome is None or verdict is None:
            self.in_flight += n
        else:
            self.ends[outcome, verdict] += n

    def add(self, other: Counts) -> None:
        """Take over what *other* has counted."""
        self.ends.update(other.ends)
        self.in_flight += other.in_flight
