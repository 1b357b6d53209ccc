"""Starting, stopping, breaking and healing: every error is one clear sentence."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import stat

import pytest
import yaml

from checks.lab import DEFAULT_PORTS, FREE_PORTS, Control, Lab, LabError, serve


def test_the_catalogue_can_be_read_without_a_lab(tmp_path):
    faults = Control(tmp_path).faults()
    assert len({name for name, _, _ in faults}) == len(faults) > 50
    assert all(summary and "\n" not in summary for _, summary, _ in faults)
    targets = {"relay", "submission", "direct", "graph", "inbox", "noreply", "outside", "entra"}
    assert all(set(where) <= targets and where for _, _, where in faults)


def test_what_is_broken_is_listed_until_it_is_healed(lab):
    lab.break_("relay", "junk")
    lab.break_("relay", "delay=2.5")
    lab.break_("inbox", "imap_login_refused")
    assert lab.status()["faults"] == {"relay": ["junk", "delay=2.5"], "inbox": ["imap_login_refused"]}
    lab.heal("relay", "junk")
    assert lab.status()["faults"]["relay"] == ["delay=2.5"]
    lab.heal("relay")
    assert lab.status()["faults"] == {"inbox": ["imap_login_refused"]}
    lab.heal()
    assert lab.status()["faults"] == {}


def test_a_fault_that_is_on_may_be_given_another_value(lab):
    lab.break_("relay", "delay")
    lab.break_("relay", "delay=9")
    assert lab.status()["faults"] == {"relay": ["delay=9"]}


@pytest.mark.parametrize(
    ("target", "fault", "sentence"),
    [
        ("rely", "junk", "unknown target 'rely': did you mean relay?"),
        ("relay", "junks", "unknown fault 'junks': did you mean junk?"),
        ("relay", "imap_down", "imap_down does not apply to relay, only to: inbox, noreply, outside"),
        ("direct", "connector_mismatch", "connector_mismatch does not apply to direct, only to: relay"),
        ("relay", "junk=3", "junk takes no value"),
        ("relay", "delay=soon", "delay takes seconds from 0 to 86400, like delay=8, not 'soon'"),
        ("relay", "delay=-1", "delay takes seconds from 0 to 86400, like delay=8, not '-1'"),
        ("relay", "delay=nan", "delay takes seconds from 0 to 86400, like delay=8, not 'nan'"),
    ],
)
def test_a_wrong_request_is_refused_with_a_hint(lab, target, fault, sentence):
    with pytest.raises(LabError) as error:
        lab.break_(target, fault)
    assert str(error.value) == sentence
    assert lab.status()["faults"] == {}


def test_an_unlike_name_gets_the_list_of_names(lab):
    with pytest.raises(
        LabError,
        match=r"unknown target 'xyzzy': known: direct, entra, graph, inbox, noreply, outside, relay, submission",
    ):
        lab.break_("xyzzy", "junk")
    with pytest.raises(LabError, match=r"^unknown fault 'xyzzy': known: .*bounce.*junk"):
        lab.heal("relay", "xyzzy")
    with pytest.raises(LabError, match=r"^unknown fault 'xyzzy': known: ") as error:
        lab.break_("relay", "xyzzy")
    assert "connector_mismatch" in str(error.value)
    assert "imap_down" not in str(error.value)


def test_the_directory_knows_no_lab(tmp_path):
    with pytest.raises(LabError, match="the lab is not running in "):
        Control(tmp_path).status()


def test_a_file_that_a_dead_lab_left_behind_is_not_a_running_lab(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
    (tmp_path / "control.json").write_text(json.dumps({"port": port, "token": "t", "pid": 1}))
    with pytest.raises(LabError, match="the lab is not running in "):
        Control(tmp_path).heal()


def test_another_server_on_the_port_is_not_a_running_lab(lab, tmp_path):
    (tmp_path / "control.json").write_text(json.dumps({"port": lab.port("relay"), "token": "t", "pid": 1}))
    with pytest.raises(LabError, match="the lab is not running in "):
        Control(tmp_path).status()


@pytest.mark.parametrize("content", ["", "[]", '{"port": "x", "token": "t"}', '{"token": 1}'])
def test_a_broken_control_file_is_not_a_running_lab(tmp_path, content):
    (tmp_path / "control.json").write_text(content)
    with pytest.raises(LabError, match="the lab is not running in "):
        Control(tmp_path).status()


def test_without_the_token_nothing_is_told_or_changed(lab):
    port = json.loads((lab.directory / "control.json").read_text())["port"]
    for method, path in (("GET", "/status"), ("POST", "/break"), ("POST", "/heal")):
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request(method, path, b'{"target": "relay", "fault": "junk"}', headers)
            assert connection.getresponse().status == 401
            connection.close()
    assert lab.status()["faults"] == {}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"target": 1, "fault": 2}', b"[" * 5000])
def test_a_request_that_is_no_request_is_refused(lab, body):
    known = json.loads((lab.directory / "control.json").read_text())
    connection = http.client.HTTPConnection("127.0.0.1", known["port"], timeout=10)
    connection.request("POST", "/break", body, {"Authorization": f"Bearer {known['token']}"})
    assert connection.getresponse().status == 400
    connection.close()


def test_a_second_lab_on_the_same_directory_is_refused(lab):
    with pytest.raises(LabError, match=r"another lab runs in .*: stop it, or use another directory"):
        Lab(lab.directory).start()
    assert lab.status()["faults"] == {}


def test_a_taken_port_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LabError, match=f"^port {port} of submission is in use$"):
            asyncio.run(serve(tmp_path, ports={**FREE_PORTS, "submission": port}))


def test_a_port_that_was_taken_while_it_was_closed_is_named_when_healing(lab, sender):
    lab.break_("direct", "port_closed")
    taken = socket.create_server(("127.0.0.1", lab.port("direct")))
    with taken, pytest.raises(LabError, match="of direct is in use"):
        lab.heal("direct")
    lab.heal()
    assert sender("direct").send().accepted


def test_a_directory_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match=r"the lab cannot use .*file"):
        asyncio.run(serve(tmp_path / "file"))


def test_everything_the_lab_writes_is_private(lab):
    assert stat.S_IMODE(lab.directory.stat().st_mode) == 0o700
    modes = {file.name: oct(stat.S_IMODE(file.stat().st_mode)) for file in lab.directory.iterdir()}
    assert modes == dict.fromkeys(modes, "0o600")
    assert {"relaycanary.yaml", "ca.pem", "k1", "control.json", "relay-client.pem", "mail.journal"} <= modes.keys()


def test_the_control_file_goes_with_the_lab(tmp_path):
    with Lab(tmp_path / "lab") as lab:
        assert (lab.directory / "control.json").exists()
    assert not (tmp_path / "lab" / "control.json").exists()
    with pytest.raises(LabError, match="not running"):
        Control(tmp_path / "lab").status()


def test_faults_are_gone_with_the_lab(tmp_path):
    with Lab(tmp_path) as lab:
        lab.break_("inbox", "imap_down")
    with Lab(tmp_path) as lab:
        assert lab.status()["faults"] == {}


def test_the_settings_name_what_exists(lab):
    settings = yaml.safe_load(lab.info.settings.read_text())
    assert settings["agent"]["site"] == "lab"
    assert settings["agent"]["ledger"] == f"sqlite:///{lab.directory.resolve()}/ledger.db"
    named = [*settings["paths"].items(), *settings["mailboxes"].items()]
    ports = {name: part["port"] for name, part in named if "port" in part}
    app = settings["credentials"]["app"]
    ports |= {name: int(app[key].rpartition(":")[2]) for name, key in (("entra", "authority"), ("graph", "graph_url"))}
    assert {**lab.info.ports, **ports} == lab.status()["ports"] == dict(lab.info.ports)
    assert lab.info.ports.keys() - ports.keys() == {"noreply"}  # it is read over Graph
    assert settings["checks"]["relay"] == {
        "path": "relay",
        "mailbox": "outside",
        "every": "10s",
        "late_after": "5s",
        "lost_after": "30s",
    }
    for reference in _files(settings):
        assert stat.S_ISREG(lab.info.settings.parent.joinpath(reference).stat().st_mode)
        assert reference.startswith("/")


def _files(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key in {"file", "ca_file"} and isinstance(value, str):
                yield value
            else:
                yield from _files(value)
    elif isinstance(node, list):
        for value in node:
            yield from _files(value)


def test_no_secret_stands_in_the_settings(lab):
    text = lab.info.settings.read_text()
    for file in lab.directory.glob("[pt]*-*"):
        assert file.read_text().strip() not in text


def test_the_default_ports_are_one_block_without_the_agents_own():
    ports = sorted(DEFAULT_PORTS.values())
    assert ports == list(range(ports[0], ports[0] + len(ports)))
    assert 9825 not in ports


def test_a_lab_can_be_used_from_a_coroutine():
    async def use() -> dict:
        async with Lab() as lab:
            await asyncio.to_thread(lab.break_, "relay", "junk")
            return await asyncio.to_thread(lab.status)

    assert asyncio.run(use())["faults"] == {"relay": ["junk"]}
