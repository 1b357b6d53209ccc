"""One row of the score table: what was scored, how many values were right, and which were not."""

from dataclasses import dataclass, field


@dataclass
class Row:
    name: str
    floor: float
    hits: int = 0
    total: int = 0
    note: str = ""
    misses: list[str] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)

    def add(self, hit: bool, miss: str) -> None:
        self.total += 1
        if hit:
            self.hits += 1
        else:
            self.misses.append(miss)

    @property
    def percent(self) -> float:
        return 100 * self.hits / self.total if self.total else 0.0
