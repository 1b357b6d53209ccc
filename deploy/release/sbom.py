"""Write a CycloneDX bill of materials of what a release runs with, from the locked list.

    python deploy/release/sbom.py FILE

Every package is there with its version and the hashes of its files; what is written has been validated
(https://cyclonedx.org/docs/1.6/json/).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from agent import __version__

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "deploy/requirements/run.lock"


def write(file: Path) -> int:
    """Write the bill; return how many packages are in it.

    Raises:
        ValueError: what was made is not valid.
    """
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "sbom.json")
        command = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", str(LOCK)]
        command += ["--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "application"]
        command += [
            "--spec-version",
            "1.6",
            "--output-format",
            "JSON",
            "--output-reproducible",
            "--no-validate",
            "-o",
            str(raw),
        ]
        subprocess.run(command, check=True, capture_output=True)
        bill = json.loads(raw.read_text())
    root = bill["metadata"]["component"]
    root["version"] = __version__
    root["purl"] = f"pkg:pypi/{root['name']}@{__version__}"
    packages = [one["bom-ref"] for one in bill["components"]]
    bill["dependencies"] = [
        {"ref": root["bom-ref"], "dependsOn": sorted(packages)},
        *(one for one in bill["dependencies"] if one["ref"] != root["bom-ref"]),
    ]
    text = json.dumps(bill, indent=2) + "\n"
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if wrong is not None:
        raise ValueError(f"not a valid CycloneDX document: {wrong}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return len(packages)


if __name__ == "__main__":
    print(f"{sys.argv[1]}: {write(Path(sys.argv[1]))} packages")
