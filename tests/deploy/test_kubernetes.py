"""The manifests fit together, ask for no right that they do not need, and carry the rules of the project."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.passwords import a_hash

from agent import __version__
from agent.web.app import _HEALTHY

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
SECRETS = "/run/secrets/relaycanary"


def read(name):
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


KUSTOMIZATION = read("kustomization.yaml")
MANIFESTS = {one["kind"]: one for one in map(read, KUSTOMIZATION["resources"])}
SETTINGS = read("relaycanary.yaml")
POD = MANIFESTS["Deployment"]["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
VOLUMES = {one["name"]: one for one in POD["volumes"]}
MOUNTS = {one["mountPath"]: one for one in CONTAINER["volumeMounts"]}


def test_a_ledger_has_one_agent_also_while_versions_change():
    assert MANIFESTS["Deployment"]["spec"]["replicas"] == 1
    assert MANIFESTS["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}
    assert MANIFESTS["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_the_pod_is_within_the_profile_restricted_which_its_namespace_enforces():
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    assert MANIFESTS["Namespace"]["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["runAsUser"] > 0
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & POD.keys()
    assert all(not {"hostPath"} & volume.keys() for volume in POD["volumes"])
    assert POD["automountServiceAccountToken"] is False


def test_it_runs_as_the_user_of_the_image_who_alone_can_read_the_secrets():
    dockerfile = (ROOT / "deploy/docker/Dockerfile").read_text(encoding="utf-8")
    context = POD["securityContext"]
    assert f"USER {context['runAsUser']}:{context['runAsGroup']}" in dockerfile
    assert context["fsGroup"] == context["runAsGroup"]
    assert VOLUMES["secrets"]["secret"]["defaultMode"] == 0o440


def test_every_mount_has_its_volume_and_every_volume_what_it_refers_to():
    assert {one["name"] for one in MOUNTS.values()} == VOLUMES.keys()
    (generated,) = KUSTOMIZATION["configMapGenerator"]
    assert VOLUMES["settings"]["configMap"]["name"] == generated["name"]
    assert generated["files"] == ["relaycanary.yaml"]
    claim = MANIFESTS["PersistentVolumeClaim"]["metadata"]["name"]
    assert VOLUMES["ledger"]["persistentVolumeClaim"]["claimName"] == claim
    assert SETTINGS["agent"]["ledger"] == "sqlite:////var/lib/relaycanary/ledger.db"
    assert MOUNTS.keys() == {"/etc/relaycanary", SECRETS, "/var/lib/relaycanary", "/tmp"}  # noqa: S108 - in the pod


def test_every_key_of_the_secret_that_is_used_is_one_that_the_readme_makes():
    text = (FOLDER / "relaycanary.yaml").read_text(encoding="utf-8")
    used = set(re.findall(rf"{SECRETS}/([\w-]+)", text))
    (endpoint,) = MANIFESTS["ServiceMonitor"]["spec"]["endpoints"]
    name = VOLUMES["secrets"]["secret"]["secretName"]
    for part in endpoint["basicAuth"].values():
        assert part["name"] == name
        used.add(part["key"])
    assert set(re.findall(r"> secrets/([\w-]+)", README)) == used
    assert f"create secret generic {name} --from-file=secrets/" in README
    assert SETTINGS["web"]["users"] == {"prometheus": {"file": f"{SECRETS}/web-hash"}}
    assert "printf prometheus > secrets/web-username" in README
    assert "hash-password < secrets/web-password > secrets/web-hash\n" in README


def test_the_probes_ask_what_needs_no_login():
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert CONTAINER[probe]["httpGet"] == {"path": _HEALTHY, "port": "http"}


def test_the_one_port_is_the_same_everywhere_and_only_monitoring_gets_in():
    port = int(SETTINGS["web"]["listen"].rpartition(":")[2])
    assert CONTAINER["ports"] == [{"name": "http", "containerPort": port}]
    assert MANIFESTS["Service"]["spec"]["ports"] == [{"name": "http", "port": port, "targetPort": "http"}]
    policy = MANIFESTS["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    (way_in,) = policy["ingress"]
    assert way_in["ports"] == [{"protocol": "TCP", "port": port}]
    assert [list(one) for one in way_in["from"]] == [["namespaceSelector"]]
    out = {one["port"] for rule in policy["egress"] for one in rule["ports"]}
    assert out == {53, 25, 465, 587, 993, 443}


def test_whatever_selects_selects_the_label_that_everything_gets():
    (labels,) = (one["pairs"] for one in KUSTOMIZATION["labels"])
    assert MANIFESTS["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    assert MANIFESTS["ServiceMonitor"]["spec"]["selector"]["matchLabels"] == labels


def test_the_version_of_the_image_is_that_of_the_code():
    assert KUSTOMIZATION["images"] == [{"name": CONTAINER["image"], "newTag": __version__}]


def test_the_rules_are_those_of_the_dashboards():
    spec = importlib.util.spec_from_file_location("make_rules", FOLDER / "make_rules.py")
    source = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(source)
    assert (FOLDER / "prometheusrule.yaml").read_text(encoding="utf-8") == source.build(), (
        "run python deploy/kubernetes/make_rules.py"
    )


@pytest.mark.servers
def test_promtool_takes_the_rules(tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump(MANIFESTS["PrometheusRule"]["spec"]))
    done = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_check_config_takes_the_settings(tmp_path):
    for name in ("k1", "outside", "web-hash"):
        (tmp_path / name).write_text(a_hash() if name == "web-hash" else "0123456789abcdef0123456789abcdef")
        (tmp_path / name).chmod(0o400)
    settings = tmp_path / "relaycanary.yaml"
    settings.write_text((FOLDER / "relaycanary.yaml").read_text(encoding="utf-8").replace(f"{SECRETS}/", ""))
    command = [sys.executable, "-m", "agent", "check-config", "-c", str(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is missing: it builds the kustomization offline")
def test_kubectl_builds_the_kustomization():
    done = subprocess.run(["kubectl", "kustomize", FOLDER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = {one["kind"]: one for one in yaml.safe_load_all(done.stdout)}
    assert built.keys() == {*MANIFESTS, "ConfigMap"}
    pod = built["Deployment"]["spec"]["template"]
    assert built["Deployment"]["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert built["Service"]["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    settings = next(one for one in pod["spec"]["volumes"] if one["name"] == "settings")
    assert settings["configMap"]["name"] == built["ConfigMap"]["metadata"]["name"]
