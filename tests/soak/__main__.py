"""``python -m soak``: a simulated day and a real hour; exit 1 if anything grew or was lost."""

from __future__ import annotations

import argparse
import signal
import sys

from soak import real, simulated
from soak.sample import tell


def main() -> int:
    """Run both, or one of them; return the exit code."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="simulated hours (0: none)")
    parser.add_argument("--real-minutes", type=float, default=60.0, help="minutes on the testbed (0: none)")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by the way that stops the servers, too
    wrong = []
    if chosen.hours:
        wrong += [f"simulated: {what}" for what in simulated.run(chosen.hours)]
    if chosen.real_minutes:
        wrong += [f"real: {what}" for what in real.run(chosen.real_minutes)]
    tell("\n".join(wrong) or "nothing grew, nothing was lost")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
