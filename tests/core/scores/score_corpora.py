"""Prints how the parsers of mail evidence score on corpora of real mails: `score_corpora.py [-v | --json] [FOLDER]`."""

import argparse
import json
import sys
from pathlib import Path

from score_bounces import score_bounces
from score_explain import score_explain
from score_headers import score_headers
from table import Row

CORPORA = Path(__file__).resolve().parents[4] / "shared" / "corpora"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=CORPORA)
    parser.add_argument("-v", "--verbose", action="store_true", help="list what was missed, and the exceptions")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args()
    if not options.folder.is_dir():
        sys.stdout.write(f"no corpora at {options.folder}\n")
        return 2
    rows = [
        *score_headers(options.folder / "headers"),
        *score_bounces(options.folder / "bounces"),
        *score_explain(options.folder),
    ]
    if options.json:
        sys.stdout.write(json.dumps([vars(row) | {"percent": row.percent} for row in rows]))
    else:
        sys.stdout.writelines(_lines(rows, verbose=options.verbose))
    return 0 if all(row.percent >= row.floor for row in rows) else 1


def _lines(rows: list[Row], *, verbose: bool):
    yield f"{'score':>7} {'floor':>6} {'right':>11}  what\n"
    for row in rows:
        yield f"{row.percent:6.2f}% {row.floor:5.1f}% {row.hits:>5}/{row.total:<5}  {row.name}  {row.note}\n"
        if verbose:
            yield from (f"{'':28}miss: {miss}\n" for miss in row.misses)
            yield from (f"{'':28}exception: {why}\n" for why in sorted(set(row.exceptions)))


if __name__ == "__main__":
    sys.exit(main())
