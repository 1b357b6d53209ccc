"""Write the dashboards: ``python dashboards/grafana/source [FOLDER]``; without a folder, the committed ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import deliverability
import overview
import path

import agent


def main(folder: Path) -> None:
    """Write every dashboard into *folder*, named by its uid."""
    for module in (overview, path, deliverability, agent):
        made = module.build()
        file = folder / f"{made['uid']}.json"
        file.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1])
