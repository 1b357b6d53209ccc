from pathlib import Path

import pytest

from agent.config.load import find
from agent.config.problems import SettingsError


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RELAYCANARY_CONFIG", raising=False)
    return tmp_path


def test_a_named_file_wins_over_everything(nowhere, monkeypatch):
    (nowhere / "relaycanary.yaml").touch()
    monkeypatch.setenv("RELAYCANARY_CONFIG", "other.yaml")
    assert find(Path("named.yaml")) == Path("named.yaml")


def test_the_environment_wins_over_the_usual_places(nowhere, monkeypatch):
    (nowhere / "relaycanary.yaml").touch()
    monkeypatch.setenv("RELAYCANARY_CONFIG", "other.yaml")
    assert find() == Path("other.yaml")


def test_the_folder_one_is_in_wins_over_the_lab(nowhere):
    (nowhere / ".lab").mkdir()
    (nowhere / ".lab" / "relaycanary.yaml").touch()
    (nowhere / "relaycanary.yaml").touch()
    assert find() == Path("relaycanary.yaml")


@pytest.mark.skipif(Path("/etc/relaycanary/relaycanary.yaml").exists(), reason="this machine has settings of its own")
class TestWithoutSettingsOfTheMachine:
    def test_the_lab_is_found_last(self, nowhere):
        (nowhere / ".lab").mkdir()
        (nowhere / ".lab" / "relaycanary.yaml").touch()
        assert find() == Path(".lab/relaycanary.yaml")

    def test_an_empty_variable_is_no_file(self, nowhere, monkeypatch):
        (nowhere / ".lab").mkdir()
        (nowhere / ".lab" / "relaycanary.yaml").touch()
        monkeypatch.setenv("RELAYCANARY_CONFIG", "")
        assert find() == Path(".lab/relaycanary.yaml")

    @pytest.mark.usefixtures("nowhere")
    def test_without_a_file_it_is_said_where_one_was_looked_for(self):
        with pytest.raises(SettingsError) as refused:
            find()
        assert str(refused.value) == (
            "relaycanary.yaml: there is no settings file; looked for relaycanary.yaml,"
            " /etc/relaycanary/relaycanary.yaml, .lab/relaycanary.yaml."
            " Say where it is by --config or RELAYCANARY_CONFIG, or let `relaycanary init` write one"
        )


@pytest.mark.usefixtures("nowhere")
def test_a_folder_that_may_not_be_entered_holds_no_settings(monkeypatch):
    """As when root, in a folder of its own, runs it as the service's user."""

    def forbidden(place):
        if not place.is_absolute():
            raise PermissionError(13, "Permission denied")
        return False

    monkeypatch.setattr(Path, "is_file", forbidden)
    with pytest.raises(SettingsError, match="there is no settings file"):
        find()
