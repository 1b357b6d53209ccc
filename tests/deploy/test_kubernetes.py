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


def test_every_key_of_a_secret_that_is_used_is_one_that_the_readme_makes():
    text = (FOLDER / "relaycanary.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"> secrets/relaycanary/([\w-]+)", README)) == set(re.findall(rf"{SECRETS}/([\w-]+)", text))
    (endpoint,) = MANIFESTS["ServiceMonitor"]["spec"]["endpoints"]
    assert set(re.findall(r"> secrets/scrape/([\w-]+)", README)) == {
        part["key"] for part in endpoint["basicAuth"].values()
    }
    for name, folder in (("relaycanary", "relaycanary"), ("relaycanary-scrape", "scrape")):
        command = f"create secret generic {name} --from-file=secrets/{folder} --dry-run=client -o yaml | kubectl apply"
        assert command in README
    assert SETTINGS["web"]["users"] == {"prometheus": {"file": f"{SECRETS}/web"}}
    assert "printf prometheus > secrets/scrape/username" in README
    assert "hash-password < secrets/scrape/password > secrets/relaycanary/web\n" in README


def test_the_pod_does_not_have_the_password_of_which_the_agent_is_told_the_hash():
    (endpoint,) = MANIFESTS["ServiceMonitor"]["spec"]["endpoints"]
    assert {part["name"] for part in endpoint["basicAuth"].values()} == {"relaycanary-scrape"}
    mounted = [one["secret"]["secretName"] for one in POD["volumes"] if "secret" in one]
    assert mounted == ["relaycanary"]
    assert "env" not in CONTAINER
    assert "envFrom" not in CONTAINER


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
    name = CONTAINER["image"]
    assert KUSTOMIZATION["images"] == [{"name": name, "newName": name, "newTag": __version__}]


def test_the_rules_are_those_of_the_dashboards():
    spec = importlib.util.spec_from_file_location("make_rules", FOLDER / "make_rules.py")
    source = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(source)
    made = source.build(source.committed(), "dashboards/prometheus")
    assert (FOLDER / "prometheusrule.yaml").read_text(encoding="utf-8") == made, (
        "run python deploy/kubernetes/make_rules.py"
    )


@pytest.fixture
def folder(tmp_path):
    """The manifests, to be changed as an administrator does."""
    return shutil.copytree(FOLDER, tmp_path / "kubernetes", ignore=shutil.ignore_patterns("secrets"))


def make_rules(folder, printed):
    command = [sys.executable, folder / "make_rules.py", "-"]
    return subprocess.run(command, input=printed, capture_output=True, text=True, check=False)


def test_what_the_settings_add_to_the_rules_gets_into_the_resource(folder):
    settings = ["-m", "agent", "rules", "-c", folder / "relaycanary.yaml", "--grafana", "https://grafana.corp.example"]
    printed = subprocess.run([sys.executable, *settings], capture_output=True, text=True, check=True).stdout
    assert make_rules(folder, printed).returncode == 0
    text = (folder / "prometheusrule.yaml").read_text(encoding="utf-8")
    made = yaml.safe_load(text)
    assert made["spec"] == yaml.safe_load(printed)
    assert {**made, "spec": None} == {**MANIFESTS["PrometheusRule"], "spec": None}
    names = {rule.get("alert") for group in made["spec"]["groups"] for rule in group["rules"]}
    assert "RelaycanaryCheckMissing" in names
    assert "grafana.example.com" not in text


@pytest.mark.parametrize("printed", ["", "groups: []", "error: no settings", "a: [", "words"])
def test_the_rules_stay_where_none_came_in(folder, printed):
    done = make_rules(folder, printed)
    assert done.returncode == 1
    assert done.stderr == "make_rules: what came in has no rules; prometheusrule.yaml stays as it was\n"
    assert (folder / "prometheusrule.yaml").read_bytes() == (FOLDER / "prometheusrule.yaml").read_bytes()


@pytest.mark.servers
def test_promtool_takes_the_rules(tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump(MANIFESTS["PrometheusRule"]["spec"]))
    done = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_check_config_takes_the_settings(tmp_path):
    for name in ("k1", "outside", "web"):
        (tmp_path / name).write_text(a_hash() if name == "web" else "0123456789abcdef0123456789abcdef")
        (tmp_path / name).chmod(0o400)
    settings = tmp_path / "relaycanary.yaml"
    settings.write_text((FOLDER / "relaycanary.yaml").read_text(encoding="utf-8").replace(f"{SECRETS}/", ""))
    command = [sys.executable, "-m", "agent", "check-config", "-c", str(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


needs_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl is missing: it builds the kustomization offline"
)


def built(folder):
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {one["kind"]: one for one in yaml.safe_load_all(done.stdout)}


@needs_kubectl
def test_kubectl_builds_the_kustomization():
    made = built(FOLDER)
    assert made.keys() == {*MANIFESTS, "ConfigMap"}
    pod = made["Deployment"]["spec"]["template"]
    assert made["Deployment"]["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert made["Service"]["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    settings = next(one for one in pod["spec"]["volumes"] if one["name"] == "settings")
    assert settings["configMap"]["name"] == made["ConfigMap"]["metadata"]["name"]


@needs_kubectl
def test_for_maintenance_the_pod_has_the_ledger_and_neither_an_agent_nor_a_secret(folder):
    file = folder / "kustomization.yaml"
    (before, after) = re.findall(r"sed -i 's/\^# (components):/(components):/'", README)[0]
    text = file.read_text(encoding="utf-8")
    file.write_text(re.sub(rf"^# {before}:", f"{after}:", text, flags=re.MULTILINE), encoding="utf-8")
    usual, maintained = built(FOLDER), built(folder)
    pod = maintained.pop("Deployment")["spec"]["template"]["spec"]
    usual_pod = usual.pop("Deployment")["spec"]["template"]["spec"]
    assert maintained == usual
    (container,), (usual_container,) = pod["containers"], usual_pod["containers"]
    assert container["command"] == ["sleep", "infinity"]
    assert not [one for one in container if "Probe" in one]
    for same in ("image", "resources", "securityContext"):
        assert container[same] == usual_container[same]
    assert pod["securityContext"] == usual_pod["securityContext"]
    assert {one["name"] for one in pod["volumes"]} == {"settings", "ledger", "tmp"}
    assert {one["name"] for one in container["volumeMounts"]} == {"settings", "ledger", "tmp"}


@needs_kubectl
def test_a_label_that_the_operator_selects_by_gets_on_everything_and_into_no_selector(folder):
    file = folder / "kustomization.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("  # - pairs: {release", "  - pairs: {release"), encoding="utf-8")
    made = built(folder)
    for kind in ("ServiceMonitor", "PrometheusRule"):
        assert made[kind]["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert "release" not in made["Deployment"]["spec"]["selector"]["matchLabels"]
