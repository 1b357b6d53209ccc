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
SETTINGS = read("settings/relaycanary.yaml")
OURS = {"secrets", "alertmanager", "rules", "backups"}
"""Folders that the README has the administrator make; they are not in the repository."""


def default(text):
    """Return *text* with every variable replaced by what stands for it when nobody sets it."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def mounts(service):
    """Walk through what a service is given: source, target, and whether it can be written."""
    for volume in SERVICES[service].get("volumes", []):
        if isinstance(volume, str):
            source, target = volume.split(":")
            yield source, target, True
        else:
            yield volume["source"], volume["target"], not volume["read_only"]


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
def test_all_that_is_mounted_is_there_or_made_by_the_readme_and_cannot_be_written(service):
    for source, _, written in mounts(service):
        if not source.startswith("."):
            assert source in COMPOSE["volumes"]
            continue
        assert written == (source == "./backups"), source
        if source.split("/")[1] in OURS:
            assert re.search(rf"install -d .*\b{source[2:]}\b", README), source
        else:
            assert (FOLDER / source).exists(), source


def test_what_is_missing_is_told_and_not_made_in_silence():
    binds = [one for settings in SERVICES.values() for one in settings["volumes"] if isinstance(one, dict)]
    assert all(one["bind"] == {"create_host_path": False} for one in binds)
    assert "secrets" not in COMPOSE  # they would be mounted one by one, and a renamed file would not be seen


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_of_others_has_a_version_and_names_no_registry(service):
    image = default(SERVICES[service]["image"])
    assert "." not in image.partition("/")[0]
    assert service == "relaycanary" or re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", image)


def test_every_secret_is_in_the_folder_of_the_one_service_that_reads_it_and_the_readme_makes_it():
    texts = {
        "relaycanary": (FOLDER / "settings/relaycanary.yaml").read_text(encoding="utf-8"),
        "prometheus": (FOLDER / "prometheus.yml").read_text(encoding="utf-8"),
        "grafana": yaml.safe_dump(SERVICES["grafana"]["environment"]),
    }
    made = set(re.findall(r"> secrets/(\w+/\w+)", README))
    assert made == {
        f"{service}/{name}" for service, text in texts.items() for name in re.findall(r"/run/secrets/(\w+)", text)
    }
    for service in SERVICES:
        given = [source for source, target, _ in mounts(service) if target == "/run/secrets"]
        assert given == ([f"./secrets/{service}"] if service in texts else [])
    ignored = (FOLDER / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {f"{one}/" for one in OURS} <= set(ignored)


def test_the_readme_gives_every_folder_to_the_user_who_reads_it():
    for service in ("relaycanary", "prometheus", "grafana"):
        user = SERVICES[service]["user"].partition(":")[0]
        assert f"chown -R {user} secrets/{service}\n" in README
        assert re.search(rf"install -d -o {user} -m 700 .*secrets/{service}\n", README)
    user = SERVICES["alertmanager"]["user"].partition(":")[0]
    assert f"install -o {user} -m 400 ../../dashboards/alertmanager/alertmanager.yml alertmanager/" in README


def test_the_agent_demands_a_login_and_prometheus_shows_it():
    web = SETTINGS["web"]
    (job,) = read("prometheus.yml")["scrape_configs"]
    assert web["listen"] == "0.0.0.0:9825"
    assert job["basic_auth"] == {"username": "prometheus", "password_file": "/run/secrets/web"}
    assert web["users"] == {"prometheus": {"file": "/run/secrets/web"}}
    assert "hash-password < secrets/prometheus/web > secrets/relaycanary/web\n" in README
    assert job["static_configs"] == [{"targets": ["relaycanary:9825"]}]


def test_check_config_takes_the_settings(tmp_path):
    for name in ("k1", "outside", "web"):
        (tmp_path / name).write_text(a_hash() if name == "web" else "0123456789abcdef0123456789abcdef")
        (tmp_path / name).chmod(0o400)
    text = (FOLDER / "settings/relaycanary.yaml").read_text(encoding="utf-8")
    settings = tmp_path / "relaycanary.yaml"
    settings.write_text(text.replace("/run/secrets/", ""))
    command = [sys.executable, "-m", "agent", "check-config", "-c", str(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "sqlite:////var/lib/relaycanary/ledger.db" in text
    assert ("ledger", "/var/lib/relaycanary", True) in list(mounts("relaycanary"))


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
    assert targets[str(Path(rules).parent)] == "./rules"
    assert Path("relaycanary.yaml").match(Path(rules).name)
    assert "mv rules/new rules/relaycanary.yaml" in README
    # rules that Prometheus cannot read are no error to it: neither the umask of root nor that of the secrets decides
    assert "install -d -m 755 rules\n" in README
    assert "chmod 644 rules/new\n" in README
    assert not re.search(r"^ {0,3}umask", README, re.MULTILINE)
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
    assert set(re.findall(r"`([A-Z]+_[A-Z_]+)`", README)) == known


def test_every_command_of_relaycanary_in_the_readme_exists():
    verbs = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
    told = set(re.findall(r"exec (?:-T )?relaycanary relaycanary (\w+)", README))
    told |= set(re.findall(r"run --rm (?:-T )?relaycanary (\S+)", README))
    assert told == {"check-config", "doctor", "ledger", "rules", "status"}
    assert told <= verbs
