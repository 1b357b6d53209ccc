"""From the canaries of a period to counts and collected durations, in one pass over the rows, a page at a time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.ledger.past import CanaryRow
from agent.report.counts import Counts
from checks.core.model import Check

Numbers = NDArray[np.float64]
_HOUR = 3600.0


@dataclass(slots=True)
class Durations:
    """Seconds, collected in parts."""

    parts: list[NDArray[Any]] = field(default_factory=list)

    def all(self) -> Numbers:
        """Put the parts together."""
        return np.concatenate(self.parts) if self.parts else np.empty(0)


@dataclass(slots=True)
class PathTally:
    """What one path did. `seconds`, `gaps` and `hours` belong together: latency, gap and hour of each that was seen.

    So do `stages` and `stage_hours`, by the name of the stage.
    """

    name: str
    method: str
    counts: Counts = field(default_factory=Counts)
    by_hour: dict[int, Counts] = field(default_factory=dict)
    seconds: Durations = field(default_factory=Durations)
    gaps: Durations = field(default_factory=Durations)
    hours: Durations = field(default_factory=Durations)
    stages: dict[str, Durations] = field(default_factory=dict)
    stage_hours: dict[str, Durations] = field(default_factory=dict)

    def add(self, other: PathTally) -> None:
        """Take over what *other* has collected."""
        self.counts.add(other.counts)
        for hour, counts in other.by_hour.items():
            self.by_hour.setdefault(hour, Counts()).add(counts)
        self.seconds.parts += other.seconds.parts
        self.gaps.parts += other.gaps.parts
        self.hours.parts += other.hours.parts
        for mine, theirs in ((self.stages, other.stages), (self.stage_hours, other.stage_hours)):
            for stage, durations in theirs.items():
                mine.setdefault(stage, Durations()).parts += durations.parts


@dataclass(slots=True)
class Tally:
    """Everything of one period that began at `since` (Unix time)."""

    since: float
    specs: Mapping[int, Check]
    paths: dict[str, PathTally] = field(default_factory=dict)
    checks: dict[str, Counts] = field(default_factory=dict)

    def take(self, rows: Sequence[CanaryRow]) -> None:
        """Count these canaries."""
        if not rows:
            return
        specs, started, outcomes, verdicts, seconds, gaps, names, stages = zip(*rows, strict=True)
        hours = np.floor((np.array(started) - self.since) / _HOUR)
        self._count(Counter(zip(specs, hours.astype(int).tolist(), outcomes, verdicts, strict=True)))
        numbers = {spec: number for number, spec in enumerate(set(specs))}
        mine = np.array([numbers[spec] for spec in specs])
        measured, gap = np.array(seconds, dtype=np.float64), np.array(gaps, dtype=np.float64)
        seen = ~np.isnan(measured)
        for spec, number in numbers.items():
            chosen = seen & (mine == number)
            if chosen.any():
                path = self._path(spec)
                path.seconds.parts.append(measured[chosen])
                path.gaps.parts.append(gap[chosen])
                path.hours.parts.append(hours[chosen])
        self._take_stages(zip(specs, hours.astype(np.int16).tolist(), outcomes, names, stages, strict=True))

    def _path(self, spec: int) -> PathTally:
        check = self.specs[spec]
        path = self.paths.get(check.path)
        if path is None:
            path = self.paths[check.path] = PathTally(check.path, check.method)
        return path

    def _count(self, ends: Mapping[tuple[int, int, str | None, str | None], int]) -> None:
        for (spec, hour, outcome, judged), n in ends.items():
            path = self._path(spec)
            of_check = self.checks.setdefault(self.specs[spec].name, Counts())
            for counts in (path.counts, of_check, path.by_hour.setdefault(hour, Counts())):
                counts.count(outcome, judged, n)

    def _take_stages(self, rows: Iterable[tuple[int, int, str | None, str | None, str | None]]) -> None:
        """Collect stages of those that were accepted: a refusal is short, and a hang is as long as our patience."""
        alike: dict[tuple[int, str], tuple[list[int], list[str]]] = {}
        for spec, hour, outcome, names, stages in rows:
            if outcome is not None and names is not None and stages is not None:
                hours, written = alike.setdefault((spec, names), ([], []))
                hours.append(hour)
                written.append(stages)
        for (spec, names), (hours, written) in alike.items():
            path, when = self._path(spec), np.array(hours, dtype=np.int16)
            table = np.array(json.loads(f"[{','.join(written)}]"), dtype=np.float64)
            for stage, column in zip(json.loads(names), table.T, strict=True):
                if stage is not None:  # there were fewer
                    path.stages.setdefault(stage, Durations()).parts.append(column)
                    path.stage_hours.setdefault(stage, Durations()).parts.append(when)
