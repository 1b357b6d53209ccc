"""What is watched over time, how it is shown, and how far it may grow once the agent is warm."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MEGABYTE = 1_048_576
_ENOUGH = 0.9  # of the canaries that a sample should have: some are on their way, and the first ones started spread out


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One moment: `at` in minutes since the start, sizes in MB, latencies and processor time a canary in milliseconds.

    `load` is the machine's load average, for whoever reads the table: nothing is judged by it.
    """

    at: float
    load: float
    rss: float
    fds: int
    threads: int
    ledger: float
    concluded: int
    not_passed: int
    cpu: float
    p50: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """How much a figure may grow: by a share of itself, and something for noise.

    Of the samples to compare, the one counts below which `quantile` of them lie. For times that is a low one: what a
    full ledger or a long list costs, it costs in quiet minutes too; what other processes take, they take in some.
    Processor time a canary is compared by its median: on a machine that does other things, too, give the soak a high
    priority (`nice -n -15`), or what the others do is compared.
    """

    unit: str
    share: float
    slack: float
    quantile: float = 0.5

    def allows(self, before: float) -> float:
        """Tell how much there may be in the end, where there was *before* in the beginning."""
        return before * (1 + self.share) + self.slack


BOUNDS = {
    "rss": Bound(unit="MB", share=0.01, slack=1.5),  # of thousands of canaries: none may leave half a kilobyte behind
    "fds": Bound(unit="", share=0.0, slack=4.0),
    "threads": Bound(unit="", share=0.0, slack=2.0),
    "ledger": Bound(unit="MB", share=0.15, slack=2.0),
    "cpu": Bound(unit="ms a canary", share=0.3, slack=1.0),
    "p50": Bound(unit="ms", share=0.5, slack=20.0, quantile=0.25),
    "p95": Bound(unit="ms", share=1.0, slack=100.0, quantile=0.25),
}
_COLUMNS = "{:>8} {:>5} {:>8} {:>5} {:>8} {:>10} {:>10} {:>11} {:>7} {:>9} {:>9}"
HEAD = _COLUMNS.format(
    *(
        "minute",
        "load",
        "RSS MB",
        "fds",
        "threads",
        "ledger MB",
        "concluded",
        "not passed",
        "CPU ms",
        "p50 ms",
        "p95 ms",
    )
)
_JUDGED = "{:<10} {:<12} {:>12} {:>10} {:>10}   {}"


def tell(line: str) -> None:
    """Show a line at once: those who wait want to see that it goes on."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def row(sample: Sample) -> str:
    """Write a sample as a line of the table."""
    return _COLUMNS.format(
        f"{sample.at:.1f}",
        f"{sample.load:.1f}",
        f"{sample.rss:.1f}",
        sample.fds,
        sample.threads,
        f"{sample.ledger:.2f}",
        sample.concluded,
        sample.not_passed,
        f"{sample.cpu:.1f}",
        f"{sample.p50:.1f}",
        f"{sample.p95:.1f}",
    )


def grown(samples: Sequence[Sample], *, warm_up: float) -> list[str]:
    """Compare the first third of the samples after *warm_up* minutes with the last one.

    Prints the figures as a table; returns those that grew beyond their bound.
    """
    warm = [sample for sample in samples if sample.at >= warm_up]
    third = max(1, len(warm) // 3)
    said = []
    tell(f"after {warm_up:g} minutes, the first {third} samples beside the last {third}:")
    tell(_JUDGED.format("", "", "first third", "last third", "allowed", ""))
    for name, bound in BOUNDS.items():
        before, after = (
            quantile([getattr(sample, name) for sample in some], bound.quantile)
            for some in (warm[:third], warm[-third:])
        )
        allowed = bound.allows(before)
        figures = (f"{value:.2f}" for value in (before, after, allowed))
        tell(_JUDGED.format(name, bound.unit, *figures, "GREW" if after > allowed else "flat"))
        if after > allowed:
            said.append(f"{name} grew from {before:.2f} to {after:.2f} {bound.unit}".rstrip())
    return said


def scarce(samples: Sequence[Sample], *, due: float) -> list[str]:
    """Name the samples in which far fewer canaries were concluded than were *due*: an idle agent grows nowhere."""
    return [
        f"only {taken.concluded} of {due:.0f} canaries concluded at minute {taken.at:.0f}"
        for taken in samples
        if taken.concluded < due * _ENOUGH
    ]


def quantile(values: Sequence[float], share: float) -> float:
    """Take the value below which *share* of all lie; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def memory(pid: int | str = "self") -> float:
    """Tell the resident memory of a process in MB (proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def open_files(pid: int | str = "self") -> int:
    """Count the file descriptors of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int | str = "self") -> int:
    """Count the threads of a process."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def processor_seconds(pid: int | str = "self") -> float:
    """Tell how much processor time a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def size_of(ledger: Path) -> float:
    """Tell the size of an SQLite ledger with its journal in MB."""
    files = (ledger, ledger.with_name(ledger.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists()) / _MEGABYTE
