"""What compose starts is closed as it should be, and finds every file that it mounts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.passwords import a_hash

from agent.__main__ import app

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "compose"
README = (FOLDER / "README.md").read_text(encoding="utf-8")


def read(name):
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


COMPOSE = read("compose.yaml")
SERVICES = COMPOSE["services"]
SETTINGS = read("relaycanary.yaml")


def default(text):
    """Return *text* with every variable replaced by what stands for it when nobody sets it."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def mounts(service):
    for volume in SERVICES[service].get("volumes", []):
        source, target, *mode = default(volume).split(":")
        yield source, target, mode


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_can_do_no_more_than_it_must(service):
    settings = SERVICES[service]
    assert settings["read_only"] is True
    assert settings["cap_drop"] == ["ALL"]
    assert settings["security_opt"] == ["no-new-privileges:true"]
    assert int(settings["user"].partition(":")[0]) > 0
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"} & settings.keys()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_published_on_loopback_only(service):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service]["ports"])


@pytest.mark.parametrize("service", SERVICES)
def test_every_file_that_is_mounted_is_there_and_cannot_be_written(service):
    for source, _, mode in mounts(service):
        if source.startswith("."):
            assert (FOLDER / source).exists(), source
            assert mode == ["ro"], source
        else:
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_of_others_has_a_version_and_names_no_registry(service):
    image = default(SERVICES[service]["image"])
    assert "." not in image.partition("/")[0]
    assert service == "relaycanary" or re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", image)


def test_every_secret_is_a_file_that_one_service_gets_and_the_readme_makes():
    used = [one for settings in SERVICES.values() for one in settings.get("secrets", [])]
    assert sorted(used) == sorted(COMPOSE["secrets"])
    for name, secret in COMPOSE["secrets"].items():
        assert secret["file"] == f"./secrets/{name}"
        assert re.search(rf"> secrets/{name}\b|cp secrets/\S+ secrets/{name}\b", README)
    assert "secrets/" in (FOLDER / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_the_agent_demands_a_login_and_prometheus_shows_it():
    web = SETTINGS["web"]
    (job,) = read("prometheus.yml")["scrape_configs"]
    assert web["listen"] == "0.0.0.0:9825"
    assert job["basic_auth"] == {"username": "prometheus", "password_file": "/run/secrets/web-prometheus"}
    assert web["users"] == {"prometheus": {"file": "/run/secrets/web"}}
    assert "hash-password < secrets/web-prometheus > secrets/web\n" in README
    assert job["static_configs"] == [{"targets": ["relaycanary:9825"]}]


def test_check_config_takes_the_settings(tmp_path):
    for name in SERVICES["relaycanary"]["secrets"]:
        (tmp_path / name).write_text(a_hash() if name == "web" else "0123456789abcdef0123456789abcdef")
        (tmp_path / name).chmod(0o400)
    text = (FOLDER / "relaycanary.yaml").read_text(encoding="utf-8")
    settings = tmp_path / "relaycanary.yaml"
    settings.write_text(text.replace("/run/secrets/", ""))
    command = [sys.executable, "-m", "agent", "check-config", "-c", str(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "sqlite:////var/lib/relaycanary/ledger.db" in text
    assert ("ledger", "/var/lib/relaycanary", []) in list(mounts("relaycanary"))


@pytest.mark.servers
def test_promtool_takes_the_configuration_of_prometheus():
    done = subprocess.run(
        ["promtool", "check", "config", "--syntax-only", FOLDER / "prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_and_dashboards_lie_where_they_are_looked_for():
    targets = {target: source for service in SERVICES for source, target, _ in mounts(service)}
    (rules,) = read("prometheus.yml")["rule_files"]
    folder = FOLDER / targets[str(Path(rules).parent)]
    assert len(list(folder.glob(Path(rules).name))) >= 4
    provider = yaml.safe_load((FOLDER / targets["/etc/grafana/provisioning/dashboards/relaycanary.yaml"]).read_text())
    dashboards = FOLDER / targets[provider["providers"][0]["options"]["path"]]
    assert len(list(dashboards.glob("*.json"))) >= 4


def test_grafana_asks_the_prometheus_that_is_started_here():
    (source,) = read("grafana-datasource.yaml")["datasources"]
    usual = yaml.safe_load((ROOT / "dashboards/grafana/provisioning/datasources.yaml").read_text(encoding="utf-8"))
    assert source == {**usual["datasources"][0], "url": "http://prometheus:9090"}


def test_every_variable_in_the_readme_is_one_of_the_file():
    text = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
    known = set(re.findall(r"\$\{(\w+)", text))
    assert set(re.findall(r"`([A-Z_]+)[`=]", README)) == known


def test_every_command_of_relaycanary_in_the_readme_exists():
    verbs = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
    told = set(re.findall(r"exec (?:-T )?relaycanary relaycanary (\w+)", README))
    assert told == {"doctor", "status", "rules"}
    assert told <= verbs
