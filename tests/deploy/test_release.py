"""What a release is made of: a wheel that works by itself, a bill of what is in it, one version everywhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from agent import __version__

ROOT = Path(__file__).parents[2]
RELEASE = ROOT / "deploy" / "release"
PACKAGES = sysconfig.get_path("purelib")


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    done = run("-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (file,) = built.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def content(wheel: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(wheel) as opened:
        yield opened


def tracked(*folders: str) -> set[str]:
    listed = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(listed.stdout.splitlines())


def test_the_wheel_has_every_file_of_the_code_and_nothing_else(content: zipfile.ZipFile) -> None:
    rules = {one.replace("dashboards/", "agent/") for one in tracked("dashboards/prometheus")}
    own = {name for name in content.namelist() if ".dist-info/" not in name}
    assert own == {name for name in tracked("agent", "checks") if (ROOT / name).exists()} | rules


def test_the_sdist_has_what_its_tests_and_procedures_need(built: Path) -> None:
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {".dockerignore", "Makefile", "README.md", "CHANGELOG.md", "DECISIONS.md", "LICENSE", "pyproject.toml"}
    wanted |= tracked("tests/deploy", "deploy/requirements", "deploy/systemd", "dashboards/runbooks")
    assert {one for one in wanted if (ROOT / one).exists()} <= found


def test_wheel_and_sdist_work_in_an_empty_folder_without_the_checkout(built: Path, wheel: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    done = run(RELEASE / "try_wheel.py", wheel, sdist, "--packages", PACKAGES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{wheel.name} works by itself\n" in done.stdout
    assert done.stdout.endswith(f"{sdist.name} works by itself\n")


def test_an_sdist_that_lacks_something_is_told(built: Path, tmp_path: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    poorer = tmp_path / sdist.name
    with tarfile.open(sdist) as whole, tarfile.open(poorer, "w:gz") as archive:
        for one in whole:
            if "/dashboards/prometheus/" not in one.name:
                archive.addfile(one, whole.extractfile(one))
    done = run(RELEASE / "try_wheel.py", poorer, "--packages", PACKAGES)
    assert done.returncode == 1
    assert f"try_wheel: {sdist.name}: " in done.stderr


def test_the_version_stands_in_one_place_and_is_the_same_everywhere(wheel: Path, content: zipfile.ZipFile) -> None:
    assert re.findall(r"__version__ = \"(.*)\"", (ROOT / "agent/__init__.py").read_text()) == [__version__]
    assert wheel.name == f"relaycanary-{__version__}-py3-none-any.whl"
    metadata = content.read(f"relaycanary-{__version__}.dist-info/METADATA").decode()
    assert f"\nVersion: {__version__}\n" in metadata
    kustomization = yaml.safe_load((ROOT / "deploy/kubernetes/kustomization.yaml").read_text())
    assert [one["newTag"] for one in kustomization["images"]] == [__version__]


def test_the_bill_of_materials_has_every_locked_package_with_its_hashes(tmp_path: Path) -> None:
    file = tmp_path / "sbom.json"
    done = run(RELEASE / "sbom.py", file)  # it validates what it writes, and fails where that is not valid
    assert done.returncode == 0, done.stderr
    bill = json.loads(file.read_text())
    lock = (ROOT / "deploy/requirements/run.lock").read_text()
    locked = set(re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, re.MULTILINE))
    assert {(one["name"], one["version"]) for one in bill["components"]} == locked
    hashes = {
        one["content"]
        for part in bill["components"]
        for reference in part["externalReferences"]
        for one in reference["hashes"]
    }
    assert hashes == set(re.findall(r"sha256:([0-9a-f]{64})", lock))
    root = bill["metadata"]["component"]
    assert (root["name"], root["version"]) == ("relaycanary", __version__)
    (needs,) = (one["dependsOn"] for one in bill["dependencies"] if one["ref"] == root["bom-ref"])
    assert sorted(needs) == sorted(one["bom-ref"] for one in bill["components"])


def test_no_bill_is_written_that_is_not_valid() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str('{"bomFormat": "CycloneDX", "wrong": 1}') is not None
